"""A search in place of a grid: Optuna says which cell comes next, by the validation losses of those before.

Its study lies beside the sweep's file, as a journal, so it goes on where it was. What it goes by are validation rows:
no cell of a search is asked a question of the test. Optuna is imported when a search begins.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspace.config import RunConfig
from ftspace.errors import ConfigError
from ftspace.runs import RunReader
from ftspace.sweeps.collect import kept_loss, kept_score
from ftspace.sweeps.drive import NO_VALIDATION
from ftspace.sweeps.grid import Axis, check_ends, name_of
from ftspace.sweeps.store import Entry, Sweep

if TYPE_CHECKING:
    from optuna import Trial

JOURNAL = "optuna.journal"
FIRST = 4
"""So many trials are finished before one is ended early."""
_TRIES = 50
"""Suggestions in a row that were made before, after which there is taken to be nothing new."""
_DIGITS = 4
"""Of a number that is searched for."""


def check_search(base: RunConfig, axes: list[Axis], trials: int) -> None:
    """Raises ConfigError for a search that cannot be made."""
    if trials < 2:
        raise ConfigError(f"--trials {trials}: a search has 2 trials or more")
    if base.data.validation_fraction == 0 and base.data.validation_split == "none":
        raise ConfigError(f"{NO_VALIDATION}; raise data.validation_fraction")
    check_ends(base, axes)


class Searcher:
    """Says what is tried next, and ends early what is no good."""

    def __init__(self, sweep: Sweep, journal: Path, at_once: int) -> None:
        """Opens the study, or begins it. Trials that were begun and have no cell were cut off, and count as failed."""
        import optuna
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        backend = JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal)))
        seed = sweep.base.train.seed + len(sweep.cells)  # a search that goes on does not draw the same again
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=sweep.id,
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(FIRST, min(10, sweep.trials // 3))),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST),
        )
        self._states = optuna.trial.TrialState
        self.at_once: int | None = at_once
        self._axes = [one.axis() for one in sweep.axes]
        self._by_score = sweep.base.train.best_by == "score"
        self._trials: dict[int, Trial] = {}
        mine = {entry.trial for entry in sweep.cells}
        for one in self._study.get_trials(deepcopy=False, states=[self._states.RUNNING]):
            if one.number not in mine:
                self._study.tell(one.number, state=self._states.FAIL)

    def next(self, sweep: Sweep) -> Entry | None:
        """The next cell; None once there are as many as were asked for, or nothing new is suggested."""
        if len(sweep.cells) >= sweep.trials:
            return None
        known = {entry.name: entry for entry in sweep.cells}
        for _ in range(_TRIES):
            trial = self._study.ask()
            values = {axis.field: self._suggested(trial, axis) for axis in self._axes}
            name = name_of(values)
            if name not in known:
                self._trials[trial.number] = trial
                return Entry(name=name, values=values, trial=trial.number)
            self._tell_again(trial.number, known[name])
        return None

    def watch(self, entry: Entry, place: int, reader: RunReader) -> str:
        """Reports the validations of a run at work; why it is ended early, "" where it is not."""
        prepared = reader.state.prepared
        trial = self._trial_of(entry)
        if trial is None or prepared is None:
            return ""
        reported = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
        for told in reader.state.validations:
            value = self._value(told.loss, told.score)
            if told.step == 0 or told.step in reported or not math.isfinite(value):
                continue
            trial.report(value, told.step)
            if told.step < prepared.total_steps and trial.should_prune():
                what = "score of the samples" if self._by_score else "validation loss"
                shown = 1 - value if self._by_score else value
                return f"at step {told.step} its {what} of {shown:.3f} was worse than the median of the trials before"
        return ""

    def over(self, entry: Entry, place: int, reader: RunReader | None) -> None:
        """Tells the study how a cell ended."""
        if entry.trial is None:
            return
        state, value = self._states.FAIL, math.nan
        if entry.pruned:
            state = self._states.PRUNED
        elif reader is not None and reader.status() == "finished":
            run, told = reader.run, reader.state
            value = self._value(kept_loss(run, told), kept_score(run, told))
            state = self._states.COMPLETE if math.isfinite(value) else self._states.FAIL
        values = value if state == self._states.COMPLETE else None
        self._study.tell(entry.trial, values, state=state, skip_if_finished=True)

    def best(self, sweep: Sweep) -> Entry | None:
        """The cell whose kept weights are best on the validation rows; None where none was finished."""
        done = self._study.get_trials(deepcopy=False, states=[self._states.COMPLETE])
        values = {one.number: one.value for one in done if one.value is not None}
        cells = [(values[one.trial], one) for one in sweep.cells if one.trial in values]
        return min(cells, key=lambda one: one[0])[1] if cells else None

    def _trial_of(self, entry: Entry) -> "Trial | None":
        """The trial of a cell, taken up by its number where another process began it: the file holds no other study."""
        if entry.trial is None:
            return None
        if entry.trial not in self._trials:
            from optuna import Trial

            self._trials[entry.trial] = Trial(self._study, entry.trial)
        return self._trials[entry.trial]

    def _tell_again(self, number: int, entry: Entry) -> None:
        """A suggestion that was tried before gets what that came to."""
        before = None if entry.trial is None else self._study.get_trials(deepcopy=False)[entry.trial]
        if before is not None and before.state == self._states.COMPLETE:
            self._study.tell(number, before.value)
        else:
            self._study.tell(number, state=self._states.FAIL)

    def _suggested(self, trial: "Trial", axis: Axis) -> Any:
        if not axis.is_range:
            choices = [str(place) for place in range(len(axis.values))]
            return axis.values[int(trial.suggest_categorical(axis.field, choices))]
        if axis.whole:
            return trial.suggest_int(axis.field, math.ceil(axis.low), math.floor(axis.high), log=axis.is_log)
        return float(f"{trial.suggest_float(axis.field, axis.low, axis.high, log=axis.is_log):.{_DIGITS}g}")

    def _value(self, loss: float, score: float | None) -> float:
        """What is to be small."""
        if not self._by_score:
            return loss
        return math.nan if score is None else 1 - score
