"""Several runs compared: who is best at each task, whether that can be told, their curves, and how they were made.

A pure function of what lies in the runs' folders. Scores and verdicts against a run's own base are those of its table;
two runs are tested against each other on the samples that both answered, where both were asked in the same way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, read_log
from evals.pairs import Pairs, pairs_of
from evals.plan import TUNED
from evals.results import Better, Row, Verdict, read_results
from evals.rows import tabulate
from evals.stats import wilson
from evals.wording import amount
from ftspace.differing import Difference, differences, unfair
from ftspace.errors import ConfigError, JobError
from ftspace.labels import name_of
from ftspace.report.chart import Curve, Point
from ftspace.runs import Run, RunReader
from ftspace.state import RunState
from ftspace.words import when

FEWEST, MOST = 2, 8
LETTERS = "ABCDEFGH"
"""By which runs are named beside each other."""
_Z = 1.96
_REASONS = 2
"""Why two runs are not tested is told by so many."""
_UNLIKE: dict[str, str] = {
    "task_hash": "they were asked other questions",
    "base": "their bases differ",
    "base_revision": "their bases are of other revisions",
    "n": "they were asked more or fewer questions",
    "kind": "they were asked in other ways",
    "few_shot": "they were shown other examples",
    "dtype": "they were asked in another precision",
    "quantization": "their bases are held in other precisions",
    "device": "they were asked on other devices",
    "tokenizer_hash": "their tokenizers differ",
    "template_hash": "their chat templates differ",
    "max_new_tokens": "their answers may be of other lengths",
    "end_ids": "their answers end otherwise",
    "batch_tokens": "they were asked in other batches",
    "seed": "their seeds differ",
    "versions": "they were asked with other versions of libraries",
}


@dataclass(frozen=True)
class Contender:
    """One of the runs."""

    letter: str
    id: str
    title: str
    when: str


@dataclass(frozen=True)
class Place:
    """A run's score on a task; without one, why."""

    letter: str
    score: float = math.nan
    low: float = math.nan
    high: float = math.nan
    """The 95 % interval of the score."""
    n: int = 0
    delta: float = math.nan
    """The score less that of the run's own base."""
    delta_low: float = math.nan
    delta_high: float = math.nan
    verdict: Verdict | None = None
    """Against its own base."""
    why: str = ""
    """Why there is no score."""


@dataclass(frozen=True)
class Duel:
    """Two runs on the samples that both answered."""

    letter: str
    against: str
    """The one with the lower score, or the same."""
    delta: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    """Adjusted (Holm) for all tests that were made between these runs."""
    n: int = 0
    verdict: Verdict | None = None
    why: str = ""
    """Why they were not tested."""


@dataclass(frozen=True)
class Board:
    """A task by one metric: the runs, the best first, and how far they can be told apart."""

    task: str
    metric: str
    better: Better
    share: bool
    places: tuple[Place, ...]
    duels: tuple[Duel, ...]
    words: str
    """Who is best, and whether that can be told."""


@dataclass(frozen=True)
class Line:
    """A run's loss as it was trained."""

    letter: str
    title: str
    points: tuple[Point, ...]
    """By step, or by tokens seen."""


@dataclass(frozen=True)
class Several:
    """All there is to say of some runs beside each other."""

    runs: tuple[Contender, ...]
    unfair: tuple[str, ...]
    """What must be known before scores are compared."""
    metrics: tuple[str, ...]
    """Those that can be asked for."""
    metric: str
    """The one that was asked for; empty: the first of each task."""
    boards: tuple[Board, ...]
    tests: int
    """Between runs, by which p values were adjusted."""
    differences: tuple[Difference, ...]
    training: tuple[Line, ...]
    validation: tuple[Line, ...]
    by_tokens: bool


