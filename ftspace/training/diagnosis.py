"""What a training's curves say, in words, with the evidence and what to change: a pure function of a run's state.

Knows no torch. A run is judged by robust statistics against its own noise, and is told to be well unless something else
is shown: ten checks, the gravest first, and the first that holds is the answer. The limits are our own judgement, and
tests/training/test_diagnosis.py counts how often they err on simulated runs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ftspace.config import RunConfig
from ftspace.state import RunState
from ftspace.training.curves import FEWEST, FLAT, SURE, Curves
from ftspace.training.recipe import usual_rate
from ftspace.training.trends import level, noise, ranks_rise, stairs, trend

Kind = Literal[
    "early",
    "unsupervised",
    "diverged",
    "unstable",
    "overfitting",
    "memorizing",
    "not_learning",
    "noisy",
    "converged",
    "falling",
]
LITTLE = 0.01
"""A change of the loss by fewer nats for each token is none either."""
NEAR_ZERO = 0.05
"""Nats for each token under which a loss is next to nothing: the next token is right 19 times of 20."""
APART = 0.3
"""Share of the validation loss by which a training loss that is lower is far below it."""
LEAP = 1.3
"""A loss that rises by this factor and comes back leapt."""
_FIVE = 0.56
"""Standard error of the median of five over the noise of one."""
NOISY = 0.3
"""Noise of one step, as a share of the loss, from which on the batch is called small."""


@dataclass(frozen=True)
class Diagnosis:
    """What is going on in a training."""

    kind: Kind
    words: str
    """One sentence."""
    evidence: tuple[str, ...] = ()
    """What it rests on, with numbers."""
    change: str = ""
    """What to change, by the config's names; "" where nothing is wrong."""
    step: int | None = None
    """Where it began, or the step whose weights are the best."""
    sets: tuple[tuple[str, float], ...] = ()
    """What a new run may be given, by the config's names."""

    def __str__(self) -> str:
        """All of it in a line."""
        said = f"{self.words.rstrip('.')} ({'; '.join(self.evidence)})." if self.evidence else self.words
        return f"{said} {self.change}".rstrip()


def diagnose(state: RunState, config: RunConfig) -> Diagnosis:
    """What the events of a run add up to: the gravest thing that its curves show, else that all is well."""
    curves = Curves(state, config)
    found = (check(curves) for check in _CHECKS)
    return next(one for one in found if one is not None)


def _unsupervised(curves: Curves) -> Diagnosis | None:
    if len(curves.loss) >= 3 and not curves.loss.any():
        return Diagnosis(
            "unsupervised",
            "Nothing is learnt: no token is supervised.",
            (f"the loss is 0 at all {curves.last_step} steps",),
            "Look at what is trained with `ftspace inspect`: train.max_length may cut the answers off, or the chat "
            "template may hide them; train.loss_on all trains every token.",
        )
    if len(curves.norms) >= 3 and not curves.norms.any() and curves.rate.any():
        return Diagnosis(
            "unsupervised",
            "Nothing is learnt: no gradient reaches what is trained.",
            (f"grad_norm is 0 at all {curves.last_step} steps",),
            "Choose other layers with lora.target_modules, or all-linear.",
        )
    return None


def _diverged(curves: Curves) -> Diagnosis | None:
    state, advice = curves.state, _lower_rate(curves)
    broken = next((one for one in state.steps[-20:] if not math.isfinite(one.loss)), None)
    end = state.ended.get("train")
    if broken is not None or (end is not None and end.reason == "nan_loss"):
        at = broken.step if broken is not None else curves.last_step
        evidence = f"the loss or its gradient is no number from step {at} on"
        return Diagnosis("diverged", "The training diverged.", (evidence,), advice, at, _rate(_better_rate(curves)))
    if len(curves.loss) < FEWEST:
        return None
    rise = curves.now.value - curves.start.value
    error = math.hypot(curves.now.error, curves.start.error)
    if rise > max(0.15 * abs(curves.start.value), SURE * error):
        evidence = f"the training loss went from {_loss(curves.start.value)} to {_loss(curves.now.value)}"
        words = "The training went astray: the loss is above where it began."
        return Diagnosis("diverged", words, (evidence,), advice, sets=_rate(_better_rate(curves)))
    return None


