"""Simulated trainings, healthy and ill: the events that a run of such a kind would tell. Seeded."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from ftspace.events import Event, Prepared, Step, Validation
from ftspace.training.trends import Numbers

Curve = Callable[[Numbers], Numbers]


def cosine(steps: int, peak: float) -> Numbers:
    """The rate of each step: a warm-up of 3 %, then a half cosine."""
    warm = max(1, int(0.03 * steps))
    at = np.arange(1, steps + 1)
    fall = 0.5 * (1 + np.cos(np.pi * np.clip((at - warm) / max(1, steps - warm), 0, 1)))
    return peak * np.where(at <= warm, at / warm, fall)


def told(
    train: Numbers,
    validation: Numbers | None,
    *,
    every: int,
    epochs: float = 1.0,
    rate: float = 5e-4,
    norm: float | None = 1.0,
) -> list[Event]:
    """The events of a run with these losses; `validation` has the loss before the first step and after each."""
    steps = len(train)
    rates = cosine(steps, rate)
    events: list[Event] = [prepared(steps)]
    if validation is not None:
        events.append(Validation(step=0, loss=float(validation[0])))
    for at in range(1, steps + 1):
        events.append(
            Step(
                step=at,
                epoch=epochs * at / steps,
                loss=float(train[at - 1]),
                learning_rate=float(rates[at - 1]),
                grad_norm=norm,
                tokens=100 * at,
                seconds=float(at),
            )
        )
        if validation is not None and (at % every == 0 or at == steps):
            events.append(Validation(step=at, loss=float(validation[at])))
    return events


def prepared(steps: int) -> Prepared:
    """A run on a model of 1.5 billion parameters that is to make so many steps."""
    return Prepared(
        rows={"train": 1000},
        format="messages",
        total_steps=steps,
        trainable_parameters=10**7,
        parameters=15 * 10**8,
        device="cuda",
        dtype="bfloat16",
    )


def passed(steps: int) -> Numbers:
    """How much training lies before each step and after the last: the sum of the rates, 1 in all."""
    rates = cosine(steps, 1.0)
    return np.concatenate([[0.0], np.cumsum(rates)]) / rates.sum()


def noisy(clean: Numbers, share: float, random: Generator) -> Numbers:
    """Losses of single steps: noise in proportion to the loss, with tails heavier than normal ones."""
    tails = random.standard_t(5, len(clean)) / (5 / 3) ** 0.5
    return clean * np.exp(share * np.clip(tails, -5, 5))


class Simulation:
    """One run drawn at random: its length, its noise, how often it is validated."""

    def __init__(self, seed: int) -> None:
        """The same seed draws the same run."""
        self.random = np.random.default_rng(seed)
        draw = self.random.uniform
        self.steps = int(np.exp(draw(np.log(60), np.log(600))))
        self.floor = draw(0.3, 2.0)
        self.excess = self.floor * draw(0.3, 3.0)
        self.power = draw(0.4, 1.2)
        self.early = np.exp(draw(np.log(0.005), np.log(0.1)))
        self.share = draw(0.03, 0.2)
        self.every = max(2, self.steps // int(draw(5, 15)))
        self.epochs = draw(0.5, 3.5)
        self.passed = passed(self.steps)

    def law(self, floor: float, excess: float) -> Numbers:
        """A power law that ends near its floor, over the training passed."""
        return floor + excess * (1 + self.passed / self.early) ** -self.power

    def stairs(self, clean: Numbers, drop: float) -> Numbers:
        """A training loss that is lower by a share with each epoch after the first."""
        epoch = np.arange(len(clean)) * self.epochs / self.steps
        return clean * (1 - drop) ** np.floor(epoch)

    def events(self, train: Numbers, validation: Numbers | None, **more: float | None) -> list[Event]:
        """The events: `train` and `validation` are the clean curves, before the first step and after each."""
        asked = None
        if validation is not None:
            asked = validation * np.exp(0.003 * self.random.standard_normal(len(validation)))
        rest = {"epochs": self.epochs} | more
        return told(noisy(train[:-1], self.share, self.random), asked, every=self.every, **rest)  # pyright: ignore


def healthy(seed: int) -> tuple[list[Event], float]:
    """A run that learns well; and by what share the same training again would lower its loss."""
    one = Simulation(seed)
    clean = one.law(one.floor, one.excess)
    again = one.floor + one.excess * (1 + 2 / one.early) ** -one.power
    gap = one.random.uniform(1.0, 1.15)
    events = one.events(one.stairs(clean, one.random.uniform(0, 0.03)), clean * gap if seed % 4 else None)
    return events, float(1 - again / clean[-1])


def not_learning(seed: int) -> list[Event]:
    """A run whose rate is a thousandth of what is usual."""
    one = Simulation(seed)
    flat = one.floor * (1 - 0.003 * one.passed)
    return one.events(flat, flat if seed % 4 else None, rate=5e-7)


def overfitting(seed: int) -> list[Event]:
    """A run whose validation loss turns between a fifth and three fifths of it, and rises by 8 % and more."""
    one = Simulation(seed)
    clean = one.law(one.floor, one.excess)
    turn = one.random.uniform(0.2, 0.6)
    rise = one.random.uniform(0.08, 0.6)
    after = np.maximum(0.0, (one.passed - turn) / (1 - turn))
    low = float(np.interp(turn, one.passed, clean))
    validation = np.maximum(clean, low) * (1 + rise * after)
    return one.events(clean * (1 - 0.7 * one.passed), validation, epochs=one.random.uniform(2.5, 10))


def memorizing(seed: int) -> list[Event]:
    """A run whose training loss goes to nothing while its validation loss stays."""
    one = Simulation(seed)
    clean = one.law(one.floor, one.excess)
    train = 0.01 + (clean[0] - 0.01) * np.exp(-one.passed * one.random.uniform(6, 15))
    still = clean[0] * (0.6 + 0.4 * np.exp(-one.passed * 20))
    return one.events(train, still if seed % 4 else None, epochs=one.random.uniform(4, 30))


def converged(seed: int) -> list[Event]:
    """A run that was done at a third of its steps."""
    one = Simulation(seed)
    clean = one.floor * (1 + np.exp(-one.passed * one.random.uniform(15, 40)))
    one.share = min(one.share, 0.06)
    return one.events(clean, clean if seed % 4 else None, epochs=1.0)


def batch_too_small(seed: int) -> list[Event]:
    """A run whose steps vary by more than half of the loss, which hardly falls."""
    one = Simulation(seed)
    one.share = one.random.uniform(0.5, 0.9)
    clean = one.floor * (1 - 0.03 * one.passed)
    return one.events(clean, None, epochs=1.0)


def unstable(seed: int) -> list[Event]:
    """A run whose loss leaps to twice where it began for a tenth of its steps, early on, and comes back."""
    one = Simulation(seed)
    clean = one.law(one.floor, one.excess)
    at, width = one.random.uniform(0.1, 0.4), 0.1
    leap = one.random.uniform(1.6, 4.0) * clean[0]
    where = np.arange(len(clean)) / one.steps
    return one.events(np.where((where > at) & (where < at + width), leap, clean), None, rate=5e-2)


def diverged(seed: int) -> list[Event]:
    """A run whose loss climbs from some step on; every third becomes no number."""
    one = Simulation(seed)
    clean = one.law(one.floor, one.excess)
    turn = one.random.uniform(0.1, 0.5)
    climb = 1 + np.maximum(0.0, (one.passed - turn) / (1 - turn)) * one.random.uniform(2, 8) * clean[0] / clean
    train = clean * climb
    if seed % 3 == 0:
        train[-3:] = np.nan
    return one.events(train, train if seed % 2 else None, rate=5e-2)


def unsupervised(seed: int) -> list[Event]:
    """A run of which no token is trained."""
    one = Simulation(seed)
    nothing = np.zeros(one.steps + 1)
    return told(nothing[:-1], nothing if seed % 2 else None, every=one.every, norm=0.0)
