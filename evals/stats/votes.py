"""What votes say: agreement beyond chance, win rates, strengths of many players, and a win rate at equal length."""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.proportions import plus_two
from evals.stats.shared import Z_ALPHA, Floats


class Agreement(NamedTuple):
    """How far two judges of the same things agree."""

    kappa: float
    """Cohen's kappa: 0 is what chance gives, 1 all alike. NaN where both always said one and the same."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end of it."""
    agreement: float
    """Share of things on which they agree."""
    n: int
    """Things judged by both."""


class Strength(NamedTuple):
    """A player's strength: the logarithm of its odds to beat an average one of these players."""

    strength: float
    """All strengths add up to 0."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of it."""


def kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> Agreement:
    """Return Cohen's kappa of two lists of verdicts, of two or more kinds.

    The interval is that of Fleiss, Cohen and Everitt (Psychol. Bull. 72 (1969) 323-327), after two imagined verdicts
    that agree as often as by chance: without them, judges who never differed would have an interval without width.

    Raises:
        ValueError: the lists differ in length.
    """
    if len(first) != len(second):
        raise ValueError("two lists of verdicts must be as many as each other")
    n = len(first)
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys([*first, *second]))}
    table = np.zeros((len(kinds), len(kinds)))
    for a, b in zip(first, second, strict=True):
        table[kinds[a], kinds[b]] += 1
    if n == 0 or len(kinds) == 1:
        return Agreement(math.nan, math.nan, math.nan, 1.0 if n else math.nan, n)
    found, _ = _kappa(table / n)
    middle, spread = _kappa((table + 2 * np.outer(table.sum(1), table.sum(0)) / n**2) / (n + 2))
    half = Z_ALPHA * math.sqrt(spread / (n + 2))
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Agreement(found, min(low, found), max(high, found), float(np.trace(table)) / n, n)


def _kappa(shares: Floats) -> tuple[float, float]:
    """Kappa of a table of shares, and n times its variance."""
    rows, columns = shares.sum(1), shares.sum(0)
    agreed, chance = float(np.trace(shares)), float(rows @ columns)
    value = (agreed - chance) / (1 - chance)
    both = columns[:, None] + rows[None, :]
    on = float((np.diag(shares) * (1 - np.diag(both) * (1 - value)) ** 2).sum())
    off = (1 - value) ** 2 * float((shares * both**2).sum() - (np.diag(shares) * np.diag(both) ** 2).sum())
    spread = (on + off - (value - chance * (1 - value)) ** 2) / (1 - chance) ** 2
    return value, max(spread, 0.0)


def win_rate(wins: int, losses: int, ties: int = 0) -> tuple[float, float, float]:
    """Return the mean of wins as 1, ties as a half and losses as 0, and its 95 % interval."""
    n = wins + losses + ties
    if n == 0:
        return math.nan, math.nan, math.nan
    low, high = plus_two(wins, losses, n)
    return (1 + (wins - losses) / n) / 2, (1 + float(low)) / 2, (1 + float(high)) / 2


def bradley_terry(wins: ArrayLike, imagined: float = 1.0) -> list[Strength]:
    """Return the strengths of players from how often each beat each.

    Every player is given an imagined tied game against an average one, so that one who never lost, or whom nobody met,
    has a finite strength. This draws all strengths a little towards 0; `imagined` says how many such games.

    Args:
        wins: wins[i][j] is how often i beat j; a tie is half a win of both.
        imagined: games against an average player. With 0 each player must be linked to each other by wins both ways.

    Raises:
        ValueError: `wins` is not a square table of at least two players.
    """
    table = np.array(wins, dtype=float)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2 or not (table >= 0).all():
        raise ValueError("wins must be a square table of numbers of wins, of at least two players")
    np.fill_diagonal(table, 0)
    games, count = table + table.T, len(table)
    strength = np.zeros(count)
    information = np.eye(count)
    for _ in range(100):
        chance = 1 / (1 + np.exp(strength[None, :] - strength[:, None]))
        average = 1 / (1 + np.exp(-strength))
        gradient = (table - games * chance).sum(1) + imagined * (0.5 - average)
        spread = games * chance * (1 - chance)
        information = np.diag(spread.sum(1) + imagined * average * (1 - average)) - spread
        step = np.clip(np.linalg.pinv(information) @ gradient, -2, 2)
        strength = strength + step
        if abs(step).max() < 1e-10:
            break
    centred = np.eye(count) - 1 / count
    strength = centred @ strength
    half = Z_ALPHA * np.sqrt(np.diag(centred @ np.linalg.pinv(information) @ centred))
    return [Strength(float(s), float(s - h), float(s + h)) for s, h in zip(strength, half, strict=True)]


def length_controlled(preferences: ArrayLike, length_differences: ArrayLike) -> tuple[float, float, float]:
    """Return the win rate if both answers were of one length, and its 95 % interval: a diagnostic.

    A logistic regression of the preference on the difference in length, which is scaled by its own spread and bounded
    (tanh), read where the difference is 0; the variance is robust (HC3). It can't tell a judge who likes length from
    answers that are better because they say more. NaN where it has no solution, such as when all wins are the longer.

    Args:
        preferences: 1 for the side whose rate it is, 0 for the other, a half for a tie.
        length_differences: that side's length minus the other's, in any unit.

    Raises:
        ValueError: the lists differ in length.
    """
    nothing = math.nan, math.nan, math.nan
    won, longer = np.asarray(preferences, dtype=float), np.asarray(length_differences, dtype=float)
    if won.shape != longer.shape:
        raise ValueError("there must be as many length differences as preferences")
    if won.size < 3 or np.ptp(won) == 0:
        return nothing
    spread = float(longer.std())
    columns = [np.ones(won.size)] if spread == 0 else [np.ones(won.size), np.tanh(longer / spread)]
    design = np.stack(columns, 1)
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ weights))
        inverse = np.linalg.pinv(design.T @ (design * (chance * (1 - chance))[:, None]))
        step = inverse @ design.T @ (won - chance)
        weights = weights + step
        if abs(weights).max() > 15:
            return nothing
        if abs(step).max() < 1e-9:
            leverage = ((design @ inverse) * design).sum(1) * chance * (1 - chance)
            if leverage.max() > 1 - 1e-9:
                return nothing
            residual = design * ((won - chance) / (1 - leverage))[:, None]
            half = Z_ALPHA * math.sqrt(float((inverse @ residual.T @ residual @ inverse)[0, 0]))
            low, rate, high = (1 / (1 + math.exp(-(weights[0] + shift))) for shift in (-half, 0.0, half))
            return rate, low, high
    return nothing
