"""Sees a sweep through: gives each cell a run in the queue, sets a failed one going once more, until all are over.

It can be ended at any time: the runs go on without it, and another call goes on from the sweep's file.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftspace import jobs, queue
from ftspace.access import LOCAL
from ftspace.config import RunConfig
from ftspace.errors import ConfigError, FtspaceError, JobError
from ftspace.labels import TITLE, Label, read_label, write_label
from ftspace.reasons import EXPLAINED
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import Settings
from ftspace.slots import slots_of
from ftspace.state import TERMINAL
from ftspace.sweeps.grid import Cell, cell_of
from ftspace.sweeps.rows import SharedRows
from ftspace.sweeps.store import Entry, Sweep, SweepStore
from ftspace.sweeps.winner import compared
from ftspace.words import clipped, duration

POLL_SECONDS = 0.5
NO_VALIDATION = "a search goes by the validation loss, and there are no rows to measure it by"
_LOOK_SECONDS = 2.0


class Chooser(Protocol):
    """Who says which cells there are, and learns what becomes of them."""

    at_once: int | None
    """So many cells at a time; None for as many as the machine takes."""

    def next(self, sweep: Sweep) -> Entry | None:
        """One more cell than the sweep's file has; None where there is none to add now."""
        ...

    def watch(self, entry: Entry, place: int, reader: RunReader) -> str:
        """Looks at a run at work; why it is to be ended early, "" where it is not."""
        ...

    def over(self, entry: Entry, place: int, reader: RunReader | None) -> None:
        """Learns how a cell ended; None of one that no run could be made of."""
        ...


class Listed:
    """The cells of a grid, which all stand in the sweep's file from the beginning."""

    at_once: int | None = None

    def next(self, sweep: Sweep) -> Entry | None:
        """None: there are no others."""
        return None

    def watch(self, entry: Entry, place: int, reader: RunReader) -> str:
        """None is ended early."""
        return ""

    def over(self, entry: Entry, place: int, reader: RunReader | None) -> None:
        """Nothing is to be learnt."""


@dataclass
class _Going:
    place: int
    reader: RunReader


