"""Single questions with both answers: paired, told apart by what became of them. Pure, knows no gradio and no files."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from evals.log import EvalLog, Sample

Change = Literal["wrong to right", "right to wrong", "both right", "both wrong", "unscored"]
COLUMNS = ["#", "question", "expected", "base", "tuned", "change"]
SHOWN = 300
"""So many samples are listed at once."""
_CELL = 160


@dataclass(frozen=True)
class Pair:
    """One question, both answers, and what became of it."""

    id: str
    question: str
    prompt: str
    expected: str
    base: str
    tuned: str
    base_score: float
    tuned_score: float
    change: Change


def pairs(base: EvalLog, tuned: EvalLog) -> list[Pair]:
    """The samples that both were asked, judged by the task's first metric."""
    answers = {sample.id: sample for sample in tuned.samples}
    metric = next((name for sample in base.samples for name in sample.scores), "")
    both = [(sample, answers[sample.id]) for sample in base.samples if sample.id in answers]
    questions = strip_frame([one.prompt for one, _ in both])
    return [_pair(one, other, question, metric) for (one, other), question in zip(both, questions, strict=True)]


def _pair(base: Sample, tuned: Sample, question: str, metric: str) -> Pair:
    first, second = base.scores.get(metric, math.nan), tuned.scores.get(metric, math.nan)
    return Pair(
        id=base.id,
        question=question,
        prompt=base.prompt,
        expected=" | ".join(base.expected),
        base=base.output,
        tuned=tuned.output,
        base_score=first,
        tuned_score=second,
        change=change(first, second),
    )


def change(base: float, tuned: float) -> Change:
    """What became of an answer between two scores; a graded score counts as right from one half on."""
    if math.isnan(base) or math.isnan(tuned):
        return "unscored"
    right = (base >= 0.5, tuned >= 0.5)
    if right == (False, True):
        return "wrong to right"
    if right == (True, False):
        return "right to wrong"
    return "both right" if right[0] else "both wrong"


def tally(found: Sequence[Pair]) -> list[tuple[str, str]]:
    """The filters that make sense, each as (label with its count, value); all samples first."""
    kinds: list[Change] = ["wrong to right", "right to wrong", "both wrong", "both right", "unscored"]
    counts = {kind: sum(pair.change == kind for pair in found) for kind in kinds}
    always = kinds[:2]
    shown = [kind for kind in kinds if counts[kind] or kind in always]
    return [(f"All ({len(found)})", "all"), *((f"{kind.capitalize()} ({counts[kind]})", kind) for kind in shown)]


def frame(found: Sequence[Pair], only: str = "all") -> pd.DataFrame:
    """The samples of one filter as a table of texts."""
    kept = [pair for pair in found if only in ("all", pair.change)][:SHOWN]
    rows = [
        (pair.id, _cell(pair.question), _cell(pair.expected), _cell(pair.base), _cell(pair.tuned), pair.change)
        for pair in kept
    ]
    return pd.DataFrame(rows, columns=COLUMNS, dtype=str)


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


def _common_start(texts: Sequence[str]) -> str:
    """The longest text that all of them start with: what the first and the last in order share, all share."""
    first, last = min(texts), max(texts)
    same = next((place for place, letter in enumerate(first) if letter != last[place]), len(first))
    return first[:same]


def _cell(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CELL else flat[: _CELL - 1] + "…"
