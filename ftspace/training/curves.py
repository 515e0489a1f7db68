"""The numbers of a run's events that a judgement needs: losses, where they began, how far they fell, what more brings.

Knows no torch, and judges nothing: diagnosis.py does.
"""

import math
from functools import cached_property

import numpy as np

from ftspace.config import RunConfig
from ftspace.state import RunState
from ftspace.training.trends import Level, Numbers, Trend, level, noise, trend

MOST = 2000
"""Steps that are looked at; of more, every so many."""
FEWEST = 12
"""Steps before which nothing is said of a slope."""
SHARE = 0.25
"""Share of the planned steps before which nothing is said to be over or in vain."""
SURE = 3.0
"""Standard errors from which on a difference is taken for one."""
FLAT = 0.01
"""A change of the loss by less than this share is none."""
_SINCE = (0.2, 0.35, 0.5, 0.67)
"""Shares of the training since which its trend is looked at."""


class Curves:
    """The numbers of a run, thinned to what a judgement needs."""

    def __init__(self, state: RunState, config: RunConfig) -> None:
        """Steps and validations whose loss is a number; those that a resume made void are not in the state."""
        steps = state.steps[:: max(1, len(state.steps) // MOST)]
        self.config = config
        self.state = state
        self.last_step = state.steps[-1].step if state.steps else 0
        self.total = state.prepared.total_steps if state.prepared else 0
        self.over = "train" in state.ended
        finite = [one for one in steps if math.isfinite(one.loss)]
        self.step = np.array([one.step for one in finite], dtype=float)
        self.loss = np.array([one.loss for one in finite], dtype=float)
        self.epoch = np.array([one.epoch for one in finite], dtype=float)
        self.rate = np.array([one.learning_rate for one in finite], dtype=float)
        self.norms = np.array([one.grad_norm for one in finite if one.grad_norm is not None], dtype=float)
        validations = [one for one in state.validations if math.isfinite(one.loss)]
        self.asked = np.array([one.step for one in validations], dtype=float)
        self.validation = np.array([one.loss for one in validations], dtype=float)

    @property
    def far_enough(self) -> bool:
        """Whether so much of the plan is done that a standstill means something."""
        return len(self.loss) >= FEWEST and (self.over or self.last_step >= SHARE * self.total)

    @cached_property
    def noise(self) -> float:
        """Of one step, in the later half."""
        return noise(self.loss[len(self.loss) // 2 :]) if len(self.loss) >= 8 else noise(self.loss)

    @cached_property
    def start(self) -> Level:
        """Where the training loss began: its first steps, before the rate has done much."""
        return level(self.loss[: max(3, len(self.loss) // 50)], self.noise)

    @cached_property
    def now(self) -> Level:
        """Where the training loss is: its last fifth."""
        return level(self.loss[-max(5, len(self.loss) // 5) :], self.noise)

    @cached_property
    def passed(self) -> Numbers:
        """How much training lay before each step: the sum of the rates, so that a falling rate is no standstill."""
        sums = np.cumsum(np.maximum(self.rate, 0.0))
        return sums / sums[-1] if self.rate.any() else self.step / self.step.max(initial=1.0)

    @property
    def validated(self) -> bool:
        """Whether the validation loss is known from the start on: it has next to no noise, so it is asked first."""
        return len(self.validation) > 1 and self.asked[0] == 0

    @property
    def whose(self) -> str:
        """Which loss `fall` is of."""
        return "validation" if self.validated else "training"

    @cached_property
    def jitter(self) -> float:
        """Noise of one validation; 0 where too few can tell."""
        found = noise(self.validation)
        return 0.0 if math.isnan(found) else found

    @cached_property
    def fall(self) -> tuple[float, float, float]:
        """Where the loss began, how far it fell since, and the error of that."""
        if self.validated:
            return float(self.validation[0]), float(self.validation[0] - self.validation[-1]), self.jitter
        error = math.hypot(self.start.error, self.now.error)
        return self.start.value, self.start.value - self.now.value, error

    @property
    def fell(self) -> bool:
        """Whether the loss fell, beyond noise."""
        begin, fall, error = self.fall
        return fall > max(SURE * error, FLAT * begin)

    @cached_property
    def validation_gain(self) -> Trend | None:
        """Change of the validation loss when the training doubles; None while too few points tell."""
        if len(self.step) < FEWEST:
            return None
        return _doubling(np.interp(self.asked, self.step, self.passed, left=0.0), self.validation, 4)

    @cached_property
    def training_gain(self) -> Trend | None:
        """The same of the training loss."""
        return _doubling(self.passed, self.loss, FEWEST)

    @property
    def gain(self) -> tuple[str, float, Trend | None]:
        """Which loss tells best what more training brings, where it is, and how it changes as the training doubles.

        The tighter bound of the two: the training loss falls on where rows are seen again, and the validation loss is
        asked too seldom to tell an early fall from a late one.
        """
        training, validation = self.training_gain, self.validation_gain
        if validation is None or (training is not None and training.steepest < validation.steepest):
            return "training", self.now.value, training
        return "validation", float(np.median(self.validation[-3:])), validation


def _doubling(passed: Numbers, loss: Numbers, fewest: int) -> Trend | None:
    """The change as the training doubles: the tightest bound that newer and longer parts of the curve give.

    A falling loss flattens out, so what was flat over a longer part is flat now.
    """
    parts = [part for since in _SINCE if (part := passed > since).sum() >= fewest]
    found = [trend(np.log2(passed[part]), loss[part]) for part in parts]
    return min(found, key=lambda one: one.steepest, default=None)
