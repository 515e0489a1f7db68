"""How a training goes: its clock, its best validation, its patience, and when it has diverged. Pure; knows no torch."""

import math
import time
from dataclasses import dataclass, field
from statistics import median

from pydantic import BaseModel, ConfigDict

from ftspace.budgets import Budget

WINDOW = 50
"""Steps whose losses are what is usual."""
FIRST = 10
"""Steps before which nothing is usual yet."""
FACTOR = 2.0
"""A loss so many times what is usual is high."""
IN_A_ROW = 5
"""High losses in a row that are no chance."""


class Memory(BaseModel):
    """What a checkpoint holds of a course."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float
    best: float | None
    best_step: int | None
    waited: int
    unmeasured: bool
    start: float | None
    usual: list[float]
    high: int
    lost: float = 0.0


@dataclass
class Course:
    """What is known of a training up to now. All but `broken` goes into a checkpoint."""

    by_score: bool = False
    """Whether the best validation is that of the highest score, instead of the lowest loss."""
    patience: int | None = None
    budget: Budget | None = None
    best: float | None = None
    best_step: int | None = None
    waited: int = 0
    """Validations since the best."""
    unmeasured: bool = False
    """Whether a stop cut a validation off, which is then due."""
    broken: str | None = None
    """What became of the loss, once the training has diverged."""
    spent: str | None = None
    """What is said of the budget, once it is used up."""
    first_bad: int | None = None
    """The first step that showed it."""
    _start: float | None = None
    """The highest of the first losses."""
    _usual: list[float] = field(default_factory=list[float])
    _high: int = 0
    _before: float = 0.0
    """Seconds of training before this process."""
    _lost: float = 0.0
    """Seconds of training that were taken back."""
    _began: float = field(default_factory=time.monotonic)
    _agreed: float | None = None
    """What the clock says until the next word on it, where several processes go by one."""

    @property
    def seconds(self) -> float:
        """Seconds of training, those before a resume included."""
        return time.monotonic() - self._began if self._agreed is None else self._agreed

    def start(self) -> None:
        """Starts the clock, where it stood."""
        self._began, self._agreed = time.monotonic() - self._before, None

    def agree(self, clock: float) -> None:
        """Goes by another process's `clock`, so that all decide alike."""
        self._agreed = clock

    @property
    def clock(self) -> float:
        """What this process's own clock says."""
        return time.monotonic() - self._began

    def spend(self, step: int, of: int) -> bool:
        """Looks at the clock; whether the budget is used up before the last step, which `spent` then says."""
        if self.budget and step < of and self.seconds + self._lost >= self.budget.seconds:
            self.spent = self.budget.told(step, of)
        return self.spent is not None

    def take_back(self, to: float) -> None:
        """The training goes back to when so many seconds had passed: those since then count for the budget alone."""
        self._lost += self.seconds - to

    def lost(self, seconds: float) -> None:
        """So many seconds were trained in all and cut off after the checkpoint: they count for the budget alone."""
        self._lost = max(self._lost, seconds)

    @property
    def doubtful(self) -> bool:
        """Whether the newest losses are high: it may be diverging."""
        return self._high > 0

    @property
    def out_of_patience(self) -> bool:
        """Whether no validation has been better for as long as was to be waited."""
        return self.patience is not None and self.waited >= self.patience

    def watch(self, step: int, loss: float, grad_norm: float | None) -> None:
        """Takes in a step; `broken` says whether the training has diverged.

        A loss or gradient that is no finite number cannot be recovered from. A finite loss has exploded when for
        IN_A_ROW steps it is above FACTOR times the median of the last WINDOW and above all that the first FIRST steps
        showed: worse than where the training began, so that nothing that was learnt is left. One high batch, a change
        of topic or a loss that is near zero everywhere are none of this. (PaLM, Chowdhery et al. 2022, 5.1, saw spikes
        that were no single bad batch, and went back to a checkpoint from before them.)
        """
        for name, value in (("loss", loss), ("grad_norm", grad_norm)):
            if value is not None and not math.isfinite(value):
                self.broken, self.first_bad = f"{name} became {value} at step {step}", step
                return
        if self._start is not None and loss > max(FACTOR * median(self._usual), self._start):
            self._high += 1
            if self._high >= IN_A_ROW:
                self.broken = (
                    f"the loss rose to {loss:.3g} at step {step}, where {median(self._usual):.3g} had been usual, "
                    f"and has not come back for {IN_A_ROW} steps"
                )
                self.first_bad = step - IN_A_ROW + 1
            return
        self._high = 0
        self._usual = [*self._usual[1 - WINDOW :], loss]
        if self._start is None and len(self._usual) == FIRST:
            self._start = max(self._usual)

    def lost_weights(self, step: int) -> None:
        """The trained weights are no numbers any more: the next loss would be none."""
        self.broken, self.first_bad = f"the trained weights became infinite or no numbers at step {step}", step + 1

    def validated(self, step: int, loss: float, score: float | None) -> bool:
        """Takes in a validation; whether it is the best so far. One without a number counts for nothing."""
        self.unmeasured = False
        value = score if self.by_score else loss
        if value is None or not math.isfinite(value):
            return False
        if self.best is None or (value > self.best if self.by_score else value < self.best):
            self.best, self.best_step, self.waited = value, step, 0
            return True
        self.waited += 1
        return False

    def told(self) -> str:
        """The best validation in words."""
        what = "score" if self.by_score else "validation loss"
        return f"the {what} of {self.best:.3f} at step {self.best_step}"

    def memory(self) -> Memory:
        """What a checkpoint must hold of it."""
        return Memory(
            seconds=self.seconds,
            best=self.best,
            best_step=self.best_step,
            waited=self.waited,
            unmeasured=self.unmeasured,
            start=self._start,
            usual=self._usual,
            high=self._high,
            lost=self._lost,
        )

    def remember(self, memory: Memory) -> None:
        """Goes on from there."""
        self._before = memory.seconds
        self.start()
        self.best, self.best_step, self.waited = memory.best, memory.best_step, memory.waited
        self.unmeasured, self.broken, self.spent = memory.unmeasured, None, None
        self.first_bad = None
        self._lost = max(self._lost, memory.lost)
        self._start, self._usual, self._high = memory.start, list(memory.usual), memory.high
