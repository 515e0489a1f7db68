"""The answers that tuning harmed most, and a few that nobody chose by their outcome. Reads a run's logs."""

import math
from dataclasses import dataclass, field

from evals.errors import LogError
from evals.results import Results, Row, SideBySide
from ftspace.report.drill import Drill, drill_of, leading
from ftspace.report.pairs import Pair
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
    for row in leading(results).values():
        try:
            drill = drill_of(run, results, row.task)
        except LogError:
            continue
        found.asked += len(drill.pairs)
        questions |= {(row.task, pair.id): pair.question for pair in drill.pairs}
        found.lost += len(losing(drill))
        harmed += [(worth, _shown(row.task, pair, row.metric)) for worth, pair in _worst(row, drill)]
    harmed.sort(key=lambda one: one[0])
    found.worst = [shown for _, shown in harmed[:MOST]]
    kept = results.samples[:EXAMPLES]
    found.examples = [_example(one, questions.get((one.task, one.id), one.prompt)) for one in kept]
    return found


def losing(drill: Drill) -> list[Pair]:
    """The questions of a task whose second answer is worth less than the first, those that lost most before others."""
    return [pair for pair, worth in zip(drill.pairs, drill.worth, strict=True) if worth < 0]


def _worst(row: Row, drill: Drill) -> list[tuple[float, Pair]]:
    """The worst of them, each with what it lost: a share of 1, or of the most that any of the task changed."""
    most = 1.0 if row.share else max((abs(worth) for worth in drill.worth if math.isfinite(worth)), default=1.0)
    return [(worth / most, pair) for worth, pair in zip(drill.worth, losing(drill)[:MOST_OF_TASK], strict=False)]


def _shown(task: str, pair: Pair, name: str) -> Shown:
    scores = f"{name}: {pair.first_score:.3g} before, {pair.second_score:.3g} after"
    return Shown(task, pair.id, pair.question, pair.expected, pair.first, pair.second, scores)


def _example(one: SideBySide, question: str) -> Shown:
    told = not math.isnan(one.base_score + one.tuned_score)
    scores = f"{one.base_score:.3g} before, {one.tuned_score:.3g} after" if told else ""
    return Shown(one.task, one.id, question, one.expected, one.base, one.tuned, scores)
