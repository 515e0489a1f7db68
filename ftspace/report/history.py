"""The numbers of a run's steps, column by column: thinned to what can be drawn, or all of them as CSV.

Knows a run's state, no files and no screen. A column is thinned as `chart.Curve` does it, to means over equally many
steps; the speed of such a stretch is its tokens by its seconds, without those of validations and checkpoints.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from ftspace.events import Step
from ftspace.report.chart import MOST, Point
from ftspace.state import RunState

Table = np.ndarray[Any, np.dtype[np.float64]]
MEANS = ("loss", "learning_rate", "grad_norm", "token_accuracy", "memory")
SPEED = "speed"
_ROWS = (*MEANS, "tokens", "seconds")
_TOKENS, _SECONDS = _ROWS.index("tokens"), _ROWS.index("seconds")
_OWN = ("epoch", "loss", "learning_rate", "grad_norm", "token_accuracy", "tokens", "seconds", "memory")
_MEASURED = ("loss", "token_accuracy", "score")


@dataclass(frozen=True)
class Thinned:
    """The columns of a run's steps as at most MOST points each."""

    every: int
    """So many steps make a point."""
    curves: dict[str, list[Point]]
    """By the name of the column; without points where there is no number."""


class History:
    """Follows the steps of a run: what is new costs what is new."""

    def __init__(self) -> None:
        """Without a step."""
        self._begin()

    def _begin(self) -> None:
        self._every, self._seen = 1, 0
        self._last: Step | None = None
        self._ends = np.zeros(MOST)
        self._sums, self._counts = np.zeros((len(_ROWS), MOST)), np.zeros((len(_ROWS), MOST))

    def follow(self, state: RunState) -> Thinned:
        """All columns, given that the steps are what they were the last time and more; else begun anew."""
        steps = state.steps
        if self._seen > len(steps) or (self._seen and steps[self._seen - 1] is not self._last):
            self._begin()
        while len(steps) // self._every >= MOST:
            self._merge()
        if len(steps) > self._seen:
            self._take(steps, state)
        self._seen, self._last = len(steps), steps[-1] if steps else None
        return self._thinned()

    def _merge(self) -> None:
        """Puts stretches together by twos."""
        half = MOST // 2
        for table in (self._sums, self._counts):
            table[:, :half] = table.reshape(len(_ROWS), half, 2).sum(axis=2)
            table[:, half:] = 0
        self._ends[:half] = self._ends.reshape(half, 2).max(axis=1)
        self._ends[half:] = 0
        self._every *= 2

    def _take(self, steps: Sequence[Step], state: RunState) -> None:
        """Adds the new steps to their stretches; tokens and seconds only where nothing else took time."""
        new = steps[self._seen :]
        table = np.empty((len(_ROWS), len(new)))
        for row, name in enumerate(_ROWS):
            table[row] = np.array(list(map(attrgetter(name), new)), dtype=float)
        number = np.fromiter((one.step for one in new), float, len(new))
        interrupted = np.isin(number - 1, _breaks(state))
        before = steps[self._seen - 1] if self._seen else None
        for row in (_TOKENS, _SECONDS):
            table[row] = np.diff(table[row], prepend=getattr(before, _ROWS[row]) if before else math.nan)
            table[row, interrupted] = math.nan
        finite = np.isfinite(table)
        table[~finite] = 0
        place = np.arange(self._seen, len(steps)) // self._every
        first = np.flatnonzero(np.diff(place, prepend=-1))
        where = place[first]
        self._sums[:, where] += np.add.reduceat(table, first, axis=1)
        self._counts[:, where] += np.add.reduceat(finite.astype(float), first, axis=1)
        self._ends[where] = number[np.append(first[1:], len(new)) - 1]

    def _thinned(self) -> Thinned:
        steps = self._ends[: -(-self._seen // self._every)].astype(int).tolist()
        sums, counts = self._sums[:, : len(steps)], self._counts[:, : len(steps)]
        means = _ratio(sums, counts)
        curves = {name: _points(steps, means[row]) for row, name in enumerate(MEANS)}
        speed = _ratio(sums[_TOKENS], sums[_SECONDS])
        return Thinned(self._every, curves | {SPEED: _points(steps, speed)})


def _ratio(one: Table, other: Table) -> Table:
    return np.divide(one, other, out=np.full(one.shape, math.nan), where=other > 0)


def _breaks(state: RunState) -> list[int]:
    """The steps after which time was spent on something else than training."""
    measured = (one.step for one in state.validations)
    return [*measured, *state.checkpoints, *(one.step for one in state.resumes)]


def _points(steps: Sequence[int], values: Table) -> list[Point]:
    return [(step, value) for step, value in zip(steps, values.tolist(), strict=True) if math.isfinite(value)]


def as_csv(state: RunState) -> Iterator[str]:
    """Lines of all that was told of each step and at each validation, after a head; nothing is thinned."""
    validations = {one.step: one for one in state.validations}
    trained = {one.step: one for one in state.steps}
    own, measured = attrgetter(*_OWN), attrgetter(*_MEASURED)
    none = (None,) * len(_OWN), (None,) * len(_MEASURED)
    yield ",".join(("step", *_OWN, *(f"validation_{name}" for name in _MEASURED))) + "\n"
    for step in sorted({*trained, *validations}):
        told = own(trained[step]) if step in trained else none[0]
        found = measured(validations[step]) if step in validations else none[1]
        yield f"{step}," + ",".join("" if value is None else str(value) for value in (*told, *found)) + "\n"
