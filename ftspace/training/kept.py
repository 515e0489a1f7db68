"""What a checkpoint keeps beside transformers' own files, and whether the disk has room for it. Knows no trainer."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ftspace.runs import Run
from ftspace.training.course import Memory
from ftspace.workers import no_room

COURSE = "course.json"
SMALL_FILES = 10_000_000
"""Bytes that are more than enough for all that is saved but weights, optimizer and tokenizer."""
BYTES_A_TOKEN = 150
"""Of a tokenizer's files: at most 130 were seen."""


class Kept(BaseModel):
    """course.json of a checkpoint: what transformers' trainer does not keep itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    course: Memory
    tokens: int
    returns: int
    """Halvings of the learning rate that the optimizer's state has."""
    budgets: dict[str, int]
    ranks: dict[str, list[bool]] | None
    """Those that AdaLoRA has chosen."""


def kept_in(folder: Path) -> Kept:
    """What a checkpoint's folder has of it."""
    return Kept.model_validate_json((folder / COURSE).read_bytes())


def number_in(path: Path) -> int:
    """The number in a small file; 0 when there is none."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def scale_rate(optimizer: Any, scheduler: Any, factor: float) -> None:
    """Multiplies the learning rate of the next step and of all that follow."""
    for group in optimizer.param_groups:
        group.update({name: group[name] * factor for name in ("lr", "initial_lr") if name in group})
    for name in ("base_lrs", "_last_lr"):
        if hasattr(scheduler, name):
            setattr(scheduler, name, [rate * factor for rate in getattr(scheduler, name)])


def room_for(tensors: Iterable[Any], tokens: int = 0) -> int:
    """Bytes that the tensors take on the disk, with what is saved beside them and a tokenizer of so many tokens."""
    return sum(one.nbytes for one in tensors) + SMALL_FILES + BYTES_A_TOKEN * tokens


def require_room(run: Run, what: str, needed: int) -> None:
    """Raises DiskError when the run's disk has no room for so many bytes."""
    free = shutil.disk_usage(run.path).free
    if free < needed:
        raise no_room(run, f"{what} needs {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free")
