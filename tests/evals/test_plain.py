import math
from typing import Any

import pytest

from evals.plain import headline
from evals.results import Finding, Results, Row
from evals.titles import task_title


def row(task: str, delta: float, verdict: Any, **more: Any) -> Row:
    values: dict[str, Any] = {
        "task": task, "metric": "exact_match", "base": 0.0, "base_stderr": 0.0, "tuned": delta, "tuned_stderr": 0.04,
        "delta": delta, "ci_low": delta - 0.07, "ci_high": delta + 0.07, "n": 1200, "unscored": 0, "verdict": verdict,
    }  # fmt: skip
    return Row(**(values | more))


def said(*rows: Row, **more: Any) -> tuple[str, str]:
    return headline(Results(rows=rows, verdict="", **more))


KEPT = row("known_facts", -0.01, "no difference shown", role="forgetting")
LOST = row("known_facts", -0.2, "worse", role="forgetting")
FEW = row("known_facts", -0.2, "too few to tell", role="forgetting", n=12)


@pytest.mark.parametrize(
    ("rows", "words", "tone"),
    [
        (
            [row("heldout", 0.12, "better"), KEPT],
            "The tuned model answers 12 of 100 more questions right, between 5 and 19; no loss was found on Known "
            "facts.",
            "good",
        ),
        (
            [row("heldout", 0.12, "better"), row("format", 0.6, "better", metric="checks")],
            "The tuned model answers 12 of 100 more questions right on Held-out rows (between 5 and 19) and gives 60 "
            "of 100 more answers in the form asked on Format (between 53 and 67).",
            "good",
        ),
        (
            [row("a", 0.12, "better"), row("b", -0.12, "worse"), row("c", 0.0, "no difference shown")],
            "Mixed: the tuned model answers 12 of 100 more questions right on A (between 5 and 19), but answers 12 of "
            "100 fewer questions right on B (between 5 and 19); no difference was shown on C.",
            "bad",
        ),
        (
            [row("a", 0.12, "better"), LOST],
            "Mixed: the tuned model answers 12 of 100 more questions right, between 5 and 19; of what the base could "
            "do, it now answers 20 of 100 fewer questions right on Known facts (between 13 and 27).",
            "warn",
        ),
        ([row("a", -0.12, "worse")], "The tuned model answers 12 of 100 fewer questions right, between 5 and 19.",
         "bad"),
        (
            [row("a", 0.03, "no difference shown")],
            "No difference shown: the tuned model may answer up to 4 of 100 questions fewer right than its base, or up "
            "to 10 more.",
            "idle",
        ),
        (
            [row("a", 0.0, "no difference shown"), row("b", 0.1, "too few to tell"), FEW],
            "No difference shown: the tuned model may be like its base, or the test is too small to tell; whether "
            "anything was lost on Known facts cannot be told from so few questions.",
            "idle",
        ),
        ([row("a", 0.5, "too few to tell", n=20)],
         "Too few questions to tell: ask more of them, and the difference can be judged.", "idle"),
        ([row("a", 0.5, "too few to tell", groups=9)],
         "Too few questions to tell: ask more of them, and the difference can be judged.", "idle"),
        ([row("a", 0.5, "too few to tell", changed=6)],
         "Too few answers differ to tell: ask more questions, and more of them will.", "idle"),
        (
            [row(f"t{at}", 0.1 + at / 100, "better") for at in range(5)],
            "The tuned model does better on 5 tasks, most of all on T4, where it answers 14 of 100 more questions "
            "right.",
            "good",
        ),
        (
            [row("a", 0.034, "better", metric="rouge_l", ci_low=0.004, ci_high=0.06)],
            "The tuned model scores 3.4 points of 100 higher by rouge_l, between 0.4 and 6.",
            "good",
        ),
        (
            [row("a", -12.5, "better", metric="perplexity", better="lower", share=False, ci_low=math.nan,
                 ci_high=math.nan)],
            "The tuned model scores 12.5 choices lower, which is better, by perplexity.",
            "good",
        ),
        ([KEPT], "No loss was found on Known facts.", "idle"),
        (
            [LOST],
            "Of what the base could do, the tuned model now answers 20 of 100 fewer questions right on Known facts "
            "(between 13 and 27).",
            "bad",
        ),
        ([], "Nothing was compared.", "idle"),
    ],
)  # fmt: skip
def test_a_comparison_in_a_sentence(rows: list[Row], words: str, tone: str) -> None:
    aside = [row("a", 0.5, "worse", role="prompting", against="base-prompted")] if rows else []
    aside += [row("heldout", 0.5, "worse", metric="length", better="neither")] if rows else []
    assert said(*rows, *aside) == (words, tone)


def test_an_interval_that_says_less_than_the_test_is_left_to_the_table() -> None:
    assert said(row("a", 0.12, "better", ci_low=-0.01))[0] == "The tuned model answers 12 of 100 more questions right."


def test_what_takes_the_verdict_away_stands_in_its_place() -> None:
    found = [
        Finding(kind="noise", tone="note", message="m"),
        Finding(kind="contaminated test", tone="bad", message="m"),
    ]
    words = "These numbers cannot be relied on: the test's questions were in the training rows."
    assert said(row("t", 0.5, "better"), findings=tuple(found)) == (words, "bad")
    judged = (Finding(kind="judge fails", tone="bad", message="m"),)
    assert said(row("t", 0.5, "better"), findings=judged)[1] == "good", "it harms no score"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("heldout", "Held-out rows"),
        ("unseen_people", "Unseen people"),
        ("general", "General knowledge"),
        ("mmlu_anatomy.5shot", "mmlu anatomy, 5 solved examples first"),
        ("gsm8k.0shot", "gsm8k"),
        ("SQuAD-v2", "SQuAD v2"),
        ("_", "_"),
        ("mmlu:anatomy|5", "mmlu:anatomy|5"),
    ],
)
def test_tasks_have_titles(name: str, title: str) -> None:
    assert task_title(name) == title
