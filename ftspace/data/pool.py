"""The same work on many items, in as many processes as there are cores, with the results in the items' order."""

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import chain, islice
from typing import Any, TypeVar

from ftspace import settings
from ftspace.errors import MemoryGoneError

Item = TypeVar("Item")
Result = TypeVar("Result")

ALONE = 4
"""Items up to which one process is done sooner than others have started."""
MOST = 16
"""Processes at most: each holds libraries of its own."""
_PR_SET_PDEATHSIG = 1


def spread(
    make: Callable[[], Callable[[Item], Result]], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """What the function that `make` makes returns for each item; the first few items are done by this process.

    `make`, the items and the results travel between processes, so they must be picklable. Only some items are in
    memory at a time. `workers` are the processes to use, all cores when not given; a process that may have no children,
    such as one that a GPU is lent to, does it all alone.
    """
    count = 1 if multiprocessing.current_process().daemon else workers or cores()
    waiting_items = iter(items)
    work = make()
    for item in islice(waiting_items, None if count == 1 else ALONE):
        yield work(item)
    more = list(islice(waiting_items, 1))
    if not more:
        return
    running: deque[Future[Result]] = deque()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=_start, initargs=(make, os.getpid())) as pool:
        try:
            for item in chain(more, waiting_items):
                running.append(pool.submit(_do, item))
                if len(running) > count + 1:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool as error:
            raise MemoryGoneError(
                "a process that looked at the rows was ended from outside, most likely since memory ran out; close "
                "other programs, or take fewer rows with data.max_samples (a script of one's own must call this below "
                "`if __name__ == '__main__':`)"
            ) from error
        finally:
            for future in running:
                future.cancel()


def cores() -> int:
    """The cores that this process may use, at most MOST."""
    return min(settings.cores(), MOST)


def end_with(parent: int) -> None:
    """Has this process end with the one that started it, however that one ends."""
    with suppress(OSError, AttributeError):  # Linux only; elsewhere who was started notices when its pipe breaks
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


_work: list[Callable[[Any], Any]] = []
"""The one function of a helping process."""


def _start(make: Callable[[], Callable[[Any], Any]], parent: int) -> None:
    """Readies a helping process. It ends with the one that started it, however that one ends."""
    end_with(parent)
    _work[:] = [make()]


def _do(item: Any) -> Any:
    return _work[0](item)
