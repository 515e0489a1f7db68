"""Judges the answers in an evaluation's folder: reads its logs, asks, and says what it adds up to.

Knows the folder; knows nothing of models or statistics. Written there: `judgements.jsonl`, when all is asked, and
`judge.sqlite`, the replies as they come.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from evals.arena.tally import with_proof
from evals.compare import Pairs, asked_of, check_alike
from evals.endpoint import Limits, Meter
from evals.errors import LogError, ModelError
from evals.judge import leanings
from evals.judge.asking import Entry, Estimate, Progress, Work, carry_out, plan
from evals.judge.cache import Cache, opened
from evals.judge.judges import Judge, LocalJudge, Way, named
from evals.judge.outcomes import Outcome, outcomes, preferred, rated, rating_summary, ratings, summary_of
from evals.judge.records import Judgement, write_judgements
from evals.judge.rubric import Rubric, load_rubric
from evals.log import EvalLog, EvalSpec, read_log
from evals.pairs import ASKED, role_of
from evals.plan import BASE, TUNED
from evals.results import Finding, JudgeSummary, Results

CACHE_FILE = "judge.sqlite"


@dataclass(frozen=True)
class JudgeReport:
    """What judges said of a folder's answers."""

    pairs: list[Pairs]
    """For the table: `preferred by NAME` and `rated by NAME`, of each task."""
    summaries: tuple[JudgeSummary, ...]
    """One for each judge, way of asking and side."""
    findings: tuple[Finding, ...]
    """What must be known before that is believed."""
    judgements: tuple[Judgement, ...]
    """Each time a judge was asked."""


@dataclass(frozen=True)
class Answers:
    """What of a folder is judged."""

    entries: list[Entry]
    sides: tuple[str, ...]
    """Each compared with `against`."""
    against: str
    models: dict[str, str]
    """Side to what answered: a model's name or folder."""


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What is judged of a folder, by whom and how."""

    folder: Path
    """With `<task>/<side>.json`."""
    judges: Sequence[Judge]
    """Who is asked; those that are loaded here compare only."""
    tasks: Sequence[str] | None = None
    """Names of tasks; None takes all with written answers."""
    sides: Sequence[str] = (TUNED,)
    """Each is compared with `against`."""
    against: str = BASE
    """The side that the others are compared with."""
    ways: Sequence[Way] = ("pairwise",)
    """Compare two answers, rate each from 1 to 10, or both."""
    rubric: Rubric | None = None
    """What to look for; None takes the default one."""
    budget: Meter = field(default_factory=Meter)
    """Calls and money of all judges together; what is beyond it is missing."""
    cache: Path | None = None
    """Where replies are kept; None keeps them in the folder."""


def judge_folder(
    judging: Judging,
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> JudgeReport:
    """Let judges compare and rate the written answers in an evaluation's folder.

    Replies are kept as they come: judging that was stopped goes on where it was, and what is known costs nothing.

    Args:
        judging: what is judged, by whom and how.
        limits: concurrency, timeout and retries.
        progress: called with (judge, done, all it is asked).
        should_stop: True ends with `Stopped`.

    Raises:
        EvalError: in one line, for whatever a person can put right.
    """
    with _planned(judging) as (found, judges, work, replies):
        judgements = carry_out(work, replies, judging.budget, limits or Limits(), progress, should_stop)
    write_judgements(judging.folder, judgements)
    return report_of(found, judges, judgements, judging.ways, judging.budget.cost_of)


def estimate(judging: Judging) -> Estimate:
    """What `judge_folder` would take; asks nobody. Raises EvalError."""
    with _planned(judging) as (_, _, work, _):
        return work.estimate(judging.budget)


def with_judges(folder: Path, results: Results, report: JudgeReport) -> Results:
    """A comparison that has the judges' rows, with what else they said in place of what earlier ones did.

    Raises LogError when the folder's votes are damaged.
    """
    others = [one for one in results.findings if not one.kind.startswith("judge")]
    judged = results.model_copy(update={"findings": (*others, *report.findings), "judges": report.summaries})
    return with_proof(folder, judged)


@contextmanager
def _planned(judging: Judging) -> Generator[tuple[Answers, list[Judge], Work, Cache]]:
    """The folder's answers, the judges by name, what is to be asked, and the open cache."""
    judges = named(judging.judges)
    found = read_answers(judging.folder, judging.tasks, judging.sides, judging.against)
    _check(judges, judging.ways)
    rubric = judging.rubric or load_rubric()
    with opened(judging.cache or judging.folder / CACHE_FILE) as replies:
        yield (
            found,
            judges,
            plan(found.entries, judges, found.sides, found.against, judging.ways, rubric, replies),
            replies,
        )