def _unstable(curves: Curves) -> Diagnosis | None:
    if len(curves.loss) < 2 * FEWEST:
        return None
    five = np.median(np.lib.stride_tricks.sliding_window_view(np.log(np.maximum(curves.loss, 1e-9)), 5), axis=1)
    quiet = noise(np.log(np.maximum(curves.loss[-len(curves.loss) // 3 :], 1e-9)))
    top = int(np.argmax(five[2:])) + 2
    least = math.log(max(curves.start.value, 1e-9)) + max(math.log(LEAP), 6 * _FIVE * quiet)
    if five[top] > least:
        at, high = int(curves.step[top + 2]), math.exp(five[top])
        evidence = f"the training loss was {_loss(curves.start.value)} at the start and {_loss(high)} about step {at}"
    else:
        lows = np.minimum.accumulate(curves.validation)
        leaps = curves.validation[1:] / np.maximum(lows[:-1], 1e-9)
        top = int(np.argmax(leaps)) + 1 if len(leaps) > 1 else 0
        if not top or leaps[top - 1] < LEAP or curves.validation[-1] > lows[top - 1]:
            return None
        at, high = int(curves.asked[top]), float(curves.validation[top])
        evidence = f"the validation loss went from {_loss(float(lows[top - 1]))} up to {_loss(high)} at step {at}"
    return Diagnosis(
        "unstable",
        f"The loss leapt up around step {at} and came back: the steps are too large.",
        (evidence, f"the training loss is {_loss(curves.now.value)} now"),
        _lower_rate(curves) + " A longer train.warmup helps too.",
        at,
        _rate(_better_rate(curves)),
    )


def _overfitting(curves: Curves) -> Diagnosis | None:
    values = curves.validation
    if len(values) < 4 or len(curves.loss) < FEWEST:
        return None
    smooth = np.array([np.median(values[max(0, place - 1) : place + 2]) for place in range(len(values))])
    best = int(np.argmin(smooth[1:-1])) + 1
    best = max(range(best - 1, min(best + 2, len(values))), key=lambda place: -values[place])
    after = values[best + 1 :]
    if len(after) < 2:
        return None
    rise = float(np.median(after[-3:])) / float(values[best]) - 1
    steady = len(after) >= 6 and ranks_rise(after) > 2.5 and rise > max(FLAT, SURE * curves.jitter / values[best])
    large = float(after[len(after) // 2 :].min()) / float(values[best]) - 1 > (0.03 if len(after) > 2 else 0.06)
    if not (steady or large):
        return None
    at = int(curves.asked[best])
    before, since = (curves.loss[where] for where in (curves.step <= at, curves.step > at))
    width = min(len(before), len(since), max(5, len(curves.loss) // 20))
    if width < 3:
        return None
    then, now = level(before[-width:], curves.noise), level(since[-width:], curves.noise)
    if now.value > then.value + SURE * math.hypot(now.error, then.error):
        return None
    epoch = float(np.interp(at, curves.step, curves.epoch))
    kept = "which this run keeps" if curves.config.train.keep == "best" else "which train.keep best would keep"
    return Diagnosis(
        "overfitting",
        f"It overfits from step {at} on: take the weights of that step, {kept}.",
        (
            f"the validation loss rose from {_loss(float(values[best]))} at step {at} to {_loss(float(values[-1]))}",
            f"the training loss went from {_loss(then.value)} to {_loss(now.value)} meanwhile",
        ),
        f"Set train.epochs to {max(epoch, 0.1):.2g}, or train.patience to stop by itself; more rows help most.",
        at,
        _epochs(epoch),
    )


def _memorizing(curves: Curves) -> Diagnosis | None:
    if not curves.far_enough or curves.epoch[-1] <= 1.5:
        return None
    validated = float(curves.validation[-1]) if len(curves.validation) > 1 else math.nan
    now = curves.now.value
    drop, sure = stairs(curves.epoch, curves.loss, curves.noise)
    steps_down = f"it falls by {_loss(drop)} as each epoch begins anew, where the rows are seen again"
    stair_like = sure > SURE and drop > 0.02 * curves.start.value
    near_zero = now < NEAR_ZERO and not validated < 3 * max(now, NEAR_ZERO / 3)
    gain = curves.validation_gain
    idle = gain is not None and gain.steepest < FLAT * validated * 2
    apart = validated - now > APART * validated and idle
    if not (near_zero or apart or (stair_like and idle and drop > 0.05 * now)):
        return None
    evidence = [f"the training loss is {_loss(now)} after {curves.epoch[-1]:.1f} epochs"]
    if not math.isnan(validated):
        evidence.append(f"the validation loss is {_loss(validated)}")
    if stair_like:
        evidence.append(steps_down)
    return Diagnosis(
        "memorizing",
        "It memorizes the rows: what it still learns helps it with these only.",
        tuple(evidence),
        "Lower train.epochs or lora.r, raise lora.dropout, or add rows.",
        sets=_epochs(float(curves.epoch[-1]) / 2),
    )


def _not_learning(curves: Curves) -> Diagnosis | None:
    if not curves.far_enough or curves.now.value < NEAR_ZERO or len(curves.loss) < 2 * FEWEST:
        return None
    begin, fall, error = curves.fall
    rate, usual = float(curves.rate.max()), _usual(curves)
    low = rate < usual / 3
    lost = rate < usual / 10 and not curves.fell
    if not lost and fall + 2 * error > (2 * FLAT if low else FLAT) * begin:
        return None
    rise = f"Raise train.learning_rate to about {usual:g} (`ftspace lr-find` looks for it)."
    same = (
        "Look at the rows with `ftspace inspect`: what is supervised may be unlearnable, or known to the base already."
    )
    return Diagnosis(
        "not_learning",
        "It does not learn: the learning rate is too low." if low else "It does not learn.",
        (
            f"the {curves.whose} loss went from {_loss(begin)} to {_loss(begin - fall)} in {curves.last_step} steps",
            f"the highest rate so far is {rate:.2g}, and {usual:.2g} is usual",
        ),
        rise if low else f"{same} Or try another rate: `ftspace lr-find` looks for it.",
        sets=_rate(usual) if low else (),
    )


def _noisy(curves: Curves) -> Diagnosis | None:
    if not curves.far_enough or curves.now.value <= 0:
        return None
    share = curves.noise / curves.now.value
    whole = trend(curves.passed, curves.loss)
    if share < NOISY or whole.falls(SURE) or (curves.validated and curves.fell):
        return None
    batch = _batch(curves)
    return Diagnosis(
        "noisy",
        "The loss varies so much from step to step that no trend can be told: the batch is small.",
        (
            f"one step's loss varies by {share:.0%} of {_loss(curves.now.value)}",
            f"the trend is {whole.slope:+.3f} ± {2 * whole.error:.3f} over all steps",
        ),
        f"Raise train.batch_size{f' from {batch} to {4 * batch}' if batch else ''}, or give it more steps.",
        sets=(("train.batch_size", 4 * batch),) if batch else (),
    )


def _converged(curves: Curves) -> Diagnosis | None:
    if not curves.far_enough or not (curves.fell or curves.now.value < NEAR_ZERO):
        return None
    whose, here, gain = curves.gain
    if gain is None or gain.steepest > max(3 * FLAT * here, LITTLE) or -gain.slope > max(FLAT * here, LITTLE):
        return None
    changes = f"{gain.slope:+.4f} ± {2 * gain.error:.4f}"
    return Diagnosis(
        "converged",
        "It has converged: more steps of the same won't help.",
        (f"the {whose} loss is {_loss(here)}, and changes by {changes} when the training doubles",),
        "" if curves.over else "You may stop it now.",
    )


def _early(curves: Curves) -> Diagnosis | None:
    done = len(curves.loss)
    again = "Give it more steps: raise train.epochs, or lower train.batch_size." if curves.over else ""
    if done < FEWEST:
        many = f"{done} steps say" if done != 1 else "1 step says"
        return Diagnosis("early", f"Too early to tell: {many} little.", change=again)
    _, fall, error = curves.fall
    _, _, gain = curves.gain
    if curves.fell or (gain is not None and gain.falls(SURE)):
        return None
    said = f"the {curves.whose} loss fell by {_loss(fall)} ± {_loss(2 * error)} in {curves.last_step} steps"
    return Diagnosis("early", "Too early to tell: the noise is as large as the trend.", (said,), again)


def _falling(curves: Curves) -> Diagnosis:
    begin, fall, _ = curves.fall
    latest = begin - fall
    evidence = [f"the {curves.whose} loss went from {_loss(begin)} to {_loss(latest)}"]
    _, here, gain = curves.gain
    change = ""
    if gain is not None and gain.falls(2) and here > 0:
        more = latest * -math.expm1(gain.slope / here)
        evidence.append(f"twice the training would lower it by up to {_loss(more)} more")
        if curves.over and more > 2 * FLAT * here:
            change = f"More {'steps' if curves.config.train.max_steps else 'train.epochs'} may help."
    if curves.validated and curves.epoch[-1] > 1.5 and latest - curves.now.value > APART * (begin - fall):
        evidence.append(f"the training loss is {_loss(curves.now.value)}, far below it: the rows are few")
        change = "More rows would help most."
    more = ()
    if change.startswith("More train.epochs"):
        more = _epochs(2 * float(curves.epoch[-1]))
    elif change.startswith("More steps"):
        more = (("train.max_steps", 2.0 * curves.last_step),)
    return Diagnosis("falling", "It learns well: the loss falls.", tuple(evidence), change, sets=more)


_CHECKS: tuple[Callable[[Curves], Diagnosis | None], ...] = (
    _unsupervised,
    _diverged,
    _overfitting,
    _memorizing,
    _unstable,
    _not_learning,
    _noisy,
    _converged,
    _early,
    _falling,
)


def _usual(curves: Curves) -> float:
    parameters = curves.state.prepared.parameters if curves.state.prepared else 1_000_000_000
    return usual_rate(curves.config, parameters)


def _batch(curves: Curves) -> int | None:
    chosen = curves.state.prepared.recipe.get("batch_size") if curves.state.prepared else None
    return int(chosen) if chosen else curves.config.train.batch_size


def _lower_rate(curves: Curves) -> str:
    rate, better = float(curves.rate.max(initial=0.0)), _better_rate(curves)
    return f"Lower train.learning_rate{f' from {rate:.2g}' if rate else ''} to {better:.2g}, or look for broken rows."


def _better_rate(curves: Curves) -> float:
    rate, usual = float(curves.rate.max(initial=0.0)), _usual(curves)
    return min(usual, rate / 5) if rate else usual


def _rate(value: float) -> tuple[tuple[str, float], ...]:
    return (("train.learning_rate", float(f"{value:.2g}")),)


def _epochs(value: float) -> tuple[tuple[str, float], ...]:
    return (("train.epochs", float(f"{max(value, 0.1):.2g}")),)


def _loss(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"
