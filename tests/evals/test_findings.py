import math
from typing import Any

import pytest

from evals.findings import find, identical
from evals.log import EvalLog, EvalSpec, Sample
from evals.results import Change, Finding, Row
from evals.shown import forgetting_report, worst_first

NAN = math.nan
CHANGED: dict[str, Any] = {
    "identical": 0.1,
    "answers": 50,
    "kl": 2.0,
    "kl_tokens": 300,
    "update_norm": 0.05,
    "follows_base": 1.0,
    "follows_tuned": 2.0,
    "follows_low": 1.8,
    "follows_high": 2.2,
    "follows_change": 1.0,
    "follows_change_low": 0.8,
    "follows_change_high": 1.2,
    "follows_n": 60,
}


def row(**given: Any) -> Row:
    delta = given.pop("delta", 0.2)
    half = given.pop("half", 0.05)
    default: dict[str, Any] = {
        "task": "people",
        "metric": "exact_match",
        "base": 0.2,
        "base_stderr": 0.01,
        "tuned": 0.2 + delta,
        "tuned_stderr": 0.01,
        "delta": delta,
        "ci_low": delta - half,
        "ci_high": delta + half,
        "n": 50,
        "unscored": 0,
        "detectable": 0.07,
        "verdict": "better" if delta > half else "worse" if delta < -half else "no difference shown",
    }
    return Row(**{**default, **given})


def log(which: str, outputs: list[str], task: str = "people", kind: Any = "generation", **given: Any) -> EvalLog:
    spec = EvalSpec(
        base="b",
        task=task,
        task_hash="x",
        kind=kind,
        n=len(outputs),
        dtype="float32",
        device="cpu",
        tokenizer_hash="t",
        max_new_tokens=8,
        end_ids=(0,),
        batch_tokens=99,
        seed=0,
        versions={},
    )
    samples = tuple(
        Sample(id=str(place), prompt="?", output=text, **{key: value[place] for key, value in given.items()})
        for place, text in enumerate(outputs)
    )
    return EvalLog(spec=spec, which=which, started="2026", seconds=0, samples=samples)


ALIKE = [log("base", ["a"] * 50), log("tuned", ["a"] * 50)]
APART = [log("base", ["a"] * 50), log("tuned", ["b"] * 50)]
CHOSEN = [
    log(which, ["a"], "facts", "choice", logprobs=[(-1.0, moved)]) for which, moved in (("base", -2.0), ("tuned", -2.5))
]


def told(found: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(one.tone, one.kind) for one in found]


@pytest.mark.parametrize(
    ("logs", "change", "kind"),
    [
        (ALIKE, {"identical": 1.0, "kl": 0.0, "update_norm": 0.0}, "adapter did nothing"),
        (APART, {"update_norm": 0.0}, "adapter did nothing"),
        (ALIKE, {"identical": 1.0, "kl": 1e-9, "update_norm": 1e-7}, "adapter did nothing"),
        (ALIKE, {"identical": 1.0, "kl": 0.0, "update_norm": NAN}, "adapter did nothing"),
        (ALIKE, {"identical": 1.0, "kl": 0.0}, "adapter not applied"),
        (ALIKE, {"identical": 1.0, "kl": 1e-3}, None),
        (APART, {"kl": 0.0}, None),
        ([*ALIKE, *CHOSEN], {"kl": NAN, "kl_tokens": 0}, None),
        (
            [CHOSEN[0], CHOSEN[0].model_copy(update={"which": "tuned"})],
            {"kl": NAN, "kl_tokens": 0},
            "adapter not applied",
        ),
        (ALIKE, None, "adapter did nothing"),
        ([log("base", ["a"]), log("tuned", ["a"])], None, None),
        (ALIKE[:1], None, None),
    ],
)
def test_an_adapter_that_changes_nothing_is_called_by_its_name(
    logs: list[EvalLog], change: dict[str, Any] | None, kind: str | None
) -> None:
    found = find([], logs, None if change is None else Change(**{**CHANGED, **change}))
    assert told(found) == ([("bad", kind)] if kind else [])


