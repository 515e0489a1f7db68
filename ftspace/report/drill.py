"""All questions of one task with two sides' answers: filtered, searched, sorted worst first, a page at a time.

Made once from the logs of a run and kept while they stay as they are: 100,000 questions take seconds to read and
milliseconds to look through. Knows no screen.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from evals.errors import LogError
from evals.judge.records import FILE as JUDGEMENTS
from evals.judge.records import Judgement, read_judgements
from evals.log import EvalLog, read_log
from evals.metrics import metric
from evals.plan import BASE, TUNED
from evals.results import Better, Results, Row
from evals.samples import answers_hash
from ftspace.report.pairs import Change, Pair, pairs, stamp_of
from ftspace.runs import Run

PAGE = 50
LONGEST_SEARCH = 200
OUTCOMES: tuple[Change, ...] = ("right to wrong", "wrong to right", "both wrong", "both right", "unscored")
MARKS = {
    "differ": "Answers differ",
    "judge": "Judge disagrees",
    "contaminated": "Contaminated",
    "cut": "Cut off",
}
"""What else can be asked for, by the word that stands in an address."""


@dataclass(frozen=True)
class Wanted:
    """Which questions are asked for."""

    only: str = "all"
    """What became of them: one of OUTCOMES, or all."""
    marks: tuple[str, ...] = ()
    """Of MARKS: all of them must hold."""
    text: str = ""
    """What must stand in question or answers, in any case."""
    category: str = ""
    """What kind of question it must be; "" for any."""

    @classmethod
    def of(cls, show: str, text: str = "", category: str = "") -> "Wanted":
        """What an address says; unknown words count for nothing."""
        words = show.split(",")
        only = next((one for one in OUTCOMES if one.replace(" ", "-") in words), "all")
        return cls(only, tuple(one for one in MARKS if one in words), text.strip()[:LONGEST_SEARCH], category)

    @property
    def show(self) -> str:
        """What `of` reads."""
        return ",".join([*([] if self.only == "all" else [self.only.replace(" ", "-")]), *self.marks])


@dataclass(frozen=True)
class Place:
    """What of a run's answers is looked at: what stands in the page's address."""

    task: str
    first: str = BASE
    second: str = TUNED
    wanted: Wanted = Wanted()
    sample: str = ""
    """The sample that was picked; "" for the first of the list."""

    def address(self, run_id: str, usual: str = "") -> str:
        """The address that shows the same; the task `usual` is shown to who names none."""
        said = {
            "run": run_id,
            "task": self.task if self.task != usual else "",
            "show": self.wanted.show,
            "find": self.wanted.text,
        }
        said |= {
            "category": self.wanted.category,
            "first": self.first if self.first != BASE else "",
            "sample": self.sample,
        }
        said["second"] = self.second if self.second != TUNED else ""
        return "?" + urlencode({name: value for name, value in said.items() if value})

    @classmethod
    def asked(cls, query: Mapping[str, str], tasks: Sequence[str]) -> "Place":
        """What an address asks for; the first task where it names none that there is."""
        task = query.get("task", "")
        return cls(
            task=task if task in tasks else next(iter(tasks), ""),
            first=query.get("first") or BASE,
            second=query.get("second") or TUNED,
            wanted=Wanted.of(query.get("show", ""), query.get("find", ""), query.get("category", "")),
            sample=query.get("sample", ""),
        )


class Drill:
    """The questions of a task, worst first: those whose second answer lost most against the first."""

    def __init__(
        self,
        task: str,
        sides: tuple[str, str],
        found: Sequence[Pair],
        better: Better = "higher",
        said: Sequence[Judgement] = (),
        metric: str = "",
    ) -> None:
        """`better` is the way in which the pairs' metric is good; `said` are judgements of any task and sides."""
        worth = [(-1 if better == "lower" else 1) * pair.gained for pair in found]
        order = sorted(range(len(found)), key=lambda at: math.inf if math.isnan(worth[at]) else worth[at])
        self.task, self.sides, self.metric = task, sides, metric
        self.pairs = [found[at] for at in order]
        self.worth = [worth[at] for at in order]
        """What each pair gained; NaN where a score is missing."""
        self.categories = sorted({pair.category for pair in found if pair.category})
        self.judged = _judged(task, sides, self.pairs, said)
        """What judges said of these answers, by sample."""

    def select(self, wanted: Wanted) -> list[int]:
        """The places in `pairs` of what is asked for, in order."""
        return [int(at) for at in np.flatnonzero(self._holds(wanted))]

    def counts(self, wanted: Wanted) -> dict[str, int]:
        """How many each filter would show, set besides what is asked for already: outcomes, all, and marks."""
        marked = self._marked(wanted)
        found = {"all": int(marked.sum())} | {one: int((marked & self._outcome[one]).sum()) for one in OUTCOMES}
        holds = self._holds(wanted)
        return found | {one: int((holds & self._mark[one]).sum()) for one in MARKS}

    def _holds(self, wanted: Wanted) -> NDArray[np.bool_]:
        marked = self._marked(wanted)
        return marked & self._outcome[wanted.only] if wanted.only in self._outcome else marked

    def _marked(self, wanted: Wanted) -> NDArray[np.bool_]:
        holds = np.ones(len(self.pairs), dtype=bool)
        for one in wanted.marks:
            holds &= self._mark[one]
        if wanted.category:
            holds &= self._categories == wanted.category
        if wanted.text:
            text = wanted.text.casefold()
            holds &= np.fromiter((text in one for one in self._texts), dtype=bool, count=len(self.pairs))
        return holds

    @cached_property
    def _outcome(self) -> dict[str, NDArray[np.bool_]]:
        changes = np.array([pair.change for pair in self.pairs], dtype="U16")
        return {one: changes == one for one in OUTCOMES}

    @cached_property
    def _mark(self) -> dict[str, NDArray[np.bool_]]:
        told = {
            "differ": (pair.differs for pair in self.pairs),
            "judge": (self._is_disputed(pair.id, worth) for pair, worth in zip(self.pairs, self.worth, strict=True)),
            "contaminated": (pair.contaminated for pair in self.pairs),
            "cut": (pair.cut for pair in self.pairs),
        }
        return {one: np.fromiter(found, dtype=bool, count=len(self.pairs)) for one, found in told.items()}

    @cached_property
    def _categories(self) -> NDArray[np.str_]:
        return np.array([pair.category for pair in self.pairs], dtype=np.str_)

    @cached_property
    def _texts(self) -> list[str]:
        return ["\n".join((one.question, one.first, one.second)).casefold() for one in self.pairs]

    def _is_disputed(self, sample: str, worth: float) -> bool:
        """Whether a judge prefers the answer that has the lower score."""
        better = self.sides[1] if worth > 0 else self.sides[0] if worth < 0 else ""
        return bool(better) and any(one not in (better, "tie") for one in winners(self.judged.get(sample, ())).values())


