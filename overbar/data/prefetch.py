"""Batches made ahead, in a thread of their own, while the last one is being learnt from.

The thread makes them one after the other, so they and their order are the same as without it. It
lasts as long as somebody walks over the batches, and not longer.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Any

from overbar.errors import DataError

__all__ = ["prefetch"]


def prefetch(batches: Iterable[Any], ahead: int = 2) -> Iterator[Any]:
    """The same batches in the same order, up to `ahead` of them made before they are asked for.

    NumPy leaves the interpreter free while it works, so that much of the making is for nothing.
    An exception in the making is raised where the batch was asked for, with its own trace. When
    the walk ends, early or not, the thread has ended too.

    Example:
        >>> loader = ob.data.DataLoader(np.arange(5), batch_size=2)
        >>> [x.tolist() for (x,) in ob.data.prefetch(loader)]
        [[0, 1], [2, 3], [4]]
    """
    if ahead < 1:
        raise DataError(f"prefetch: ahead={ahead}", want="a whole number of batches from 1")
    return _walked(batches, ahead)


def _walked(batches: Iterable[Any], ahead: int) -> Iterator[Any]:
    ready: SimpleQueue = SimpleQueue()  # of (whether it is a batch, the batch or an exception)
    room, stop = threading.Semaphore(ahead), threading.Event()

    def make() -> None:
        try:
            source = iter(batches)
            while room.acquire() and not stop.is_set():
                ready.put((True, next(source)))
        except BaseException as error:  # noqa: BLE001  (the end of the source among them)
            ready.put((False, error))

    context = contextvars.copy_context()  # what `ob.config` says here holds there
    thread = threading.Thread(target=context.run, args=(make,), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            made, thing = ready.get()
            if not made:
                break
            room.release()
            yield thing
        if not isinstance(thing, StopIteration):
            raise thing
    finally:
        stop.set()
        room.release()
        thread.join()
