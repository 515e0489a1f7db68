"""Single questions with both answers: paired, told apart by what became of them. Pure but for `stamp_of`."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evals.log import EvalLog, Sample
from evals.results import Better

Change = Literal["right to wrong", "wrong to right", "both wrong", "both right", "unscored"]


@dataclass(frozen=True)
class Pair:
    """One question, two answers, and what became of it from the first to the second."""

    id: str
    question: str
    prompt: str
    expected: str
    first: str
    second: str
    first_score: float
    second_score: float
    change: Change
    given: tuple[Sample, Sample]
    """All that is known of both answers."""
    contaminated: bool = False
    """Whether training rows repeat the question."""
    category: str = ""
    """What kind of question it is, where the task says it."""

    @property
    def gained(self) -> float:
        """What the second score is above the first; NaN where one is missing."""
        return self.second_score - self.first_score

    @property
    def differs(self) -> bool:
        """Whether the answers are two texts."""
        return self.first.strip() != self.second.strip()

    @property
    def cut(self) -> bool:
        """Whether an answer was cut off."""
        return any(one.finish == "length" for one in self.given)


def pairs(base: EvalLog, first: EvalLog, second: EvalLog, metric: str = "", better: Better = "higher") -> list[Pair]:
    """The samples that two sides were asked, judged by a metric, else by the task's first.

    Prompts are those of the base: before the questions of another side may stand training rows, which not everybody who
    sees the answers may see.
    """
    answers, others = ({sample.id: sample for sample in log.samples} for log in (first, second))
    metric = metric or next((name for sample in base.samples for name in sample.scores), "")
    asked = [sample for sample in base.samples if sample.id in answers and sample.id in others]
    questions = strip_frame([sample.prompt for sample in asked])
    return [
        _pair(sample, question, (answers[sample.id], others[sample.id]), metric, better)
        for sample, question in zip(asked, questions, strict=True)
    ]


def _pair(asked: Sample, question: str, given: tuple[Sample, Sample], metric: str, better: Better) -> Pair:
    first, second = (sample.scores.get(metric, math.nan) for sample in given)
    return Pair(
        id=asked.id,
        question=question,
        prompt=asked.prompt,
        expected=" | ".join(asked.expected),
        first=given[0].output,
        second=given[1].output,
        first_score=first,
        second_score=second,
        change=change(1 - first, 1 - second) if better == "lower" else change(first, second),
        given=given,
        contaminated=asked.overlap,
        category=asked.category or "",
    )


def change(first: float, second: float) -> Change:
    """What became of an answer between two scores; a graded score counts as right from one half on."""
    if math.isnan(first) or math.isnan(second):
        return "unscored"
    right = (first >= 0.5, second >= 0.5)
    if right == (False, True):
        return "wrong to right"
    if right == (True, False):
        return "right to wrong"
    return "both right" if right[0] else "both wrong"


def strip_frame(prompts: Sequence[str]) -> list[str]:
    """The prompts without what a chat template puts around each: the part before and after that all have in common.

    The cut is made only behind or before a line break or the bracket of a marker, so that questions keep their words.
    """
    if len(prompts) < 2:
        return list(prompts)
    before = _common_start(prompts)
    after = _common_start([prompt[::-1] for prompt in prompts])[::-1]
    head = max(before.rfind(mark) for mark in "\n>]") + 1
    found = re.search(r"[\n<\[]", after)
    foot = len(after) - found.start() if found else 0
    return [prompt[head : len(prompt) - foot].strip() or prompt for prompt in prompts]


def stamp_of(path: Path) -> tuple[str, int, int]:
    """Which file it is, and changes with what is in it; of one that is not there zeros."""
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0
    return str(path), found.st_mtime_ns, found.st_size


def _common_start(texts: Sequence[str]) -> str:
    """The longest text that all of them start with: what the first and the last in order share, all share."""
    first, last = min(texts), max(texts)
    same = next((place for place, letter in enumerate(first) if letter != last[place]), len(first))
    return first[:same]