class Driver:
    """Sees to one sweep, whose file it alone writes."""

    def __init__(
        self, sweeps: SweepStore, sweep: Sweep, settings: Settings, chooser: Chooser, say: Callable[[str], object]
    ) -> None:
        self.sweep = sweep
        self._sweeps, self._store, self._chooser, self._say = sweeps, RunStore(settings.runs_dir), chooser, say
        self._rows = SharedRows(self._place_of_rows(), say)
        elsewhere = sweep.base.launch.launcher == "hf-jobs"
        most = settings.max_waiting if elsewhere else min(settings.max_waiting, len(slots_of(settings.runs_dir)) + 1)
        self._at_once, self._most_waiting = min(most, chooser.at_once or most), settings.max_waiting
        self._going: list[_Going] = []
        self._looked_at = time.monotonic()

    def go(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Works until every cell is over. Raises FtspaceError for what stands in the way of all."""
        self._take_up()
        while self._fill() or self._going:
            time.sleep(poll_seconds)
            for going in list(self._going):
                self._look(going)
            self._keep_queue_going()
        self._rows.forget()
        if len(self.sweep.cells) < self.sweep.trials:
            self._say(f"nothing new is left to try after {len(self.sweep.cells)} cells")

    def test(self, best: Entry | None, poll_seconds: float = POLL_SECONDS) -> None:
        """Has the cell that a search chose compared with its base, by a run of its own. Raises FtspaceError."""
        if best is None or best.run is None:
            return
        cells = [one.model_copy(update={"best": one.name == best.name}) for one in self.sweep.cells]
        self._keep(self.sweep.model_copy(update={"cells": tuple(cells)}))
        if not self.sweep.base.eval.tasks:
            return
        if self.sweep.winner is None:
            run = compared(self._store, self._store.get(best.run), self.sweep.base, best.name, self.sweep.tag)
            self._keep(self.sweep.model_copy(update={"winner": run.id}))
        run = self._store.get(self.sweep.winner or "")
        reader = RunReader(run)
        if reader.status() == "finished":
            return
        if reader.status() in TERMINAL and not run.ticket.exists():
            jobs.resume(run)
        self._say(f"the best, {best.name}, is compared with its base: run {run.id}")
        while reader.status() not in TERMINAL or run.ticket.exists():
            time.sleep(poll_seconds)
            self._keep_queue_going()

    def _place_of_rows(self) -> Path:
        return self._sweeps.beside(self.sweep.id, "rows")

    def _take_up(self) -> None:
        """Finds the cells again that were begun before."""
        for place, entry in enumerate(self.sweep.cells):
            if entry.run is None or entry.problem:
                continue
            try:
                reader = RunReader(self._store.get(entry.run))
            except JobError:
                self._set(place, problem="its run was deleted")
                continue
            self._going.append(_Going(place, reader))
            if not reader.run.ticket.exists() and reader.status() == "interrupted":
                jobs.resume(reader.run)

    def _fill(self) -> bool:
        """Begins cells while there is room for them; whether there may be more to begin."""
        while len(self._going) < self._at_once:
            place = self._open()
            if place is None:
                return False
            if not self._room():
                break
            self._begin(place)
        return True

    def _open(self) -> int | None:
        """The first cell that nothing was begun of; one more is asked for where there is none."""
        found = next((n for n, one in enumerate(self.sweep.cells) if one.run is None and not one.problem), None)
        if found is None and (entry := self._chooser.next(self.sweep)) is not None:
            found = len(self.sweep.cells)
            self._keep(self.sweep.model_copy(update={"cells": (*self.sweep.cells, entry)}))
        return found

    def _room(self) -> bool:
        """Whether the machine's queue takes one more: other runs of the same owner may wait there, too."""
        line = queue.tickets(self._store.runs_dir)
        return sum(ticket.owner == LOCAL and not run.is_alive() for run, ticket in line) < self._most_waiting

    def _begin(self, place: int) -> None:
        entry = self.sweep.cells[place]
        run = None
        try:
            run = self._make(cell_of(self.sweep.base, entry.values), entry.name)
            self._set(place, run=run.id)  # before it is queued: whoever goes on finds it
            jobs.start(run)
        except FtspaceError as error:
            if run is not None:
                self._set(place, run=None)
                self._store.delete(run.id)
            if not any(one.run for one in self.sweep.cells):
                raise  # the first of all: so it would be with every other
            self._set(place, problem=str(error))
            self._tell(place, f"no run can be made: {error}")
            self._chooser.over(self.sweep.cells[place], place, None)
            return
        self._going.append(_Going(place, RunReader(run)))
        self._tell(place, f"run {run.id}")

    def _make(self, cell: Cell, name: str) -> Run:
        def fill(run: Run) -> None:
            rows = self._rows.lay(run)
            if self.sweep.search and not rows["validation"]:
                raise ConfigError(f"{NO_VALIDATION}; raise data.validation_fraction")
            write_label(run, Label(title=clipped(name, TITLE), tags=(self.sweep.tag,)))

        return self._store.create(self.config_of(cell.config), fill=fill)

    def config_of(self, config: RunConfig) -> RunConfig:
        """A cell's config as it is run: a search asks the test questions of its best cell alone."""
        if not self.sweep.search:
            return config
        return config.model_copy(update={"eval": config.eval.model_copy(update={"tasks": [], "forgetting": []})})

    def _look(self, going: _Going) -> None:
        place, reader = going.place, going.reader
        entry, run = self.sweep.cells[place], reader.run
        status = reader.status()
        if status not in TERMINAL or run.ticket.exists() or run.is_alive():
            if status == "running" and not entry.pruned and (why := self._chooser.watch(entry, place, reader)):
                self._prune(place, run, why)
            return
        end = reader.state.end(run.jobs)
        goes_on = status == "interrupted" or (end is not None and end.reason and EXPLAINED[end.reason].goes_on)
        if status in ("failed", "interrupted") and goes_on and not entry.retried:
            said = end.message if end else "its processes are gone"
            self._tell(place, f"failed ({said}); it is tried once more")
            self._set(place, retried=True)
            jobs.resume(run)
            return
        self._going.remove(going)
        self._chooser.over(entry, place, reader)
        if entry.pruned:
            return
        took = duration(sum(one.seconds for one in reader.state.ended.values()))
        said = f"finished in {took}" if status == "finished" else f"{status}: {end.message if end else 'cut off'}"
        self._tell(place, said)

    def _prune(self, place: int, run: Run, why: str) -> None:
        with suppress(JobError):  # it ended by itself just now
            jobs.stop(run, discard=True)
            self._set(place, pruned=why)
            self._tell(place, f"ended early: {why}")
            label = read_label(run)
            with suppress(FtspaceError):
                write_label(run, label.model_copy(update={"note": f"Ended early by the sweep: {why}."}))

    def _keep_queue_going(self) -> None:
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            jobs.look_after(self._store)

    def _tell(self, place: int, said: str) -> None:
        of = self.sweep.trials or len(self.sweep.cells)
        self._say(f"cell {place + 1} of {of}, {self.sweep.cells[place].name}: {said}")

    def _set(self, place: int, **changes: object) -> None:
        self._keep(self.sweep.with_cell(place, **changes))

    def _keep(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self._sweeps.save(sweep)
