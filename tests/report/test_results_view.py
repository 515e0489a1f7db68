import math
from typing import Any

import pytest

from evals.results import Change, Finding, JudgeSummary, Results, Row
from ftspace.report.results_view import results_view


def row(task: str, delta: float, verdict: Any, **more: Any) -> Row:
    values: dict[str, Any] = {
        "task": task, "metric": "exact_match", "base": 0.0, "base_stderr": 0.0, "tuned": delta, "tuned_stderr": 0.04,
        "delta": delta, "ci_low": delta - 0.1, "ci_high": delta + 0.1, "n": 1200, "unscored": 3, "verdict": verdict,
    }  # fmt: skip
    return Row(**(values | more))


def results(*rows: Row, **more: Any) -> Results:
    return Results(rows=rows, verdict="", **more)


def test_the_view_begins_with_the_sentence_and_names_tasks_by_their_titles() -> None:
    view = results_view(
        results(row("heldout", 0.5, "better"), findings=(Finding(kind="noise", tone="note", message="m", task="a_b"),))
    )
    assert view.verdict == "The tuned model answers 50 of 100 more questions right, between 40 and 60."
    assert view.tone == "good" and view.sections[0].lines[0].task == "Held-out rows"
    assert view.findings[0].title == "Noise on A b"


def test_too_few_answers_that_differ_are_counted_among_the_details() -> None:
    for more in ({"n": 20}, {"n": 100}, {"groups": 9}):
        few = results(row("t", 0.5, "too few to tell", changed=6, **more))
        counted = dict(results_view(few).sections[0].lines[0].details)
        assert "6" in (counted.get("Answers that differ"), counted.get("Groups with answers that differ"))


def test_lines_are_in_points_and_keep_what_is_missing() -> None:
    nothing = dict.fromkeys(("base", "base_stderr", "ci_low", "ci_high"), math.nan)
    (section,) = results_view(
        results(row("some", 0.867, "better"), row("none", math.nan, "too few to tell", **nothing))
    ).sections
    good, none = section.lines
    assert (good.base, good.tuned, good.delta) == ("0.0 ± 0.0", "86.7 ± 4.0", "+86.7")
    assert (good.interval, good.n, good.tone) == ("+76.7 to +96.7", "1,200", "good")
    assert good.span == pytest.approx((0.767, 0.867, 0.967))
    assert good.details[1:] == (("Unscored, counted for neither", "3"),)
    assert (none.base, none.delta, none.span) == ("– ± –", "–", None)


def test_a_metric_that_is_no_share_is_shown_as_it_is() -> None:
    ((line,),) = (
        one.lines for one in results_view(results(row("t", -12.5, "better", better="lower", share=False))).sections
    )
    assert (line.delta, line.span, line.metric) == ("-12.5", None, "exact_match, lower is better")


def test_rows_stand_by_what_they_compare_and_each_tasks_first_metric_leads() -> None:
    view = results_view(
        results(
            row("t", 0.5, "better", p=0.0001, detectable=0.04, needed=30, test="McNemar", groups=7, tuned_std=0.5,
                tuned_min=0.0, tuned_max=1.0),
            row("t", 0.2, "better", subset="clean", n=1188),
            row("t", 0.1, "better", metric="token_f1"),
            row("f", -0.1, "worse", role="forgetting"),
            row("t", 0.3, "better", role="prompting", against="base-prompted"),
            row("t", 0.1, "better", role="earlier", against="checkpoint-40"),
            row("t", 0.1, "better", role="earlier", against="run-x"),
            row("t", 0.0, "worse", role="noise", side="base-again"),
        )
    )  # fmt: skip
    assert [(one.title, *one.heads) for one in view.sections] == [
        ("What tuning gave", "Base", "Tuned"),
        ("What it lost", "Base", "Tuned"),
        ("Against a good prompt", "Base with examples", "Tuned"),
        ("Against checkpoint 40", "Checkpoint 40", "Tuned"),
        ("Against run x", "Run x", "Tuned"),
        ("Noise floor", "Base", "Base again"),
    ]
    gain, *_, noise = view.sections
    assert [line.metric for line in gain.more] == ["token_f1"]
    (line,) = gain.lines
    assert line.clean == "without 12 overlapping samples: +20.0 (+10.0 to +30.0), better"
    assert dict(line.details) == {
        "What a score says": "the answer is an accepted one, but for case, spacing and quotes or stops around it",
        "Test": "McNemar",
        "p, for the whole table": "below 0.001",
        "Would probably have shown": "a difference of 4.0 or more",
        "Samples to show this difference": "30",
        "Groups of dependent samples": "7",
        "Unscored, counted for neither": "3",
        "Tuned, spread": "standard deviation 50.0, from 0.0 to 100.0",
    }
    assert noise.lines[0].tone == "warn"


def test_findings_change_and_judges_are_told() -> None:
    view = results_view(
        results(
            row("t", 0.5, "better"),
            findings=(Finding(kind="answers cut off", tone="warning", message="Half.", task="t"),),
            change=Change(identical=0.12, answers=300, kl=0.8, kl_tokens=900, update_norm=0.02, follows_base=0.5,
                          follows_tuned=2.0),
            judges=(
                JudgeSummary(judge="m at h", kind="pairwise", n=90, missing=10, wins=50, losses=30, ties=10, flips=0.2,
                             controlled=0.6, controlled_low=0.5, controlled_high=0.7, calls=180, cost=0.25),
            ),
        )
    )  # fmt: skip
    assert [(one.title, one.message, one.tone) for one in view.findings] == [("Answers cut off on T", "Half.", "warn")]
    assert view.change == "12 % of 300 answers identical, KL 0.8 nats a token, update norm 0.02, an expected " + (
        "answer is likelier after its own question than after another by +0.5 → +2 nats"
    )
    assert view.judges == (
        "m at h: 90 judged, Tuned preferred 50 times, Base 30 times, 10 ties, 10 missing, order changed the verdict in "
        "20 %, at equal length it would win 60 % (50 to 70), 180 calls for 0.25",
    )