@pytest.mark.parametrize(
    ("follows", "tone"),
    [
        ((1.0, 2.0, 1.8, 0.8, 1.2, 60), None),
        ((1.0, 0.0, -0.1, -1.2, -0.8, 60), "bad"),
        ((0.0, 0.02, -0.1, -0.1, 0.1, 60), "warning"),
        ((0.0, 0.02, 0.01, -0.1, 0.1, 60), "bad"),
        ((0.03, 0.05, 0.02, 0.01, 0.03, 60), None),
        ((1.0, 0.3, 0.2, -0.8, -0.6, 60), "bad"),
        ((1.0, 0.8, 0.7, -0.3, -0.1, 60), None),
        ((1.0, 0.0, -0.1, -1.2, -0.8, 20), None),
        ((NAN, NAN, NAN, NAN, NAN, 0), None),
    ],
)
def test_answers_that_do_not_follow_their_questions_are(follows: tuple[float, ...], tone: str | None) -> None:
    names = ("base", "tuned", "low", "change_low", "change_high", "n")
    given: dict[str, Any] = {f"follows_{name}": value for name, value in zip(names, follows, strict=True)}
    given["follows_high"] = 2 * follows[1] - follows[2]
    change = Change(**{**CHANGED, **given})
    assert told(find([], APART, change)) == ([(tone, "answers do not follow questions")] if tone else [])
    assert told(find([], CHOSEN, change)) == [], "choices say nothing of the answers that were trained"


@pytest.mark.parametrize(
    ("repeated", "rows", "tone"),
    [
        (0, [row()], None),
        (20, [row(), row(subset="clean", delta=0.02, n=30)], "bad"),
        (20, [row(), row(subset="clean", delta=0.2, n=20)], "bad"),
        (50, [row()], "bad"),
        (20, [row(), row(subset="clean", n=30)], "warning"),
        (20, [row(), row(subset="clean", n=30, half=NAN, verdict="better")], "warning"),
        (20, [row(), row(subset="clean", n=30, half=NAN, verdict="no difference shown")], "bad"),
        (20, [row(delta=0.0)], "warning"),
        (1, [row(), row(subset="clean", n=49)], "note"),
        (20, [row(metric="perplexity", better="lower", share=False, delta=-9.0, verdict="better")], "bad"),
        (
            20,
            [
                row(metric="perplexity", better="lower", share=False, delta=-9.0, verdict="better"),
                row(metric="perplexity", better="lower", share=False, delta=-9.0, subset="clean", n=30),
            ],
            "warning",
        ),
    ],
)
def test_a_contaminated_test_is_bad_when_the_gain_rests_on_it(repeated: int, rows: list[Row], tone: str | None) -> None:
    overlap = [place < repeated for place in range(50)]
    logs = [log(which, outputs, overlap=overlap) for which, outputs in (("base", ["a"] * 50), ("tuned", ["b"] * 50))]
    found = find(rows, logs)
    assert told(found) == ([(tone, "contaminated test")] if tone else [])
    assert not tone or f"{repeated} of 50 samples of People" in found[0].message


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row()], []),
        ([row(role="forgetting", delta=-0.2)], [("warning", "forgetting")]),
        ([row(role="forgetting", delta=0.0)], [("note", "forgetting")]),
        ([row(role="prompting", against="base-prompted")], []),
        ([row(role="prompting", against="base-prompted", delta=0.01)], [("warning", "prompting does as well")]),
        ([row(role="prompting", against="base-prompted", delta=0.01, n=9)], []),
        ([row(metric="cut_off", better="lower", delta=0.3, verdict="worse")], [("warning", "never stops")]),
        ([row(metric="repetition", better="lower", delta=0.3, verdict="worse")], [("warning", "never stops")]),
        ([row(metric="cut_off", better="lower", delta=0.0)], [("warning", "answers cut off")]),
        ([row(metric="cut_off", better="lower", delta=-0.2, verdict="better")], [("note", "answers cut off")]),
        ([row(metric="refusal", better="lower", delta=0.2, verdict="worse")], [("warning", "refuses more")]),
        ([row(metric="length", better="neither", delta=9.0)], []),
        ([row(unscored=2)], []),
        ([row(unscored=5)], [("warning", "scores missing")]),
        ([row(unscored=60)], [("bad", "scores missing")]),
        ([row(role="noise", side="base-again", delta=0.0)], []),
        ([row(role="noise", side="base-again", delta=0.01)], [("note", "noise")]),
        ([row(role="noise", side="base-again", delta=0.2)], [("warning", "noise")]),
        ([row(delta=0.06), row(role="noise", side="base-again", delta=0.06, half=0.07)], [("warning", "noise")]),
    ],
)
def test_each_rule_speaks_when_it_should(rows: list[Row], expected: list[tuple[str, str]]) -> None:
    assert told(find(rows, APART)) == expected


