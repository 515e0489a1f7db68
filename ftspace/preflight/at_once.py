"""Several looks made at once, each in a thread of its own, and waited for so long. Knows not what is looked at.

The threads are daemons: a look that hangs keeps no command from ending. Each asks the Hub with its asker's token.
"""

import time
from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Patience:
    """How long may still be waited: time spent otherwise does not count."""

    def __init__(self, seconds: float | None) -> None:
        """So many seconds in all; None for as long as it takes."""
        self._left = seconds

    def join(self, thread: Thread) -> None:
        """Waits for a thread, until it ends or no time is left."""
        began = time.monotonic()
        thread.join(self._left)
        if self._left is not None:
            self._left = max(0.0, self._left - (time.monotonic() - began))


class Look(Generic[T]):
    """A look that is being made."""

    def __init__(self, look: Callable[[], T]) -> None:
        """It begins at once."""
        self._found: list[T] = []
        self._raised: list[BaseException] = []
        context = copy_context()
        self._thread = Thread(target=lambda: context.run(self._make, look), daemon=True, name="preflight")
        self._thread.start()

    def _make(self, look: Callable[[], T]) -> None:
        try:
            self._found.append(look())
        except BaseException as error:  # noqa: BLE001 it is raised in the thread that waits
            self._raised.append(error)

    def within(self, patience: Patience) -> T | None:
        """What it found; None when it takes longer. Raises what it raised."""
        patience.join(self._thread)
        if self._raised:
            raise self._raised[0]
        return self._found[0] if self._found else None
