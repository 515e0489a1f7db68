"""The same work on many items, in as many processes as there are cores, with the results in the items' order."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

ALONE = 4
"""Items up to which one process is done sooner than others have started."""


def spread(
    make: Callable[[], Callable[[Item], Result]], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """What the function that `make` makes returns for each item; the first few items are done by this process.

    `make`, the items and the results travel between processes, so they must be picklable. Only some items are in
    memory at a time. `workers` are the processes to use, all cores when not given.
    """
    count = workers or os.cpu_count() or 1
    waiting_items = iter(items)
    work = make()
    for item in islice(waiting_items, None if count == 1 else ALONE):
        yield work(item)
    more = list(islice(waiting_items, 1))
    if not more:
        return
    running: deque[Future[Result]] = deque()
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_start, initargs=(make,)) as pool:
        try:
            for item in chain(more, waiting_items):
                running.append(pool.submit(_do, item))
                if len(running) > count + 1:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


_work: list[Callable[[Any], Any]] = []
"""The one function of a helping process."""


def _start(make: Callable[[], Callable[[Any], Any]]) -> None:
    _work[:] = [make()]


def _do(item: Any) -> Any:
    return _work[0](item)
