"""What a server may load: the checkpoints of its run, and runs on the same base. Knows folders; loads nothing.

Whoever starts the server says which runs these are. A client can name what stands here, and no other folder.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ftspace.errors import ModelError
from ftspace.runs import Run
from ftspace.training.as_adapter import as_adapter
from ftspace.training.checkpoints import name as folder_of
from ftspace.training.checkpoints import steps

BASE, TUNED = "base", "tuned"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


def own_sides(run: Run) -> list[str]:
    """What a run alone can be asked as: base, tuned, then its checkpoints, the newest first.

    A model that was trained whole has no checkpoints that share the base's weights.
    """
    kept = steps(run.checkpoints) if (run.adapter / "adapter_config.json").is_file() else []
    return [BASE, TUNED, *(f"checkpoint-{step}" for step in kept)]


def same_base(run: Run, other: Run) -> None:
    """Raises ModelError when two runs are not on the same base, or the other has no adapter."""
    for name in type(run.config.model).model_fields:
        ours, theirs = getattr(run.config.model, name), getattr(other.config.model, name)
        if ours != theirs:
            raise ModelError(
                f"runs {run.id} and {other.id} are not on the same base: model.{name} is {ours} and {theirs}; serve "
                "each by itself"
            )
    if not other.adapter.is_dir():
        raise ModelError(f"run {other.id} has no adapter yet, so it cannot be asked")


class Shelf:
    """One run, and the further runs that may be asked beside it."""

    def __init__(self, run: Run) -> None:
        """`run` is the one whose base is loaded."""
        self.run = run
        self._also: dict[str, Run] = {}

    def add(self, other: Run) -> None:
        """Allows another run to be asked by its id. Raises ModelError when it is not on the same base."""
        same_base(self.run, other)
        if other.id != self.run.id:
            self._also = {**self._also, other.id: other}  # another thread may be reading it

    def names(self) -> list[str]:
        """All that can be asked, loaded or not."""
        return [*own_sides(self.run), *self._also]

    def name_of(self, folder: str) -> str | None:
        """The name under which a folder may be loaded; None for a folder that nobody allowed."""
        allowed = {run.adapter.resolve(): name for name, run in self._also.items()}
        for step in steps(self.run.checkpoints):
            allowed[(self.run.checkpoints / folder_of(step)).resolve()] = f"checkpoint-{step}"
        try:
            return allowed.get(Path(folder).resolve())
        except (OSError, ValueError):
            return None

    @contextmanager
    def adapter(self, name: str) -> Generator[Path]:
        """The adapter of a name, as a folder that is there as long as the context lasts. Raises ModelError."""
        if name in self._also:
            yield self._also[name].adapter
            return
        found = _CHECKPOINT.fullmatch(name)
        if not found or int(found[1]) not in steps(self.run.checkpoints):
            raise ModelError(f"there is no {name} here; there are {', '.join(self.names())}")
        with TemporaryDirectory(prefix="ftspace-") as scratch:
            checkpoint = self.run.checkpoints / folder_of(int(found[1]))
            yield as_adapter(checkpoint, self.run.adapter, Path(scratch) / "adapter")