def compare_runs(runs: Sequence[Run], metric: str = "", *, by_tokens: bool = False) -> Several:
    """Compare runs, in their order; none twice.

    Raises JobError for fewer than FEWEST or more than MOST, ConfigError for a metric that none of them has.
    """
    if not FEWEST <= len(runs) <= MOST:
        raise JobError(f"{FEWEST} to {MOST} runs can be compared, and there are {len(runs)}; choose others")
    found = dict(zip(LETTERS, runs, strict=False))
    rows = {letter: _rows(run) for letter, run in found.items()}
    named = tuple(dict.fromkeys(name for of in rows.values() for _, name in of))
    if metric and metric not in named:
        raise ConfigError(f"none of these runs was scored by {metric}; there are: {', '.join(named) or 'no scores'}")
    boards, tests = _boards(found, rows, metric)
    states = {letter: _state(run) for letter, run in found.items()}
    titles = {letter: name_of(run) for letter, run in found.items()}
    lines = {
        kind: tuple(
            Line(letter, titles[letter], points)
            for letter, state in states.items()
            if (points := _points(state, kind, by_tokens=by_tokens))
        )
        for kind in ("training", "validation")
    }
    return Several(
        runs=tuple(Contender(letter, run.id, titles[letter], when(run.id)) for letter, run in found.items()),
        unfair=tuple(unfair(found)),
        metrics=named,
        metric=metric,
        boards=boards,
        tests=tests,
        differences=tuple(differences(found, states)),
        **lines,
        by_tokens=by_tokens,
    )


_Rows = dict[tuple[str, str], Row]


def _rows(run: Run) -> _Rows:
    """A run's own rows against its base, by task and metric, in the table's order."""
    try:
        found = read_results(run.results).rows if run.results.exists() else ()
    except LogError:
        return {}
    kept = [row for row in found if row.role in ("gain", "forgetting") and row.subset == "all"]
    return {(row.task, row.metric): row for row in kept}


def _boards(runs: Mapping[str, Run], rows: Mapping[str, _Rows], metric: str) -> tuple[tuple[Board, ...], int]:
    chosen: dict[str, Row] = {}
    for of in rows.values():
        for (task, name), row in of.items():
            if (name == metric) if metric else row.better != "neither":
                chosen.setdefault(task, row)
    logs = {(letter, task): _log(run, task) for letter, run in runs.items() for task in chosen}
    drafts = [_draft(task, row, rows, logs) for task, row in chosen.items()]
    pairs = [pair for _, _, found in drafts for pair in found.values() if isinstance(pair, Pairs)]
    tested = {(row.task, row.side, row.against): row for row in tabulate(pairs)}
    boards: list[Board] = []
    for row, places, found in drafts:
        duels = tuple(_duel(one, other, pair, tested, row.task) for (one, other), pair in found.items())
        words = _words(places, duels, row)
        boards.append(Board(row.task, row.metric, row.better, row.share, places, duels, words))
    return tuple(boards), len(pairs)


_Logs = Mapping[tuple[str, str], EvalLog | None]


def _draft(
    task: str, row: Row, rows: Mapping[str, _Rows], logs: _Logs
) -> tuple[Row, tuple[Place, ...], dict[tuple[str, str], Pairs | str]]:
    """The places of a task, the best first, and what each two of them are tested on, or why they are not."""
    places = [_place(letter, of, row, logs[letter, task]) for letter, of in rows.items()]
    sign = 1 if row.better == "lower" else -1
    places.sort(key=lambda one: (math.isnan(one.score), 0 if math.isnan(one.score) else sign * one.score))
    scored = [one.letter for one in places if not one.why]
    found = {
        (one, other): _pairs(row, one, other, logs[one, task], logs[other, task])
        for one, other in combinations(scored, 2)
    }
    return row, tuple(places), found


def _place(letter: str, of: _Rows, asked: Row, log: EvalLog | None) -> Place:
    row = of.get((asked.task, asked.metric))
    if row is None:
        tasks = {task for task, _ in of}
        why = "nothing was compared" if not of else "not asked" if asked.task not in tasks else "not scored by this"
        return Place(letter, why=why)
    low, high = _interval(row, log)
    return Place(letter, row.tuned, low, high, row.n, row.delta, row.ci_low, row.ci_high, row.verdict)


