"""How a thread of native code pauses, sleeps, wakes others and leaves its core: by system.

    void @pause()                             a moment of spinning
    void @doze(ptr word, i32 old, i64 times)  sleep while the word is what it was, or less long;
                                              times: how often this sleeper has done so already
    void @rouse(ptr word)                     wake all who sleep so
    i32 @core()                               the core this thread is on; -1 where nobody knows
    void @leave(i32 core)                     go to another one of those allowed, if it is this one

By futex on Linux, elsewhere by looking again at growing intervals; only Linux moves threads.
"""

from __future__ import annotations

import platform
import sys

_LINUX = """
define internal void @doze(ptr %word, i32 %old, i64 %times) noinline nounwind {{
  %value = zext i32 %old to i64
  %done = call i64 @futex(ptr %word, i64 128, i64 %value)
  ret void
}}
define internal void @rouse(ptr %word) noinline nounwind {{
  %done = call i64 @futex(ptr %word, i64 129, i64 2147483647)
  ret void
}}
define internal i64 @futex(ptr %word, i64 %what, i64 %value) noinline nounwind {{
  %done = call i64 asm sideeffect {call}
    (i64 {number}, ptr %word, i64 %what, i64 %value, i64 0, i64 0)
  ret i64 %done
}}
"""  # 128, 129: wait while the word holds the value, wake so many; among the threads of a process

# To leave a core: for a moment all cores but this one are allowed, then the same as before. Where
# there is no other, the system refuses, and nothing has changed.
_CORES = """
declare i32 @sched_getcpu()
declare i32 @sched_getaffinity(i32, i64, ptr)
declare i32 @sched_setaffinity(i32, i64, ptr)
define internal i32 @core() alwaysinline nounwind {
  %core = call i32 @sched_getcpu()
  ret i32 %core
}
define internal void @leave(i32 %core) noinline nounwind {
  %cores = alloca [128 x i8], align 8
  %here = call i32 @sched_getcpu()
  %same = icmp eq i32 %here, %core
  br i1 %same, label %ask, label %done
ask:
  %unknown = call i32 @sched_getaffinity(i32 0, i64 128, ptr %cores)
  %known = icmp eq i32 %unknown, 0
  br i1 %known, label %move, label %done
move:
  %byte = lshr i32 %core, 3
  %place = getelementptr i8, ptr %cores, i32 %byte
  %low = and i32 %core, 7
  %bit = shl i32 1, %low
  %this = trunc i32 %bit to i8
  %all = load i8, ptr %place
  %others = xor i8 %all, %this
  store i8 %others, ptr %place
  %refused = call i32 @sched_setaffinity(i32 0, i64 128, ptr %cores)
  %moved = icmp eq i32 %refused, 0
  br i1 %moved, label %back, label %done
back:
  store i8 %all, ptr %place
  %kept = call i32 @sched_setaffinity(i32 0, i64 128, ptr %cores)
  br label %done
done:
  ret void
}
"""

_NO_CORES = """
define internal i32 @core() alwaysinline nounwind {
  ret i32 -1
}
define internal void @leave(i32 %core) alwaysinline nounwind {
  ret void
}
"""

_FUTEX = {
    "x86_64": _LINUX.format(
        call='"syscall", "={rax},{rax},{rdi},{rsi},{rdx},{r10},{r8},~{rcx},~{r11},~{memory}"',
        number=202,
    ),
    "aarch64": _LINUX.format(
        call='"svc #0", "={x0},{x8},{x0},{x1},{x2},{x3},{x4},~{memory}"', number=98
    ),
}

# Elsewhere a sleeper looks again and again: at once, then after 1, 2, 4, ... up to 512 µs.
_POSIX = """
declare i32 @usleep(i32)
declare i32 @sched_yield()
define internal void @doze(ptr %word, i32 %old, i64 %times) noinline nounwind {
  %early = icmp slt i64 %times, 16
  br i1 %early, label %yield, label %sleep
yield:
  %yielded = call i32 @sched_yield()
  ret void
sleep:
  %late = sub i64 %times, 16
  %bits = call i64 @llvm.umin.i64(i64 %late, i64 9)
  %long = shl i64 1, %bits
  %microseconds = trunc i64 %long to i32
  %slept = call i32 @usleep(i32 %microseconds)
  ret void
}
declare i64 @llvm.umin.i64(i64, i64)
define internal void @rouse(ptr %word) alwaysinline nounwind { ret void }
"""

_WINDOWS = """
declare void @Sleep(i32)
define internal void @doze(ptr %word, i32 %old, i64 %times) noinline nounwind {
  %late = icmp sgt i64 %times, 16
  %milliseconds = zext i1 %late to i32
  call void @Sleep(i32 %milliseconds)
  ret void
}
define internal void @rouse(ptr %word) alwaysinline nounwind { ret void }
"""

_PAUSE = """
define internal void @pause() alwaysinline nounwind {{
  call void {call}
  ret void
}}
"""
_PAUSES = {
    "x86_64": 'asm sideeffect "pause", "~{memory}"()',
    "aarch64": 'asm sideeffect "isb", "~{memory}"()',  # `yield` is over at once there
    "other": 'asm sideeffect "", "~{memory}"()',
}


def sleep_text(waiting: str | None = None) -> str:
    """Text of all these.

    waiting: "futex", "posix" or "windows"; None: what suits this computer.
    """
    arch = platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64")
    if waiting is None:
        posix = "windows" if sys.platform == "win32" else "posix"
        waiting = "futex" if sys.platform == "linux" and arch in _FUTEX else posix
    sleep = {
        "futex": _FUTEX.get(arch, "") + _CORES,
        "posix": _POSIX + _NO_CORES,
        "windows": _WINDOWS + _NO_CORES,
    }[waiting]
    pause = _PAUSES.get(arch, _PAUSES["other"])
    return f"{sleep}{_PAUSE.format(call=pause)}"
