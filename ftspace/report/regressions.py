"""The answers that tuning harmed most, and a few that nobody chose by their outcome. Reads a run's logs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from evals.errors import LogError
from evals.log import read_log
from evals.metrics import metric
from evals.plan import BASE, TUNED
from evals.results import Results, Row, SideBySide
from ftspace.report.pairs import Pair, pairs
from ftspace.runs import Run

MOST, MOST_OF_TASK = 12, 5
"""Regressions shown: of all tasks, and of one."""
EXAMPLES = 8
LONGEST = 1500
"""Characters shown of a text."""


@dataclass(frozen=True)
class Shown:
    """One question with both answers, as a report shows it."""

    task: str
    id: str
    question: str
    expected: str
    base: str
    tuned: str
    scores: str
    """What both are worth, in words; "" where nothing is."""


@dataclass
class Answers:
    """What a report shows of single answers."""

    worst: list[Shown] = field(default_factory=list[Shown])
    """Those that lost most on their task's first metric, worst first."""
    lost: int = 0
    """How many lost anything at all."""
    asked: int = 0
    """How many were looked at."""
    examples: list[Shown] = field(default_factory=list[Shown])
    """The first of those that the comparison kept."""


def answers(run: Run, results: Results) -> Answers:
    """Looks at what base and tuned answered; tasks whose logs are not there any more are passed over."""
    found = Answers()
    harmed: list[tuple[float, Shown]] = []
    questions: dict[tuple[str, str], str] = {}
    for row in _first(results):
        paired = _paired(run, row)
        found.asked += len(paired)
        questions |= {(row.task, pair.id): pair.question for pair in paired}
        losing = sorted(_losing(row, paired), key=lambda one: one[0])
        found.lost += len(losing)
        harmed += [(worth, _shown(row.task, pair, row.metric)) for worth, pair in losing[:MOST_OF_TASK]]
    harmed.sort(key=lambda one: one[0])
    found.worst = [shown for _, shown in harmed[:MOST]]
    kept = results.samples[:EXAMPLES]
    found.examples = [_example(one, questions.get((one.task, one.id), one.prompt)) for one in kept]
    return found


def _first(results: Results) -> list[Row]:
    """Of each task that base and tuned were asked, the first row of a metric that says how good one answer is."""
    rows = (row for row in results.rows if (row.against, row.side, row.subset) == (BASE, TUNED, "all"))
    found: dict[str, Row] = {}
    for row in rows:
        if row.role in ("gain", "forgetting") and row.better != "neither" and metric(row.metric).of_sums is None:
            found.setdefault(row.task, row)
    return list(found.values())


def _paired(run: Run, row: Row) -> list[Pair]:
    try:
        base, tuned = (read_log(run.evals / row.task / f"{side}.json") for side in (BASE, TUNED))
    except LogError:
        return []
    return pairs(base, base, tuned, row.metric)


def _losing(row: Row, paired: list[Pair]) -> Iterator[tuple[float, Pair]]:
    """The samples that lost, each with what it lost: a share of 1, or of the most that any of the task changed."""
    sign = -1 if row.better == "lower" else 1
    worths = [sign * (pair.second_score - pair.first_score) for pair in paired]
    most = 1.0 if row.share else max((abs(worth) for worth in worths if math.isfinite(worth)), default=1.0)
    for worth, pair in zip(worths, paired, strict=True):
        if worth < 0:
            yield worth / most, pair


def _shown(task: str, pair: Pair, name: str) -> Shown:
    scores = f"{name}: {pair.first_score:.3g} before, {pair.second_score:.3g} after"
    return Shown(task, pair.id, pair.question, pair.expected, pair.first, pair.second, scores)


def _example(one: SideBySide, question: str) -> Shown:
    told = not math.isnan(one.base_score + one.tuned_score)
    scores = f"{one.base_score:.3g} before, {one.tuned_score:.3g} after" if told else ""
    return Shown(one.task, one.id, question, one.expected, one.base, one.tuned, scores)