@pytest.mark.parametrize(
    ("expected", "stats", "kind"),
    [
        ("y" * 300, {}, "answers cut off"),
        ("y" * 20, {}, "never stops"),
        ("y" * 20, {"perplexity": (1.0, 8.0)}, "answers cut off"),
        ("y" * 300, {"perplexity": (1.0, 3.0)}, "never stops"),
    ],
)
def test_answers_are_cut_off_rather_than_endless_where_the_expected_ones_are_as_long(
    expected: str, stats: dict[str, Any], kind: str
) -> None:
    given: dict[str, Any] = {"finish": ["length"] * 50, "expected": [(expected,)] * 50, "stats": [stats] * 50}
    logs = [log("base", ["a"] * 50), log("tuned", ["x" * 100] * 50, **given)]
    assert told(find([row(metric="cut_off", better="lower", delta=0.3, verdict="worse")], logs)) == [("warning", kind)]


def test_the_worst_is_told_first_with_its_figures() -> None:
    rows = [
        row(role="noise", side="base-again", delta=0.01),
        row(task="facts", role="forgetting", delta=-0.1, base=0.9, tuned=0.8),
        row(task="code", role="forgetting", delta=-0.3, base=0.9, tuned=0.6),
        row(unscored=60),
    ]
    unscored = [None] * 48 + ["too long"] * 2
    seen = find(rows, [log("base", ["a"] * 50, unscored=unscored), log("tuned", ["b"] * 50)])
    found = worst_first(seen)
    assert {one.tone for one in worst_first(reversed(seen))[:1]} == {"bad"}
    assert [(one.tone, one.task) for one in found] == [
        ("bad", "people"),
        ("warning", "code"),
        ("warning", "facts"),
        ("note", None),
    ]
    assert "60 of 110" in found[0].message and "too long" in found[0].message
    assert "from 90.0 to 60.0, -30.0 points (95 % interval -35.0 to -25.0, n = 50)" in found[1].message


def test_the_forgetting_report_begins_with_what_was_lost_most() -> None:
    rows = [
        row(task="a", role="forgetting", delta=-0.04),
        row(task="b", role="forgetting", delta=-0.2),
        row(
            task="c",
            role="forgetting",
            metric="perplexity",
            better="lower",
            base=10,
            tuned=15,
            delta=5,
            verdict="worse",
        ),
        row(task="d", role="forgetting", metric="length", better="neither", delta=-9),
        row(task="e", role="forgetting", delta=-0.5, subset="clean"),
        row(task="f"),
    ]
    assert [one.task for one in forgetting_report(rows)] == ["c", "b", "a"]


def test_identical_answers_are_counted_where_answers_were_written() -> None:
    base = [log("base", ["a", "b", "c"]), log("base", ["x"], "facts", "choice")]
    tuned = [log("tuned", ["a", "b ", "c"]), log("tuned", ["y"], "facts", "choice")]
    assert identical(base, tuned) == (pytest.approx(2 / 3), 3)
    assert math.isnan(identical(base[1:], tuned[1:])[0])