def winners(said: Sequence[Judgement]) -> dict[str, str]:
    """The side that each judge preferred in both orders, or tie; a judge that failed in one is left out."""
    verdicts: dict[str, list[str | None]] = {}
    for one in said:
        if one.way == "pairwise":
            verdicts.setdefault(one.judge, []).append(one.verdict)
    whole = {judge: all_ for judge, all_ in verdicts.items() if len(all_) > 1 and None not in all_}
    return {judge: str(all_[0]) if len(set(all_)) == 1 else "tie" for judge, all_ in whole.items()}


def leading(results: Results) -> dict[str, Row]:
    """Of each task that base and tuned were asked, the first row of a metric that says how good one answer is."""
    found: dict[str, Row] = {}
    for row in results.rows:
        whole = (row.against, row.side, row.subset) == (BASE, TUNED, "all") and row.role in ("gain", "forgetting")
        if whole and row.better != "neither" and metric(row.metric).of_sums is None:
            found.setdefault(row.task, row)
    return found


def tasks_of(results: Results) -> list[str]:
    """The tasks of a comparison, in the order of its table."""
    return list(dict.fromkeys(row.task for row in results.rows))


def drill_of(run: Run, results: Results, task: str, first: str = BASE, second: str = TUNED) -> Drill:
    """A task's questions with two sides' answers, from the logs or from before. Raises LogError."""
    folder = run.evals / task
    files = [folder / f"{side}.json" for side in dict.fromkeys((BASE, first, second))]
    row = leading(results).get(task)
    name, better = (row.metric, row.better) if row is not None else ("", "higher")
    return _made(folder, (first, second), name, better, (*map(stamp_of, files), stamp_of(run.evals / JUDGEMENTS)))


@lru_cache(maxsize=8)
def _made(folder: Path, sides: tuple[str, str], name: str, better: Better, stamps: tuple[object, ...]) -> Drill:
    """Made anew when a file has changed, as its stamp tells."""
    del stamps
    logs: dict[str, EvalLog] = {side: read_log(folder / f"{side}.json") for side in {BASE, *sides}}
    found = pairs(logs[BASE], logs[sides[0]], logs[sides[1]], name, better)
    try:
        said = read_judgements(folder.parent)
    except LogError:  # the answers can be read without
        said = []
    return Drill(folder.name, sides, found, better, said, name)


def _judged(
    task: str, sides: tuple[str, str], found: Sequence[Pair], said: Sequence[Judgement]
) -> dict[str, list[Judgement]]:
    """The judgements of these answers by sample; those of answers that were given before are left out."""
    by_sample: dict[str, list[Judgement]] = {}
    for one in said:
        both = one.way == "pairwise" and {one.side, one.against} == {*sides}
        if one.task == task and (both or (one.way == "rubric" and one.side in sides)):
            by_sample.setdefault(one.id, []).append(one)
    kept: dict[str, list[Judgement]] = {}
    for pair in found:
        now = answers_hash(dict(zip(sides, pair.given, strict=True))) if pair.id in by_sample else ""
        if theirs := [one for one in by_sample.get(pair.id, ()) if one.answers in ("", now)]:
            kept[pair.id] = theirs
    return kept
