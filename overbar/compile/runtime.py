"""What native threads share out work and wait with, as LLVM text.

`runtime_text` is for modules whose bodies have several threads:

    i64 @take(ptr work, i64 pass, i64 parts)
        The next part of a piece of work that nobody has taken; `parts` or more when all are taken.
    void @finish(ptr work, i64 pass, i64 did, i64 parts, i64 spin)
        Report the parts done here, and wait until all parts are done, by whomever.
    void @barrier(ptr state, i32 threads, i64 spin)
        Wait until every thread has arrived.
    i64 @claim(ptr counter)
        The next number of a plain counter, for work that ends with a barrier.

A piece of work has a record of 64 bytes, zero before the body begins. One that is done several
times in a body (in a loop) gives the number of the pass, 0, 1, 2, ...: a thread that is late finds
its pass over and takes nothing of the next.

Prefer `take` and `finish`. They wait for work, not for threads: where a core is taken by another
program, the others do its share and nobody waits for the scheduler. A barrier waits for the thread
itself. 50 pieces of 8 parts of 1 µs, two threads: 0.20 ms with either on a machine at rest; with
one of two cores taken 0.40 ms with `finish`, 1.29 ms with `barrier`, 0.36 ms on one thread.

`pool_text` is the small module behind `pool.Pool`. Its `FINISH` is for all: a compiled program
takes `shared_text` and calls that one; to compile all this with every program took 15 to 20 ms.

Waiting is so many pauses (`spin`), then sleep (`sleep`). An odd number of pauses is one of the
pool's own threads: Linux at times wakes it on the core of the thread that roused it, and there it
would wait for that one to pause. So after sleeping it looks where it is, and goes to another core
of those it may use; the caller's thread stays where it is. Steps of 4 ms, each process asleep while
others had their turn: in 17 of 50 turns one core had done all the work, now in none.
"""

from __future__ import annotations

import hashlib

from .sleep import sleep_text

_WAITING = """
; Sleepers say so before they look at the word once more and sleep; who changes the word looks for
; sleepers afterwards. So one of the two always sees the other. Behind the number of sleepers is the
; core of the thread that roused them.

; Until the word is no longer what it was: look so many times, then sleep.
define internal void @await(ptr %word, ptr %asleep, i32 %old, i64 %spin) noinline nounwind {
entry:
  br label %look
look:
  %i = phi i64 [ 0, %entry ], [ %more, %again ]
  %now = load atomic i32, ptr %word acquire, align 4
  %changed = icmp ne i32 %now, %old
  br i1 %changed, label %done, label %patient
patient:
  %spinning = icmp slt i64 %i, %spin
  br i1 %spinning, label %again, label %tired
again:
  call void @pause()
  %more = add i64 %i, 1
  br label %look
tired:
  %before = atomicrmw add ptr %asleep, i32 1 seq_cst
  br label %sleep
sleep:
  %times = phi i64 [ 0, %tired ], [ %later, %still ]
  %seen = load atomic i32, ptr %word seq_cst, align 4
  %woken = icmp ne i32 %seen, %old
  br i1 %woken, label %awake, label %still
still:
  call void @doze(ptr %word, i32 %old, i64 %times)
  %later = add i64 %times, 1
  br label %sleep
awake:
  %after = atomicrmw sub ptr %asleep, i32 1 seq_cst
  %odd = trunc i64 %spin to i1
  br i1 %odd, label %apart, label %done
apart:
  %core_at = getelementptr i8, ptr %asleep, i64 4
  %core = load atomic i32, ptr %core_at monotonic, align 4
  call void @leave(i32 %core)
  br label %done
done:
  ret void
}
; Until a counter has come to a goal or further.
define internal void @reach(ptr %word, ptr %asleep, i32 %goal, i64 %spin) noinline nounwind {
entry:
  br label %look
look:
  %now = load atomic i32, ptr %word acquire, align 4
  %missing = sub i32 %goal, %now
  %over = icmp sle i32 %missing, 0
  br i1 %over, label %done, label %wait
wait:
  call void @await(ptr %word, ptr %asleep, i32 %now, i64 %spin)
  br label %look
done:
  ret void
}
define internal void @wake(ptr %word, ptr %asleep) alwaysinline nounwind {
  %sleepers = load atomic i32, ptr %asleep seq_cst, align 4
  %none = icmp eq i32 %sleepers, 0
  br i1 %none, label %done, label %some
some:
  %core = call i32 @core()
  %core_at = getelementptr i8, ptr %asleep, i64 4
  store atomic i32 %core, ptr %core_at monotonic, align 4
  call void @rouse(ptr %word)
  br label %done
done:
  ret void
}
"""

