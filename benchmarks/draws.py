"""What `benchmarks.statistics` draws samples from: populations of scores of two sides, with known differences.

A population is a pool of pairs from which samples are drawn with replacement, so its difference is known exactly.
Groups are drawn anew each time, from a normal correlation inside them.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Random = np.random.Generator
POOL = 200_000

BINARY: dict[str, tuple[float, float, float, float]] = {
    "2 % differ, 3 to 1": (0.88, 0.015, 0.005, 0.1),
    "5 % differ, evenly": (0.6, 0.025, 0.025, 0.35),
    "5 % differ, 4 to 1": (0.6, 0.04, 0.01, 0.35),
    "10 % differ, evenly": (0.5, 0.05, 0.05, 0.4),
    "10 % differ, 3 to 1": (0.8, 0.075, 0.025, 0.1),
    "20 % differ, evenly": (0.4, 0.1, 0.1, 0.4),
    "20 % differ, 3 to 1": (0.4, 0.15, 0.05, 0.4),
    "40 % differ, 7 to 1": (0.3, 0.35, 0.05, 0.3),
    "independent, halves": (0.25, 0.25, 0.25, 0.25),
    "independent, 0.9 and 0.8": (0.72, 0.08, 0.18, 0.02),
    "90 % differ, 17 to 1": (0.05, 0.85, 0.05, 0.05),
}
"""Shares of pairs right in both, in the second only, in the first only, in neither."""


def chance_of(name: str, n: int = 0) -> Random:
    """The random numbers of a simulation: always the same."""
    return np.random.default_rng([zlib.crc32(name.encode()), n])


def difficulty(chance: Random, n: int = POOL, shared: float = 0.7) -> tuple[Floats, Floats]:
    """Two sides' standard normal qualities of the same questions, correlated by shared squared."""
    common, own = chance.standard_normal(n), chance.standard_normal((2, n))
    both = shared * common + np.sqrt(1 - shared**2) * own
    return both[0], both[1]


def _normal(chance: Random) -> tuple[Floats, Floats]:
    first, second = difficulty(chance)
    return first, second + 0.2


def _heavy(chance: Random) -> tuple[Floats, Floats]:
    return chance.standard_t(5, POOL), chance.standard_t(5, POOL)


def _exponential(chance: Random) -> tuple[Floats, Floats]:
    return np.zeros(POOL), chance.exponential(1, POOL)


def _lognormal(chance: Random) -> tuple[Floats, Floats]:
    return np.zeros(POOL), chance.lognormal(0, 0.5, POOL)


def _lengths(chance: Random) -> tuple[Floats, Floats]:
    first = chance.lognormal(4, 0.5, POOL)
    return first, first * chance.lognormal(0.1, 0.4, POOL)


def _rubric(chance: Random) -> tuple[Floats, Floats]:
    first, second = difficulty(chance, shared=0.85)
    return np.clip(np.round(7 + 1.7 * first), 1, 10), np.clip(np.round(7.3 + 1.7 * second), 1, 10)


def _f1(chance: Random) -> tuple[Floats, Floats]:
    first, second = difficulty(chance)
    return np.clip(0.5 + 0.6 * first, 0, 1), np.clip(0.56 + 0.6 * second, 0, 1)


def _ceiling(chance: Random) -> tuple[Floats, Floats]:
    first, second = difficulty(chance, shared=0.3)
    return np.clip(1.2 + 0.4 * first, 0, 1), np.clip(1.3 + 0.4 * second, 0, 1)


def _seldom(share: float, gains: float) -> Callable[[Random], tuple[Floats, Floats]]:
    def draw(chance: Random) -> tuple[Floats, Floats]:
        by = np.where(chance.random(POOL) < share, chance.random(POOL), 0.0)
        up = chance.random(POOL) < gains
        return np.where(up, 0.0, by), np.where(up, by, 0.0)

    return draw


def _few_lengths(share: float) -> Callable[[Random], tuple[Floats, Floats]]:
    def draw(chance: Random) -> tuple[Floats, Floats]:
        first, second = _lengths(chance)
        return first, np.where(chance.random(POOL) < share, second, first)

    return draw


def _mostly_small(chance: Random) -> tuple[Floats, Floats]:
    """A tenth differs, most of it by next to nothing and some by much."""
    by = np.where(chance.random(POOL) < 0.1, chance.beta(0.2, 2, POOL), 0.0)
    up = chance.random(POOL) < 0.75
    return np.where(up, 0.0, by), np.where(up, by, 0.0)


