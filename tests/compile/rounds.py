"""Bodies for a pool, and jobs for them: rounds over two vectors in which everything depends on all.

Imported by test_pool and by the programs that it starts.
"""

import numpy as np

from overbar.compile.pool import runtime_text
from overbar.compile.runtime import FINISH, shared_text

LENGTH, PARTS = 96, 8
"""Of the vectors that the bodies work on."""

# Arguments of all bodies: two vectors, the number of rounds, the record of work, where to count.
HEAD = """
define void @NAME(ptr %state, i64 %thread, i64 %threads, i64 %spin, ptr %arguments) {
entry:
  %x_at = getelementptr ptr, ptr %arguments, i64 0
  %y_at = getelementptr ptr, ptr %arguments, i64 1
  %rounds_at = getelementptr ptr, ptr %arguments, i64 2
  %work_at = getelementptr ptr, ptr %arguments, i64 3
  %tally_at = getelementptr ptr, ptr %arguments, i64 4
  %x = load ptr, ptr %x_at
  %y = load ptr, ptr %y_at
  %rounds = load i64, ptr %rounds_at
  %work = load ptr, ptr %work_at
  %tally = load ptr, ptr %tally_at
  %count = trunc i64 %threads to i32
  br label %round
round:
  %i = phi i64 [ 0, %entry ], [ %next, %after ]
  %from = phi ptr [ %x, %entry ], [ %to, %after ]
  %to = phi ptr [ %y, %entry ], [ %from, %after ]
  br label %begin
"""
TAIL = """
after:
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %rounds
  br i1 %again, label %round, label %end
end:
  ret void
}
"""

# One part of a round: to[k] = from[k] + 0.3 from[(7 k + 5) mod n]. A part reads what all the
# others wrote a round before, and some parts dawdle: a thread that does not wait, or takes what
# is over, spoils the result.
PART = """
define internal void @part(ptr %from, ptr %to, ptr %tally, i64 %part) noinline {
entry:
  %first = mul i64 %part, 12
  %stop = add i64 %first, 12
  %counted = getelementptr i64, ptr %tally, i64 %part
  %before = load i64, ptr %counted
  %one_more = add i64 %before, 1
  store i64 %one_more, ptr %counted
  %kind = and i64 %part, 3
  %long = mul i64 %kind, 100
  br label %dawdle
dawdle:
  %moment = phi i64 [ 0, %entry ], [ %later, %dawdle ]
  call void asm sideeffect "", ""()
  %later = add i64 %moment, 1
  %patient = icmp slt i64 %later, %long
  br i1 %patient, label %dawdle, label %loop
loop:
  %k = phi i64 [ %first, %dawdle ], [ %next, %loop ]
  %seven = mul i64 %k, 7
  %five = add i64 %seven, 5
  %far = urem i64 %five, 96
  %near_at = getelementptr double, ptr %from, i64 %k
  %far_at = getelementptr double, ptr %from, i64 %far
  %to_at = getelementptr double, ptr %to, i64 %k
  %a = load double, ptr %near_at
  %b = load double, ptr %far_at
  %c = fmul double %b, 0.3
  %d = fadd double %a, %c
  store double %d, ptr %to_at
  %next = add i64 %k, 1
  %more = icmp slt i64 %next, %stop
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

SHARED = """
begin:
  br label %take
take:
  %did = phi i64 [ 0, %begin ], [ %done, %own ]
  %part = call i64 @take(ptr %work, i64 %i, i64 8)
  %mine = icmp slt i64 %part, 8
  br i1 %mine, label %own, label %rest
own:
  call void @part(ptr %from, ptr %to, ptr %tally, i64 %part)
  %done = add i64 %did, 1
  br label %take
rest:
  call void @finish(ptr %work, i64 %i, i64 %did, i64 8, i64 %spin)
  br label %after
"""

# Thread t does the parts t, t + threads, ...
DIVIDED = """
begin:
  br label %test
test:
  %part = phi i64 [ %thread, %begin ], [ %following, %own ]
  %mine = icmp slt i64 %part, 8
  br i1 %mine, label %own, label %rest
own:
  call void @part(ptr %from, ptr %to, ptr %tally, i64 %part)
  %following = add i64 %part, %threads
  br label %test
rest:
  call void @barrier(ptr %state, i32 %count, i64 %spin)
  br label %after
"""

# As SHARED, with a plain counter that thread 0 sets back behind the barrier.
CLAIMED = """
begin:
  br label %take
take:
  %part = call i64 @claim(ptr %work)
  %mine = icmp slt i64 %part, 8
  br i1 %mine, label %own, label %rest
own:
  call void @part(ptr %from, ptr %to, ptr %tally, i64 %part)
  br label %take
rest:
  call void @barrier(ptr %state, i32 %count, i64 %spin)
  %chief = icmp eq i64 %thread, 0
  br i1 %chief, label %back, label %ready
back:
  store atomic i64 0, ptr %work monotonic, align 8
  br label %ready
ready:
  call void @barrier(ptr %state, i32 %count, i64 %spin)
  br label %after
"""

BODIES = {"shared": SHARED, "divided": DIVIDED, "claimed": CLAIMED}


def lent_text():
    """The body `shared` as compiled programs are: what ends a piece of work is not in the text."""
    body = SHARED.replace("@finish", f"@{FINISH}")
    return "\n".join([shared_text(), PART, HEAD.replace("NAME", "shared"), body, TAIL])


def bodies_text(waiting=None):
    bodies = [HEAD.replace("NAME", name) + body + TAIL for name, body in BODIES.items()]
    return "\n".join([runtime_text(waiting), PART, *bodies])


class Job:
    """A body with memory of its own."""

    def __init__(self, library, name, rounds, start):
        self.library = library
        self.x, self.y = start.copy(), np.zeros(LENGTH)
        self.tally = np.zeros(PARTS, np.int64)
        room = np.zeros(128, np.uint8)
        record = room[-room.ctypes.data % 64 :][:64]
        record[:] = 7  # whatever was there before: the pool clears it
        x, y, tally = self.x.ctypes.data, self.y.ctypes.data, self.tally.ctypes.data
        self.arguments = np.array([x, y, rounds, record.ctypes.data, tally])
        self.rounds, self.record = rounds, record
        body = library.address(name)
        self.words = np.array([body, self.arguments.ctypes.data, record.ctypes.data, 64])
        self.call = self.words.ctypes.data

    def result(self):
        return self.y if self.rounds % 2 else self.x


def expected(start, rounds):
    x, far = start, (7 * np.arange(LENGTH) + 5) % LENGTH
    for _ in range(rounds):
        x = x + x[far] * 0.3
    return x


def check(pool, library, name, rounds, rng):
    start = rng.standard_normal(LENGTH)
    job = Job(library, name, rounds, start)
    pool.run_call(job.call)
    np.testing.assert_array_equal(job.result(), expected(start, rounds))
    np.testing.assert_array_equal(job.tally, rounds)