_TAKE = """
; A record of work: the pass and the next part (i64); parts done in all passes, sleepers, and the
; core of the thread that roused them (i32).
define internal i64 @take(ptr %work, i64 %pass, i64 %parts) alwaysinline nounwind {
entry:
  %first = load atomic i64, ptr %work monotonic, align 8
  br label %try
try:
  %word = phi i64 [ %first, %entry ], [ %found, %take ]
  %current = lshr i64 %word, 32
  %late = icmp ugt i64 %current, %pass
  br i1 %late, label %none, label %still
still:
  %begun = icmp eq i64 %current, %pass
  %low = and i64 %word, 4294967295
  %part = select i1 %begun, i64 %low, i64 0
  %left = icmp ult i64 %part, %parts
  br i1 %left, label %take, label %none
take:
  %high = shl i64 %pass, 32
  %next = add i64 %part, 1
  %new = or i64 %high, %next
  %pair = cmpxchg ptr %work, i64 %word, i64 %new monotonic monotonic
  %found = extractvalue { i64, i1 } %pair, 0
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %got, label %try
got:
  ret i64 %part
none:
  ret i64 %parts
}
"""

_FINISH = """
define internal void @finish(ptr %work, i64 %pass, i64 %did, i64 %parts, i64 %spin)
    noinline nounwind {
  %done_at = getelementptr i8, ptr %work, i64 8
  %asleep = getelementptr i8, ptr %work, i64 12
  %passes = add i64 %pass, 1
  %all = mul i64 %passes, %parts
  %goal = trunc i64 %all to i32
  %idle = icmp eq i64 %did, 0
  br i1 %idle, label %wait, label %report
report:
  %more = trunc i64 %did to i32
  %before = atomicrmw add ptr %done_at, i32 %more seq_cst
  %sum = add i32 %before, %more
  %last = icmp eq i32 %sum, %goal
  br i1 %last, label %tell, label %wait
tell:
  call void @wake(ptr %done_at, ptr %asleep)
  ret void
wait:
  call void @reach(ptr %done_at, ptr %asleep, i32 %goal, i64 %spin)
  ret void
}
; For bodies with barriers: the next number of a plain counter.
define internal i64 @claim(ptr %counter) alwaysinline nounwind {
  %part = atomicrmw add ptr %counter, i64 1 monotonic
  ret i64 %part
}
define internal void @barrier(ptr %state, i32 %threads, i64 %spin) noinline nounwind {
  %alone = icmp sle i32 %threads, 1
  br i1 %alone, label %done, label %several
several:
  %phase = getelementptr i8, ptr %state, i64 256
  %asleep = getelementptr i8, ptr %state, i64 320
  %count = getelementptr i8, ptr %state, i64 384
  %old = load atomic i32, ptr %phase acquire, align 4
  %before = atomicrmw add ptr %count, i32 1 acq_rel
  %arrived = add i32 %before, 1
  %last = icmp eq i32 %arrived, %threads
  br i1 %last, label %open, label %wait
open:
  store atomic i32 0, ptr %count monotonic, align 4
  %advanced = atomicrmw add ptr %phase, i32 1 seq_cst
  call void @wake(ptr %phase, ptr %asleep)
  br label %done
wait:
  call void @await(ptr %phase, ptr %asleep, i32 %old, i64 %spin)
  br label %done
done:
  ret void
}
"""

