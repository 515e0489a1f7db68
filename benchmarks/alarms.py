"""False alarms and power of whole tables, simulated for `benchmarks.statistics`: what a person is told in words."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.draws import SUMS, Floats, Random, chance_of, difficulty, sums_of
from evals.stats import holm, paired, paired_sums, verdict

TABLED = {
    "one task, 0/1, n = 100": ((100, "0/1"),),
    "one task, three metrics of the same answers": ((60, "0/1", "F1", "lengths"),),
    "three tasks, nine rows": (
        (30, "0/1", "F1", "lengths"),
        (100, "0/1", "rubric", "seldom"),
        (300, "0/1", "F1", "BLEU"),
    ),
    "six tasks, some in groups": (
        *((40, "grouped 0/1", "grouped F1"),) * 2,
        *((80, "0/1", "F1"),) * 2,
        *((50, "seldom", "BLEU"),) * 2,
    ),
}


def false_alarms(name: str, many: int) -> float:
    """Share of so many tables of a model against itself in which a row is said to be better or worse."""
    chance = chance_of(name)
    pool = sums_of("BLEU", chance, 0.0)
    return round(sum(_alarm(TABLED[name], chance, pool) for _ in range(many)) / many, 4)


def _alarm(tasks: Sequence[tuple[Any, ...]], chance: Random, pool: tuple[Floats, Floats]) -> bool:
    """Whether a table of a model against itself says of any row that it is better or worse."""
    rows = []
    for n, *metrics in tasks:
        names = [str(place // 4) for place in range(n)]
        shared = np.repeat(chance.standard_normal((2, n // 4 + 1)), 4, axis=1)[:, :n]
        alone = difficulty(chance, n)
        for metric in metrics:
            in_groups = metric.startswith("grouped ")
            a, b = (
                (one + other) / math.sqrt(2) if in_groups else one for one, other in zip(alone, shared, strict=True)
            )
            if metric == "BLEU":
                places, swapped = chance.integers(0, len(pool[0]), n), chance.random((n, 1)) < 0.5
                one, other = pool[0][places], pool[1][places]
                rows.append(paired_sums(np.where(swapped, one, other), np.where(swapped, other, one), SUMS["BLEU"]))
            else:
                score = SCORED[metric.removeprefix("grouped ")]
                rows.append(paired(score(a), score(b), names if in_groups else None))
    adjusted = holm([row.p for row in rows])
    return any(verdict(row, p) in ("better", "worse") for row, p in zip(rows, adjusted, strict=True))


SCORED: dict[str, Callable[[Floats], Floats]] = {
    "0/1": lambda quality: (quality > -0.3).astype(float),
    "F1": lambda quality: np.clip(0.5 + 0.6 * quality, 0, 1),
    "rubric": lambda quality: np.clip(np.round(7 + 1.7 * quality), 1, 10),
    "seldom": lambda quality: np.where(quality > -1.5, 1.0, np.clip(1 + 0.3 * (quality + 1.5), 0, 1)),
    "lengths": lambda quality: np.exp(4 + 0.6 * quality),
}

POWERED = (
    "0/1, 50 pairs",
    "0/1, 300 pairs",
    "F1, 50 pairs",
    "F1, 300 pairs",
    "lengths, 300 pairs",
    "grouped F1, 300 pairs",
)


def power(name: str, many: int) -> dict[str, Any]:
    """Shift the second side by what is detectable with n pairs, and then by half of that with the pairs needed."""
    metric, _, rest = name.partition(", ")
    n, chance = int(rest.split()[0]), chance_of(name)
    groups = metric.startswith("grouped ")
    score = SCORED[metric.removeprefix("grouped ")]

    def draw(size: int, shift: float) -> tuple[Floats, Floats, list[str] | None]:
        names = [str(place // 4) for place in range(size)] if groups else None
        a, b = difficulty(chance, size)
        if groups:
            shared = np.repeat(chance.standard_normal((2, size // 4 + 1)), 4, axis=1)[:, :size]
            a, b = (a + shared[0]) / math.sqrt(2), (b + shared[1]) / math.sqrt(2)
        return score(a), score(b + shift), names

    def shown(size: int, shift: float) -> float:
        found = (paired(*draw(size, shift)) for _ in range(many))
        return round(sum(verdict(one, one.p) == "better" for one in found) / many, 4)

    shifts = np.linspace(0, 3, 301)
    a, b = difficulty(chance, 100_000)
    effects = [float((score(b + shift) - score(a)).mean()) for shift in shifts]

    def shift_for(effect: float) -> float:
        return float(np.interp(effect, effects, shifts))

    detectable = float(np.median([paired(*draw(n, 0.0)).detectable for _ in range(200)]))
    half = shift_for(detectable / 2)
    needed = paired(*draw(100_000, half)).needed or 0
    return {
        "detectable": round(detectable, 4),
        "power_at_detectable": shown(n, shift_for(detectable)),
        "half_of_it_needs": needed,
        "power_at_needed": shown(needed, half),
    }