def _interval(row: Row, log: EvalLog | None) -> tuple[float, float]:
    """The 95 % interval of a tuned model's score: Wilson's where each answer is right or wrong."""
    scores = [one.scores.get(row.metric, math.nan) for one in log.samples] if log else []
    known = [one for one in scores if not math.isnan(one)]
    if known and set(known) <= {0.0, 1.0} and not any(one.group for one in (log.samples if log else ())):
        low, high = wilson(sum(known), len(known))
        return float(low), float(high)
    low, high = row.tuned - _Z * row.tuned_stderr, row.tuned + _Z * row.tuned_stderr
    bounded = row.share and 0 <= row.tuned <= 1
    return (max(0.0, low), min(1.0, high)) if bounded and not math.isnan(low) else (low, high)


def _log(run: Run, task: str) -> EvalLog | None:
    try:
        return read_log(run.evals / task / f"{TUNED}.json")
    except LogError:
        return None


def _pairs(row: Row, letter: str, against: str, log: EvalLog | None, other: EvalLog | None) -> Pairs | str:
    """The scores of two runs on the samples of a task; else why they cannot be tested."""
    if log is None or other is None:
        return f"the answers of {letter if log is None else against} are not there any more"
    if said := unlike(log.spec, other.spec):
        return said
    try:
        found = next((one for one in pairs_of(other, log, "earlier") if one.metric.name == row.metric), None)
    except LogError:
        return "they were scored in other ways"
    if found is None or not len(found.first):
        return "no sample was scored in both"
    return replace(found, side=letter, against=against)


def unlike(first: EvalSpec, second: EvalSpec) -> str:
    """In what two specs differ, so that scores cannot be compared; "" where they are the same."""
    one, other = first.model_dump(), second.model_dump()
    odd = [words for name, words in _UNLIKE.items() if one[name] != other[name]]
    odd += [f"their {name} differs" for name in one if name not in _UNLIKE and one[name] != other[name]]
    more = len(odd) - _REASONS
    return " and ".join(odd[:_REASONS]) + (f", and {more} more" if more > 0 else "")


def _duel(letter: str, against: str, pair: Pairs | str, tested: Mapping[tuple[str, str, str], Row], task: str) -> Duel:
    if isinstance(pair, str):
        return Duel(letter, against, why=pair)
    row = tested[task, letter, against]
    return Duel(letter, against, row.delta, row.ci_low, row.ci_high, row.p, row.n, row.verdict)


def _words(places: Sequence[Place], duels: Sequence[Duel], row: Row) -> str:
    """Who is best at a task, and whether that can be told."""
    scored = [one.letter for one in places if not one.why]
    if row.better == "neither":
        return "This metric describes: neither more nor less of it is better."
    if len(scored) < 2:
        return f"Only {scored[0]} has a score here." if scored else "None has a score here."
    best, following = scored[:2]
    against = {one.against: one for one in duels if one.letter == best}
    first = against[following]
    if first.why:
        return f"{best} has the best score, and it is not known whether {following} is worse: {first.why}."
    unit = " points" if row.share else ""
    if first.verdict == "better":
        margin = amount(abs(first.delta), row.share)
        ends = sorted((abs(first.low), abs(first.high)))
        said = (
            "" if math.isnan(first.low) else f" (95 % interval {' to '.join(amount(one, row.share) for one in ends)})"
        )
        return f"{best} is best: by {margin}{unit}{said} over the next, {following}."
    like = [letter for letter, one in against.items() if not one.why and one.verdict != "better"]
    few = " Too few of their answers differ to tell." if first.verdict == "too few to tell" else ""
    return f"The best cannot be told from the next: {best} may be no better than {_listed(like)}.{few}"


def _listed(letters: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(letters[:-1]), letters[-1])))


def _state(run: Run) -> RunState:
    reader = RunReader(run)
    reader.refresh()
    return reader.state


def _points(state: RunState, kind: str, *, by_tokens: bool) -> tuple[Point, ...]:
    points = Curve().follow(state.steps if kind == "training" else state.validations)
    if not by_tokens:
        return tuple(points)
    seen = {0: 0} | {step.step: step.tokens for step in state.steps}
    return tuple((seen[step], loss) for step, loss in points if step in seen)