GRADED: dict[str, Callable[[Random], tuple[Floats, Floats]]] = {
    "normal": _normal,
    "heavy tails (t with 5 degrees)": _heavy,
    "skewed (exponential)": _exponential,
    "skewed (lognormal, 0.5)": _lognormal,
    "lengths (lognormal products)": _lengths,
    "rubric 1 to 10": _rubric,
    "F1 with spikes at 0 and 1": _f1,
    "F1 near its ceiling": _ceiling,
    "50 % tied, gains only": _seldom(0.5, 1.0),
    "80 % tied, evenly": _seldom(0.2, 0.5),
    "80 % tied, gains only": _seldom(0.2, 1.0),
    "90 % tied, 3 to 1": _seldom(0.1, 0.75),
    "95 % tied, 3 to 1": _seldom(0.05, 0.75),
    "90 % tied, mostly small": _mostly_small,
    "lengths, 30 % changed": _few_lengths(0.3),
    "lengths, 10 % changed": _few_lengths(0.1),
}


def group_sizes(kind: str, n: int) -> NDArray[np.intp]:
    """Sizes of groups of some n pairs in all."""
    if kind == "fives":
        return np.full(max(n // 5, 2), 5, dtype=np.intp)
    if kind == "singles and eights":
        return np.array(([1] * (n // 9) + [8] * (n // 9)), dtype=np.intp)
    drawn = np.minimum(np.random.default_rng(n).geometric(0.25, n), 25)
    return drawn[: int(np.searchsorted(np.cumsum(drawn), n)) + 1].astype(np.intp)


@dataclass(frozen=True)
class Grouped:
    """Differences of pairs in groups."""

    sizes: str
    inside: float
    """Correlation inside groups, of the normal number behind a difference."""
    kind: str

    def draw(self, chance: Random, samples: int, labels: NDArray[np.intp]) -> Floats:
        """Differences, shape (samples, n)."""
        groups = int(labels.max()) + 1
        own = chance.standard_normal((samples, labels.size))
        y = np.sqrt(self.inside) * chance.standard_normal((samples, groups))[:, labels] + np.sqrt(1 - self.inside) * own
        if self.kind == "0/1":  # 10 % lost, 25 % gained
            return np.where(y < -1.2815515655, -1.0, np.where(y > 0.6744897502, 1.0, 0.0))
        return np.exp(0.5 * y) if self.kind == "skewed" else y

    @property
    def true(self) -> float:
        """Their expectation."""
        return {"0/1": 0.15, "skewed": float(np.exp(0.125)), "normal": 0.0}[self.kind]


GROUPED = {
    f"{kind}, {sizes}, correlation {inside}": Grouped(sizes, inside, kind)
    for kind, sizes, inside in (
        ("normal", "fives", 0.0),
        ("normal", "fives", 0.5),
        ("normal", "uneven", 0.0),
        ("normal", "uneven", 0.3),
        ("normal", "uneven", 0.8),
        ("normal", "singles and eights", 0.5),
        ("skewed", "fives", 0.3),
        ("skewed", "uneven", 0.3),
        ("0/1", "fives", 0.3),
        ("0/1", "uneven", 0.3),
        ("0/1", "uneven", 0.8),
    )
}


def bleu(sums: Floats) -> Floats:
    """BLEU of matches and totals of four n-grams, and both lengths."""
    ratio = np.maximum(sums[..., :4], 0.5) / np.maximum(sums[..., 4:8], 1)
    brevity = np.minimum(0, 1 - sums[..., 9] / np.maximum(sums[..., 8], 1))
    return np.exp(np.log(ratio).mean(-1) + brevity)


def f_score(sums: Floats) -> Floats:
    """An F score of matches, words written and words expected, as chrF is of characters."""
    precision, recall = sums[..., 0] / np.maximum(sums[..., 1], 1), sums[..., 0] / np.maximum(sums[..., 2], 1)
    return 5 * precision * recall / np.maximum(4 * precision + recall, 1e-12)


def perplexity(sums: Floats) -> Floats:
    """Perplexity of a sum of negative log-likelihoods and a number of tokens."""
    return np.exp(sums[..., 0] / np.maximum(sums[..., 1], 1))


def sums_of(kind: str, chance: Random, shift: float, n: int = 50_000) -> tuple[Floats, Floats]:
    """Two sides' sums of n items, the second better by about `shift` on a scale of log odds."""
    lengths = np.maximum(4, chance.lognormal(3, 0.6, n).round())
    common = chance.standard_normal(n)

    def side(by: float) -> Floats:
        quality = 0.2 + 0.8 * common + 0.5 * chance.standard_normal(n) + by
        if kind == "perplexity":
            return np.stack([np.exp(0.6 - 0.3 * quality) * lengths, lengths], -1)
        written = np.maximum(4, (lengths * chance.lognormal(0, 0.2, n)).round())
        right = 1 / (1 + np.exp(-quality))
        totals = [np.maximum(written - order, 0) for order in range(4)]
        found = [
            chance.binomial(total.astype(int), right ** (1 + 0.9 * order)).astype(float)
            for order, total in enumerate(totals)
        ]
        if kind == "chrF":
            return np.stack([np.minimum(found[0], lengths), written, lengths], -1)
        return np.stack([*found, *totals, written, lengths], -1)

    return side(0.0), side(shift)


SUMS = {"BLEU": bleu, "chrF": f_score, "perplexity": perplexity}
