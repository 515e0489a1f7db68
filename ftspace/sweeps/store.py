"""Sweeps on disk: a JSON file each in the data folder's `sweeps`, written whole at every change. Knows no process.

It says which cells there are and which run each was given; what became of a run is in the run's own folder.
"""

import os
import re
import secrets
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evals.errors import LogError
from evals.files import write_text
from ftspace.config import RunConfig
from ftspace.errors import DiskError, JobError
from ftspace.runs import take_lock
from ftspace.sweeps.grid import Axis

_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", use_attribute_docstrings=True)


class Entry(_Plain):
    """A cell, and what it was given to do."""

    name: str
    values: dict[str, Any]
    """By dotted field name."""
    run: str | None = None
    """Its run's id, once there is one."""
    retried: bool = False
    """Whether its run failed and was set going once more."""
    trial: int | None = None
    """Its number in a search's study."""
    pruned: str = ""
    """Why a search ended it early; empty where it did not."""
    problem: str = ""
    """Why no run could be made of it."""
    best: bool = False
    """Whether a search chose it."""


class AxisOf(_Plain):
    """An axis as it lies in the file."""

    field: str
    values: tuple[Any, ...] = ()
    low: float = float("nan")
    high: float = float("nan")
    whole: bool = False

    def axis(self) -> Axis:
        """As the grid has it."""
        return Axis(self.field, self.values, self.low, self.high, self.whole)


class Sweep(_Plain):
    """All that a sweep is to do, and what it began."""

    v: int = 1
    id: str
    base: RunConfig
    """What all cells have in common, at the commits that model and dataset had."""
    axes: tuple[AxisOf, ...]
    metric: str = ""
    """What cells are ranked by; empty: the first metric of the first task."""
    search: Literal["", "optuna"] = ""
    trials: int = 0
    """How many cells a search makes."""
    winner: str | None = None
    """The run in which a search's best cell was compared with its base."""
    cells: tuple[Entry, ...] = ()

    @property
    def tag(self) -> str:
        """The tag that its runs have."""
        return f"sweep-{self.id}"

    def with_cell(self, place: int, **changes: Any) -> "Sweep":
        """The same with one cell changed."""
        cells = list(self.cells)
        cells[place] = cells[place].model_copy(update=changes)
        return self.model_copy(update={"cells": tuple(cells)})


def new_id() -> str:
    """An id that no other sweep has."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"


class SweepStore:
    """All sweeps of a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "sweeps"

    def save(self, sweep: Sweep) -> None:
        """Writes a sweep's file. Raises DiskError."""
        try:
            write_text(self._path(sweep.id), sweep.model_dump_json(indent=1) + "\n")
        except LogError as error:
            raise DiskError(f"the sweep cannot be kept: {error}; make room: ftspace runs gc") from error

    def get(self, sweep_id: str) -> Sweep:
        """The sweep of an id. Raises JobError."""
        if not _ID.fullmatch(sweep_id) or not self._path(sweep_id).is_file():
            raise JobError(f"there is no sweep {sweep_id!r} in {self.folder}; see: ftspace sweep --list")
        try:
            return Sweep.model_validate_json(self._path(sweep_id).read_bytes())
        except (OSError, ValueError) as error:
            raise JobError(f"the sweep {sweep_id} cannot be read; its runs are there: ftspace runs list") from error

    def list(self) -> Sequence[str]:
        """The ids of all sweeps, newest first."""
        found = [path.stem for path in self.folder.glob("*.json")] if self.folder.is_dir() else []
        return sorted((one for one in found if _ID.fullmatch(one)), reverse=True)

    def beside(self, sweep_id: str, name: str) -> Path:
        """The place of another file of a sweep."""
        return self.folder / f"{sweep_id}.{name}"

    @contextmanager
    def driving(self, sweep_id: str) -> Generator[None]:
        """Held by the one process that sees to a sweep. Raises JobError while another one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = take_lock(self.beside(sweep_id, "lock"), tries=3)
        if held is None:
            raise JobError(f"another process is seeing to the sweep {sweep_id}; wait for it, or stop it with Ctrl-C")
        try:
            yield
        finally:
            os.close(held)

    def _path(self, sweep_id: str) -> Path:
        return self.folder / f"{sweep_id}.json"
