"""What a training asks of those that it is done with, as one process answers it that is alone. Knows no torch.

`Group` in group.py answers it for several.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Alone:
    """One process: what it says goes."""

    rank = 0
    size = 1

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that decides where one must."""
        return self.rank == 0

    def all(self, value: T) -> list[T]:
        """Everybody's value, by rank."""
        return [value]

    def first(self, value: T) -> T:
        """The first process's value."""
        return value

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Everybody's numbers, each summed up."""
        return list(numbers)

    def same(self, what: str, value: object) -> None:
        """Raises JobError when a thing that must be the same everywhere is not."""

    def sum_up(self, parameters: Sequence[Any]) -> None:
        """Makes each gradient the sum of everybody's; one that nobody has stays none."""

    def like_first(self, tensors: Sequence[Any]) -> None:
        """Makes tensors what they are in the first process."""

    def join(self, whole: Any, share: Any) -> None:
        """Fills a tensor with everybody's share, by rank."""
        whole.copy_(share)

    @contextmanager
    def own_numbers(self) -> Generator[None]:
        """Random numbers of this process's own; those that all have in common go on as if none was drawn here."""
        yield

    @contextmanager
    def one_a_machine(self) -> Generator[None]:
        """The first process of each machine does this before its others do, which find done what is kept in files."""
        yield

    def carry(self, files: Sequence[Path], to: Path | None) -> None:
        """Brings the first process's files to all who name a folder for them."""

    def leave(self) -> None:
        """The work together is over: when all have come here nobody waits for anybody any more."""