def read_answers(folder: Path, tasks: Sequence[str] | None, sides: Sequence[str], against: str) -> Answers:
    """Read the written answers of a folder, of tasks that its evaluation asked of all these sides.

    Raises LogError when there are none, a named task is none of them, or they answer different questions.
    """
    asked = asked_of(folder).sides
    whole = [task for task in sorted(asked) if {against, *sides} <= {*asked[task]}]
    if odd := sorted({*(tasks or ())} - {*whole}):
        raise LogError(f"task {odd[0]}: the evaluation in {folder} did not ask it of {against} and {', '.join(sides)}")
    names = tasks or whole
    entries: list[Entry] = []
    models: dict[str, str] = {}
    for name in names:
        first = read_log(folder / name / f"{against}.json")
        if first.spec.kind == "choice":
            if tasks:
                raise LogError(f"task {name}: its answers are choices, and there is nothing in them to judge")
            continue
        others = {side: read_log(folder / name / f"{side}.json") for side in sides}
        for log in others.values():
            allowed = frozenset(EvalSpec.model_fields) - ASKED if role_of(log) == "reference" else frozenset[str]()
            check_alike(first.spec, log.spec, allowed)
        models |= {side: _model(log) for side, log in {against: first, **others}.items()}
        entries += _entries(name, first, {against: first, **others})
    if not entries:
        raise LogError(f"{folder}: no task with written answers of {against} and {', '.join(sides)} to judge")
    return Answers(entries, tuple(sides), against, models)


def report_of(
    found: Answers,
    judges: Sequence[Judge],
    judgements: Sequence[Judgement],
    ways: Sequence[Way],
    cost_of: Callable[[int], float | None],
) -> JudgeReport:
    """What judgements add up to."""
    pairs: list[Pairs] = []
    summaries: list[JudgeSummary] = []
    findings: list[Finding] = []
    entries, against = found.entries, found.against
    by_side: dict[str, dict[str, list[Outcome]]] = {side: {} for side in found.sides}
    for judge in judges:
        name = judge.name
        own = [one for one in judgements if one.judge == name]
        findings += leanings.family(name, judge.model, found.models)
        scores = ratings(own)
        for place, side in enumerate(found.sides):
            if "pairwise" in ways:
                asked = [one for one in own if one.way == "pairwise" and one.side == side]
                both = by_side[side][name] = outcomes(entries, asked, side)
                summary = summary_of(name, entries, both, side, against, *_spent(asked, cost_of))
                pairs += preferred(name, entries, both, side, against)
                findings += leanings.failures(name, summary, asked)
                findings += leanings.position(name, summary, both) + leanings.length(name, summary, both)
                summaries.append(summary)
            if "rubric" in ways and not isinstance(judge, LocalJudge):
                # The ratings of the common side are counted once, with the first of the others.
                mine = (side, against) if place == 0 else (side,)
                asked = [one for one in own if one.way == "rubric" and one.side in mine]
                both_rated = rated(name, entries, scores, side, against)
                summary = rating_summary(name, entries, both_rated, side, against, *_spent(asked, cost_of))
                pairs += both_rated
                findings += leanings.failures(name, summary, asked)
                summaries.append(summary)
    for by_judge in by_side.values():
        findings += leanings.disagreement(by_judge)
    return JudgeReport(pairs, tuple(summaries), tuple(findings), tuple(judgements))


def _spent(judgements: Sequence[Judgement], cost_of: Callable[[int], float | None]) -> tuple[int, float | None]:
    """Calls, and what they cost, those answered from the cache left out."""
    calls = sum(one.calls for one in judgements)
    return calls, cost_of(sum(one.tokens for one in judgements if one.calls))


def _check(judges: Sequence[Judge], ways: Sequence[Way]) -> None:
    if not judges:
        raise ModelError("no judge is named")
    if "pairwise" not in ways and all(isinstance(judge, LocalJudge) for judge in judges):
        raise ModelError(
            "a judge that is loaded here compares two answers and rates none; name an endpoint's, or compare"
        )


def _entries(task: str, first: EvalLog, sides: Mapping[str, EvalLog]) -> list[Entry]:
    samples = {side: {one.id: one for one in log.samples} for side, log in sides.items()}
    return [
        Entry(
            task=task,
            id=one.id,
            question=one.prompt,
            reference=" | ".join(one.expected),
            asked={side: known[one.id] for side, known in samples.items() if one.id in known},
            group=one.group,
            overlap=one.overlap,
        )
        for one in first.samples
    ]


def _model(log: EvalLog) -> str:
    return log.model or log.spec.base