# The words of a pool's state. Those that different threads write are on different cache lines.
#     0  generation: counts the launches; 64 sleepers
#   128  inside: threads of the pool that are in a body; 192 sleepers
#   256  phase: counts the barriers; 320 sleepers; 384 arrived at the barrier
#   448  closed: the generation that is over
#   512  busy: 1 while a body runs
#   576  threads (0: not started); 584 spin; 592 stop; 600 call
_POOL = """
@state = internal global [640 x i8] zeroinitializer, align 128
define internal ptr @place(i64 %offset) alwaysinline nounwind {
  %place = getelementptr i8, ptr @state, i64 %offset
  ret ptr %place
}
; What the threads of the pool do: wait for a launch, and take part if it is not over already.
; A thread says that it is inside before it looks whether the launch is over, and who closes a
; launch waits for those inside afterwards: nobody is in a body that its caller thinks is over.
define void @worker(i64 %thread) nounwind {
entry:
  %asleep = call ptr @place(i64 64)
  %inside = call ptr @place(i64 128)
  %quiet = call ptr @place(i64 192)
  %closed = call ptr @place(i64 448)
  %threads_at = call ptr @place(i64 576)
  %spin_at = call ptr @place(i64 584)
  %stop_at = call ptr @place(i64 592)
  %call_at = call ptr @place(i64 600)
  %pauses = load i64, ptr %spin_at
  %several = icmp ne i64 %pauses, 0
  %one = zext i1 %several to i64
  %spin = or i64 %pauses, %one
  br label %next
next:
  %seen = phi i32 [ 0, %entry ], [ %generation, %leave ]
  call void @await(ptr @state, ptr %asleep, i32 %seen, i64 %spin)
  %in = atomicrmw add ptr %inside, i32 1 seq_cst
  %generation = load atomic i32, ptr @state seq_cst, align 4
  %over = load atomic i32, ptr %closed seq_cst, align 4
  %late = icmp eq i32 %over, %generation
  br i1 %late, label %leave, label %enter
enter:
  %stop = load i64, ptr %stop_at
  %end = icmp ne i64 %stop, 0
  br i1 %end, label %home, label %work
work:
  %threads = load i64, ptr %threads_at
  %call = load ptr, ptr %call_at
  call void @part(ptr %call, i64 %thread, i64 %threads, i64 %spin)
  br label %leave
leave:
  %out = atomicrmw sub ptr %inside, i32 1 seq_cst
  call void @wake(ptr %inside, ptr %quiet)
  br label %next
home:
  ret void
}
; Run a body to its end; 1 if that cannot be because the threads are not there. While they are at
; work for somebody else, this thread does everything alone.
; A call is four words: body, arguments, records of work, bytes of these; they are set to zero.
define i32 @launch(ptr %call) nounwind {
  %inside = call ptr @place(i64 128)
  %quiet = call ptr @place(i64 192)
  %closed = call ptr @place(i64 448)
  %busy = call ptr @place(i64 512)
  %threads_at = call ptr @place(i64 576)
  %spin_at = call ptr @place(i64 584)
  %call_at = call ptr @place(i64 600)
  %asleep = call ptr @place(i64 64)
  %failed = call i32 @hold()
  %mine = icmp eq i32 %failed, 0
  br i1 %mine, label %begin, label %other
other:
  call void @alone(ptr %call)
  ret i32 0
begin:
  %threads = load i64, ptr %threads_at
  %ready = icmp ne i64 %threads, 0
  br i1 %ready, label %run, label %end
run:
  %spin = load i64, ptr %spin_at
  call void @prepare(ptr %call)
  store ptr %call, ptr %call_at
  %old = atomicrmw add ptr @state, i32 1 seq_cst
  call void @wake(ptr @state, ptr %asleep)
  call void @part(ptr %call, i64 0, i64 %threads, i64 %spin)
  %generation = add i32 %old, 1
  store atomic i32 %generation, ptr %closed seq_cst, align 4
  br label %leaving
leaving:
  %left = load atomic i32, ptr %inside seq_cst, align 4
  %empty = icmp eq i32 %left, 0
  br i1 %empty, label %end, label %wait
wait:
  call void @await(ptr %inside, ptr %quiet, i32 %left, i64 %spin)
  br label %leaving
end:
  %result = phi i32 [ 1, %begin ], [ 0, %leaving ]
  store atomic i32 0, ptr %busy release, align 4
  ret i32 %result
}
define void @alone(ptr %call) nounwind {
  call void @prepare(ptr %call)
  call void @part(ptr %call, i64 0, i64 1, i64 0)
  ret void
}
define internal void @prepare(ptr %call) alwaysinline nounwind {
entry:
  %records_at = getelementptr i64, ptr %call, i64 2
  %size_at = getelementptr i64, ptr %call, i64 3
  %records = load ptr, ptr %records_at
  %size = load i64, ptr %size_at
  br label %check
check:
  %offset = phi i64 [ 0, %entry ], [ %next, %clear ]
  %more = icmp slt i64 %offset, %size
  br i1 %more, label %clear, label %done
clear:
  %record = getelementptr i8, ptr %records, i64 %offset
  %counts = getelementptr i8, ptr %record, i64 8
  store atomic i64 0, ptr %record monotonic, align 8
  store atomic i64 0, ptr %counts monotonic, align 8
  %next = add i64 %offset, 64
  br label %check
done:
  ret void
}
define internal void @part(ptr %call, i64 %thread, i64 %threads, i64 %spin) alwaysinline nounwind {
  %arguments_at = getelementptr i64, ptr %call, i64 1
  %body = load ptr, ptr %call
  %arguments = load ptr, ptr %arguments_at
  call void %body(ptr @state, i64 %thread, i64 %threads, i64 %spin, ptr %arguments)
  ret void
}
; The same for a body without records.
define i32 @launch_plain(ptr %body, ptr %arguments) nounwind {
  %call = alloca [4 x i64]
  %arguments_at = getelementptr i64, ptr %call, i64 1
  %records_at = getelementptr i64, ptr %call, i64 2
  %size_at = getelementptr i64, ptr %call, i64 3
  store ptr %body, ptr %call
  store ptr %arguments, ptr %arguments_at
  store ptr null, ptr %records_at
  store i64 0, ptr %size_at
  %result = call i32 @launch(ptr %call)
  ret i32 %result
}
define void @alone_plain(ptr %body, ptr %arguments) nounwind {
  %call = alloca [4 x i64]
  %arguments_at = getelementptr i64, ptr %call, i64 1
  %records_at = getelementptr i64, ptr %call, i64 2
  %size_at = getelementptr i64, ptr %call, i64 3
  store ptr %body, ptr %call
  store ptr %arguments, ptr %arguments_at
  store ptr null, ptr %records_at
  store i64 0, ptr %size_at
  call void @alone(ptr %call)
  ret void
}
; Keep launches away; 1 if one is under way.
define i32 @hold() nounwind {
  %busy = call ptr @place(i64 512)
  %pair = cmpxchg ptr %busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  %failed = xor i1 %mine, true
  %result = zext i1 %failed to i32
  ret i32 %result
}
; Launches may come again, and find so many threads.
define void @release(i64 %threads) nounwind {
  %busy = call ptr @place(i64 512)
  %threads_at = call ptr @place(i64 576)
  store i64 %threads, ptr %threads_at
  store atomic i32 0, ptr %busy release, align 4
  ret void
}
; Held: everything as in the beginning. For threads that are about to start.
define void @reset(i64 %spin) nounwind {
  %spin_at = call ptr @place(i64 584)
  %rest = call ptr @place(i64 576)
  call void @llvm.memset.p0.i64(ptr @state, i8 0, i64 512, i1 false)
  call void @llvm.memset.p0.i64(ptr %rest, i8 0, i64 64, i1 false)
  store i64 %spin, ptr %spin_at
  ret void
}
; Held: send the threads home.
define void @halt() nounwind {
  %asleep = call ptr @place(i64 64)
  %stop_at = call ptr @place(i64 592)
  store i64 1, ptr %stop_at
  %old = atomicrmw add ptr @state, i32 1 seq_cst
  call void @wake(ptr @state, ptr %asleep)
  ret void
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""

FINISH = f"overbar.finish.{hashlib.sha256((_TAKE + _FINISH + _WAITING).encode()).hexdigest()[:16]}"
"""What `finish` is called outside of a pool's module. Code from the disk finds none of another
version.
"""

_LENT = f"""
define void @{FINISH}(ptr %work, i64 %pass, i64 %did, i64 %parts, i64 %spin) nounwind {{
  call void @finish(ptr %work, i64 %pass, i64 %did, i64 %parts, i64 %spin)
  ret void
}}
"""


def runtime_text(waiting: str | None = None) -> str:
    """Text of `@take`, `@finish`, `@barrier` and `@claim`, and of what they need.

    waiting: how a thread sleeps, "futex", "posix" or "windows"; None: what suits this computer.
    """
    return sleep_text(waiting) + _WAITING + _TAKE + _FINISH


def pool_text(waiting: str | None = None) -> str:
    """The module of a pool: its state, the functions `pool.Pool` calls, and `FINISH`."""
    return runtime_text(waiting) + _POOL + _LENT


def shared_text() -> str:
    """Text of `@take`; `FINISH` is found when the module is loaded, if there is a pool."""
    return f"declare void @{FINISH}(ptr, i64, i64, i64, i64)\n{_TAKE}"
