"""What the curves of a run show: panels over one axis of steps, what is marked on it, and where the opening ends.

Pure: numbers in, numbers and words out; curves_markup.py draws them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ftspace.config import RunConfig
from ftspace.report.chart import Curve, Point
from ftspace.report.history import SPEED, History
from ftspace.state import RunState

SMOOTHED = 30
"""A training curve of so many points has a smooth line beside its own."""
OPENING = 0.1
"""The opening ends where all but this share of the fall is done."""
_FLATTENS = 3.0
"""By so many times an opening makes an axis longer before it is hidden by itself."""
_APART = 0.02
"""Share of the axis that lies between two signs of a kind."""

Tone = Literal["training", "validation"]


@dataclass(frozen=True)
class Line:
    """One curve of a panel."""

    name: str
    tone: Tone
    points: Sequence[Point]
    smooth: Sequence[Point] = ()
    """The means about each point; the points themselves stay."""


@dataclass(frozen=True)
class Panel:
    """Curves with an axis of their own."""

    key: str
    title: str
    lines: tuple[Line, ...]
    digits: int | None = None
    """Behind the point; None for three that count."""
    log: bool = False
    """Whether it can be drawn on a logarithmic scale."""


@dataclass(frozen=True)
class Sign:
    """Something that happened at a step."""

    kind: Literal["checkpoint", "best", "resumed", "rollback"]
    step: int


@dataclass(frozen=True)
class Curves:
    """All panels of a run."""

    panels: tuple[Panel, ...]
    every: int
    """So many steps make a point."""
    last: int
    signs: tuple[Sign, ...] = ()
    opening: int | None = None
    """Steps that can be hidden: they hold most of the fall."""
    hide: bool = False
    """Whether they flatten the rest so much that they are hidden unless somebody wants them."""
    run_id: str = ""
    """Whose numbers can be had as a file."""


@dataclass
class Following:
    """The curves of a run that grows."""

    history: History = field(default_factory=History)
    losses: Curve = field(default_factory=Curve)

    def curves(self, state: RunState, config: RunConfig, run_id: str) -> Curves | None:
        """What there is to draw now; None before there is anything."""
        found = self.history.follow(state)
        validation = self.losses.follow(state.validations)
        told = found.curves
        if not told["loss"] and not validation:
            return None
        scale, unit = (1e9, "GB") if max((most for _, most in told["memory"]), default=0) >= 1e9 else (1e6, "MB")
        right = [(one.step, 100 * one.token_accuracy) for one in state.validations if one.token_accuracy is not None]
        training = Line("training", "training", told["loss"], smoothed(told["loss"]))
        panels = [
            Panel("loss", "Loss", _there(training, Line("validation", "validation", validation)), 3, log=True),
            Panel("rate", "Learning rate", _there(Line("learning rate", "training", told["learning_rate"]))),
            Panel("norm", "Gradient norm", _there(Line("gradient norm", "training", told["grad_norm"]))),
            Panel("speed", "Tokens a second", _there(Line("tokens a second", "training", told[SPEED])), 0),
            Panel(
                "memory",
                f"Peak memory, {unit}",
                _there(Line(f"{unit} of memory", "training", _over(told["memory"], scale))),
                2 if unit == "GB" else 0,
            ),
            Panel(
                "right",
                "Tokens right, %",
                _there(
                    Line("% right in training", "training", _over(told["token_accuracy"], 0.01)),
                    Line("% right in validation", "validation", _thin(right)),
                ),
                1,
            ),
        ]
        cut, hide = opening(told["loss"])
        last = max(step for line in panels[0].lines for step, _ in line.points)
        return Curves(
            tuple(panel for panel in panels if panel.lines), found.every, last, tuple(_signs(state, config, last)),
            cut, hide, run_id,
        )  # fmt: skip


def opening(points: Sequence[Point]) -> tuple[int | None, bool]:
    """How many of the first steps hold most of the fall, as a round number, and whether they flatten the rest.

    None where there is no such opening, or where little would be left without it.
    """
    if len(points) < SMOOTHED:
        return None, False
    values = [value for _, value in points]
    top, low = max(values[:3]), min(values)
    end = next(step for step, value in points if value <= low + OPENING * (top - low))
    end = min(end, points[-1][0] // 3)
    cut = _round(end)
    rest = [value for step, value in points if step >= cut]
    if cut < 2 or top <= low:
        return None, False
    return cut, top - low > _FLATTENS * (max(rest) - min(rest))


def _round(step: int) -> int:
    size = 10 ** max(0, len(str(step)) - 1)
    return max((size * times for times in (1, 2, 3, 5) if size * times <= step), default=0)


def smoothed(points: Sequence[Point]) -> list[Point]:
    """The mean of about a twentieth of the curve around each point, of fewer at its ends; [] for a short curve."""
    count = len(points)
    if count < SMOOTHED:
        return []
    reach = max(2, count // 40)
    sums = np.concatenate([[0.0], np.cumsum([value for _, value in points])])
    place = np.arange(count)
    around = np.minimum(reach, np.minimum(place, count - 1 - place))
    means = (sums[place + around + 1] - sums[place - around]) / (2 * around + 1)
    return [(step, mean) for (step, _), mean in zip(points, means.tolist(), strict=True)]


def _there(*lines: Line) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.points)


def _over(points: Sequence[Point], scale: float) -> list[Point]:
    return [(step, value / scale) for step, value in points]


def _thin(points: list[Point]) -> list[Point]:
    return points[:: -(-len(points) // 400) or 1]


def _signs(state: RunState, config: RunConfig, last: int) -> list[Sign]:
    """What is marked; of what lies close together the newest."""
    found = _apart([Sign("checkpoint", step) for step in state.checkpoints], last)
    resumes = [Sign("rollback" if one.reason == "rollback" else "resumed", one.step) for one in state.resumes]
    found += _apart(resumes, last)
    by_score = config.train.best_by == "score"
    scores = [(-(one.score or math.nan) if by_score else one.loss, one.step) for one in state.validations]
    measured = [one for one in scores if math.isfinite(one[0])]
    if len(measured) > 1:
        found.append(Sign("best", min(measured)[1]))
    return found


def _apart(signs: list[Sign], last: int) -> list[Sign]:
    kept: list[Sign] = []
    for sign in reversed(signs):
        if not kept or kept[-1].step - sign.step >= _APART * last:
            kept.append(sign)
    return kept[::-1]
