"""Do intervals cover, tables keep quiet where nothing is, and forecasts of power come true: `evals.stats`, simulated.

`python -m benchmarks.statistics [--quick] [--json]`. Samples are drawn from populations whose difference is known
(`benchmarks.draws`), by seeds that never change.

    coverage            share of 95 % intervals that hold the true difference, for n = 30 to 1000
    shown               the same of those that stand beside a verdict: where fewer than 10 scores differ there is none
    told                how many samples out of all have such a verdict
    outside             shown ones whose coverage is not 94 to 96 %
    outside_all         the same of all
    false_alarm_table   share of tables of a model against itself in which any row says better or worse; the worst of
                        several kinds of tables
    power               share of samples in which a difference is shown, where `detectable` and `needed` say 0.8
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alarms import POWERED, TABLED, false_alarms, power
from benchmarks.draws import BINARY, GRADED, GROUPED, POOL, SUMS, Floats, Random, chance_of, group_sizes, sums_of
from evals.stats import FEWEST_CHANGED, bradley_terry, kappa, length_controlled, paired, win_rate
from evals.stats.means import mean_of
from evals.stats.paired import jackknife
from evals.stats.proportions import newcombe

SIZES = (30, 100, 300, 1000)
REPETITIONS, TABLES, VOTES = 22_000, 6_000, 6_000
QUICK = 40
CHUNK = 1_500_000
Bools = NDArray[np.bool_]
LEAST_TOLD = 0.05
"""Where fewer of all samples have a verdict, the coverage beside it is not measured."""
Found = dict[str, dict[str, float | None]]
"""Size to `coverage`, `shown`, `told`."""


class Tally:
    """Intervals counted, all of them and those that stand beside a verdict."""

    def __init__(self) -> None:
        self.inside = self.given = self.inside_told = self.told = 0

    def add(self, low: Floats, high: Floats, true: float, told: Bools | bool = True) -> None:
        """Count samples; one without an interval counts for nothing."""
        given = ~np.isnan(low)
        inside = given & (low <= true + 1e-12) & (true - 1e-12 <= high)
        self.inside += int(inside.sum())
        self.given += int(given.sum())
        self.inside_told += int((inside & told).sum())
        self.told += int((given & told).sum())

    def found(self) -> dict[str, float | None]:
        """Coverage of all, of those shown where these are enough to measure it, and how many these are."""
        enough = self.told >= LEAST_TOLD * self.given
        return {
            "coverage": round(self.inside / self.given, 4),
            "shown": round(self.inside_told / self.told, 4) if enough else None,
            "told": round(self.told / self.given, 4),
        }


def main() -> int:
    """Runs the simulations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one sample in forty, to see that it works")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    found = measure(QUICK if given.quick else 1)
    lines = [json.dumps(found)] if given.json else _lines(found)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def measure(share: int = 1) -> dict[str, Any]:
    """All figures, from one of `share` samples."""
    work: list[tuple[str, str, Callable[..., Any], int]] = [
        *(("0/1", name, _binary, REPETITIONS) for name in BINARY),
        *(("graded", name, _graded, REPETITIONS) for name in GRADED),
        *(("grouped", name, _grouped, REPETITIONS) for name in GROUPED),
        *(
            ("sums", f"{name}, {words}", _sums, REPETITIONS)
            for name in SUMS
            for words in ("alike", "unlike", "30 % changed", "10 % changed")
        ),
        *(("votes", name, _votes, VOTES) for name in VOTED),
        *(("tables", name, false_alarms, TABLES) for name in TABLED),
        *(("power", name, power, VOTES) for name in POWERED),
    ]
    if share > 1:
        done = {(kind, name): one(name, many // share) for kind, name, one, many in work}
    else:
        with ProcessPoolExecutor(min(2, os.cpu_count() or 1), get_context("spawn")) as pool:
            running = {(kind, name): pool.submit(one, name, many) for kind, name, one, many in work}
            done = {key: future.result() for key, future in running.items()}
    parts = {part: {name: done[part, name] for kind, name in done if kind == part} for part, _ in done}
    measured = {
        what: {
            kind: {name: {n: of[what] for n, of in row.items()} for name, row in parts[kind].items()}
            for kind in ("0/1", "graded", "grouped", "sums", "votes")
        }
        for what in ("coverage", "shown", "told")
    }
    counts = {"coverage": REPETITIONS, "votes": VOTES, "tables": TABLES, "power": VOTES}
    counts = {what: many // share for what, many in counts.items()}
    return {
        "repetitions": counts,
        "monte_carlo_error": {
            what: round(1.96 * math.sqrt((0.16 if what == "power" else 0.0475) / many), 4)
            for what, many in counts.items()
        },
        **measured,
        "outside": _outside(measured["shown"]),
        "outside_all": _outside(measured["coverage"]),
        "false_alarm_table": max(parts["tables"].values()),
        "false_alarm_tables": parts["tables"],
        "power": parts["power"],
    }


def _outside(rows: dict[str, Any]) -> list[str]:
    return [
        f"{kind}: {name}, n = {n}: {100 * share:.1f} %"
        for kind, named in rows.items()
        for name, row in named.items()
        for n, share in row.items()
        if share is not None and not 0.94 <= share <= 0.96
    ]


def _lines(found: dict[str, Any]) -> list[str]:
    def percent(share: float | None) -> str:
        return "  -" if share is None else f"{100 * share:.1f}"

    error = 100 * found["monte_carlo_error"]["coverage"]
    lines = [
        f"coverage in percent, n = {', '.join(map(str, SIZES))}, right to {error:.2f} points (95 %): all; beside a "
        "verdict; share that has one"
    ]
    for kind, rows in found["coverage"].items():
        for name in rows:
            columns = [map(percent, found[what][kind][name].values()) for what in ("coverage", "shown", "told")]
            lines.append(f"  {kind}: {name}: " + " | ".join("  ".join(column) for column in columns))
    lines += ["outside 94 to 96 % beside a verdict", *(f"  {one}" for one in found["outside"])]
    lines += [f"tables with a false alarm: {100 * found['false_alarm_table']:.1f} % at most"]
    lines += [f"  {name}: {100 * share:.1f} %" for name, share in found["false_alarm_tables"].items()]
    lines += ["power where 80 % is foretold"]
    return lines + [f"  {name}: {json.dumps(row)}" for name, row in found["power"].items()]


def _parts(many: int, n: int) -> list[int]:
    """So many samples of n in parts that fit into memory."""
    size = max(1, CHUNK // n)
    return [min(size, many - start) for start in range(0, many, size)]


def _binary(name: str, many: int) -> Found:
    shares = BINARY[name]
    found: Found = {}
    for n in SIZES:
        counts = chance_of(name, n).multinomial(n, shares, many)
        tally = Tally()
        tally.add(*newcombe(counts[:, 0], counts[:, 1], counts[:, 2], n), shares[1] - shares[2])
        found[str(n)] = tally.found()
    return found


def _graded(name: str, many: int) -> Found:
    first, second = GRADED[name](chance_of(name))
    true, found = float((second - first).mean()), Found()
    for n in SIZES:
        chance, tally = chance_of(name, n), Tally()
        for part in _parts(many, n):
            places = chance.integers(0, POOL, (part, n))
            a, b = first[places], second[places]
            tally.add(*_limits(b - a, a, b), true, _told((a != b).sum(-1)))
        found[str(n)] = tally.found()
    return found


def _grouped(name: str, many: int) -> Found:
    case, found = GROUPED[name], Found()
    for n in SIZES:
        sizes = group_sizes(case.sizes, max(n, 50))  # ten groups at least
        labels = np.repeat(np.arange(sizes.size), sizes)
        chance, tally = chance_of(name, n), Tally()
        for part in _parts(many, n):
            one = mean_of(case.draw(chance, part, labels), labels)
            tally.add(one.low, one.high, case.true, _told(one.moving))
        found[str(labels.size)] = tally.found()
    return found


def _sums(name: str, many: int) -> Found:
    kind, _, words = name.partition(", ")
    of_sums, chance = SUMS[kind], chance_of(name)
    first, second = sums_of(kind, chance, 0.0 if words == "alike" else 0.3)
    if words.endswith("changed"):
        second = np.where(chance.random((len(first), 1)) < float(words.split()[0]) / 100, second, first)
    true, found = float(of_sums(second.sum(0)) - of_sums(first.sum(0))), Found()
    for n in SIZES:
        chance, tally = chance_of(name, n), Tally()
        for part in _parts(many, n * first.shape[1]):
            places = chance.integers(0, len(first), (part, n))
            a, b = first[places], second[places]
            one = mean_of(jackknife(a, b, of_sums), changed=(a != b).any(-1))
            tally.add(one.low, one.high, true, _told(one.moving))  # where no answer differs there is no interval
        found[str(n)] = tally.found()
    return found


def _limits(difference: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """The intervals that `paired` gives, many samples at once; where all differences are alike, from itself."""
    one = mean_of(difference)
    low, high = one.low, one.high
    for place in [0, *np.flatnonzero(np.isnan(low))]:
        alone = paired(first[place], second[place])
        low[place], high[place] = alone.low, alone.high
    return low, high


def _told(changed: NDArray[Any]) -> Bools:
    """Whether `verdict` says more than that so many changed scores are too few."""
    return (changed == 0) | (changed >= FEWEST_CHANGED)


VOTED = (
    "win rate 0.6, 30 % ties",
    "win rate 0.5, no ties",
    "win rate 0.9, no ties",
    "kappa 0.6, two kinds",
    "kappa 0.8, three kinds",
    "strengths of four players",
    "win rate at equal length",
)


def _votes(name: str, many: int) -> Found:
    found: Found = {}
    for n in SIZES[:3]:
        chance, tally = chance_of(name, n), Tally()
        for _ in range(many):
            low, high, true = _vote(name, chance, n)
            tally.add(np.array(low), np.array(high), true)
        found[str(n)] = tally.found()
    return found


def _vote(name: str, chance: Random, n: int) -> tuple[float, float, float]:
    """One interval, and what it should hold."""
    if name.startswith("win rate 0"):
        rate, ties = float(name[9:12]), 0.3 if "30 %" in name else 0.0
        wins, losses, tied = chance.multinomial(n, (rate - ties / 2, 1 - rate - ties / 2, ties))
        return *win_rate(int(wins), int(losses), int(tied))[1:], rate
    if name.startswith("kappa"):
        true, kinds = float(name[6:9]), 2 if "two" in name else 3
        shares = (0.3, 0.7) if kinds == 2 else (0.2, 0.3, 0.5)
        first, other = chance.choice(kinds, n, p=shares), chance.choice(kinds, n, p=shares)
        same = chance.random(n) < true
        agreed = kappa(first.tolist(), np.where(same, first, other).tolist())
        return (agreed.low, agreed.high, true) if agreed.kappa == agreed.kappa else (-1, 1, true)
    if name.startswith("strengths"):
        real = np.array([0.9, 0.2, -0.3, -0.8])
        odds = 1 / (1 + np.exp(real[None] - real[:, None]))
        wins = np.zeros((4, 4))
        for i in range(4):
            for j in range(i):
                wins[i, j] = chance.binomial(n // 6 or 1, odds[i, j])
                wins[j, i] = n // 6 - wins[i, j]
        best = bradley_terry(wins)[0]
        return best.low, best.high, 0.9
    longer = chance.normal(0.5, 1, n)
    won = chance.random(n) < 1 / (1 + np.exp(-(0.4 + 1.0 * np.tanh(longer))))
    _, low, high = length_controlled(won, longer)
    return low, high, 1 / (1 + math.exp(-0.4))


if __name__ == "__main__":
    sys.exit(main())
