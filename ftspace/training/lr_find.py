"""The learning-rate range test: which rate a sweep over rates suggests. Knows numbers only; sweep.py makes the steps.

Smith, "Cyclical Learning Rates for Training Neural Networks" (2017): raise the rate exponentially from step to step and
look at the loss. The two rules are those that fastai made known: the rate of the steepest fall, and a tenth of the rate
of the lowest loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftspace.training.trends import Numbers, noise

LOWEST, HIGHEST = 1e-6, 1.0
"""The rates of the first and the last step."""
EXPLODES = 4.0
"""A loss of so many times the lowest ends the sweep: fastai's rule."""
FEWEST = 20
"""Steps under which a sweep shows nothing."""
_WIDTH = 2.0
"""Steps over which the curve is smoothed: standard deviations of the window."""
_SURE = 4.0
_LEAST = 0.02
"""A fall of less than this share of the loss is none."""


@dataclass(frozen=True)
class Found:
    """What a sweep shows."""

    suggestion: float | None
    """The rate to take; None where the curve gives no reason for any."""
    steepest: float | None
    """Where the loss falls fastest."""
    lowest: float | None
    """Where it is lowest."""
    words: str
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]


def rate_at(step: int, steps: int) -> float:
    """The rate of a step, from 0 on: LOWEST at the first, HIGHEST at the last."""
    return LOWEST * (HIGHEST / LOWEST) ** (step / max(steps - 1, 1))


def suggest(rates: Sequence[float], losses: Sequence[float]) -> Found:
    """The rate that a sweep suggests, and how sure that is; losses that are no number end it."""
    count = next((place for place, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    rate, loss = np.array(rates[:count], dtype=float), np.array(losses[:count], dtype=float)
    if count < FEWEST:
        words = f"The loss was lost after {count} steps: too few to tell. Give it more with --steps."
        return _nothing(words, rate, loss, loss)
    smooth = smoothed(loss)
    lowest = int(np.argmin(smooth))
    spread = noise(loss[: max(FEWEST // 2, lowest)])
    begin = float(np.median(loss[: max(3, count // 10)]))
    fall = begin - float(smooth[lowest])
    sure = max(_SURE * spread / (2 * _WIDTH) ** 0.5, _LEAST * abs(begin))
    if lowest < 3 or fall < sure:
        words = (
            f"The curve is flat: the loss fell by no more than {max(fall, 0.0):.3g}, and {sure:.2g} would be needed to "
            "tell it from noise. No rate is suggested: give it more with --steps or a larger train.batch_size."
        )
        return _nothing(words, rate, loss, smooth)
    slopes = np.gradient(smooth, np.log10(rate))
    steepest = int(np.argmin(slopes[: lowest + 1]))
    first, second = float(rate[steepest]), float(rate[lowest]) / 10
    suggestion = float(f"{min(first, second):.1g}")
    words = f"Take about {suggestion:g}: the loss falls fastest at {first:.1g} and is lowest at {rate[lowest]:.1g}."
    if lowest >= count - 2 and count == len(losses):
        words += " It still fell at the highest rate, so even more may do."
    elif max(first, second) > 5 * min(first, second):
        words += " The two rules are far apart: this is the careful one."
    return Found(suggestion, first, float(rate[lowest]), words, *map(_plain, (rate, loss, smooth)))


def smoothed(loss: Numbers) -> Numbers:
    """The curve under a bell-shaped window; at its ends the window is cut."""
    places = np.arange(len(loss))
    weights = np.exp(-0.5 * ((places[:, None] - places) / _WIDTH) ** 2)
    return weights @ loss / weights.sum(axis=1)


def exploded(losses: Sequence[float]) -> bool:
    """Whether a sweep can end: three steps in a row lie far above the lowest mean of three."""
    if losses and not math.isfinite(losses[-1]):
        return True
    if len(losses) < 6:
        return False
    threes = np.convolve(np.array(losses, dtype=float), np.ones(3) / 3, mode="valid")
    return min(losses[-3:]) > EXPLODES * float(threes.min())


def sparkline(values: Sequence[float]) -> str:
    """The curve in a line of text."""
    bars = "▁▂▃▄▅▆▇█"
    low, high = min(values, default=0.0), max(values, default=0.0)
    return "".join(bars[int((value - low) / (high - low or 1.0) * (len(bars) - 1))] for value in values)


def _nothing(words: str, rate: Numbers, loss: Numbers, smooth: Numbers) -> Found:
    return Found(None, None, None, words, *map(_plain, (rate, loss, smooth)))


def _plain(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
