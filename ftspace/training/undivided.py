"""What a trainer asks of a base while it goes through it, as one answers it that each process holds whole. No torch.

`Shards` in shards.py answers it for a base whose layers are divided over the processes.
"""

from collections.abc import Generator
from contextlib import contextmanager


class OthersRanOutError(Exception):
    """The memory of another process ran out: all go through the batch again."""


class Undivided:
    """A base that is whole in each process, which goes through it as often as it likes."""

    divided = False

    def begin(self, parts: int, *, training: bool) -> int:
        """A batch is gone through in so many parts; how many more without any weight all processes need to keep pace.

        `training`: each with a backward pass.
        """
        return 0

    def end(self) -> None:
        """They are done. Raises OthersRanOutError or MemoryGoneError where another process could not do its own."""

    def fall_out(self, gone: str) -> None:
        """This process ran out of memory on the way: the others are kept from waiting for it, and told.

        `gone` says why it cannot go on; "" where it can with smaller parts. Raises MemoryGoneError where one cannot.
        """

    @contextmanager
    def lent(self) -> Generator[None]:
        """The first process goes through the base by itself; the others `lend` it their shares meanwhile."""
        yield

    def lend(self) -> None:
        """Until the first process is done with what it does by itself."""
