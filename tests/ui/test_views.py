import math
from typing import Any

import pytest

from evals.log import EvalLog, EvalSpec, Results, Row
from evals.log import Sample as Asked
from ftspace.config import default_config, parse_config
from ftspace.ui import samples, views

CONFIG = default_config()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (660, "11 min"), (7500, "2 h 5 min"), (-3, "0 s")],
)
def test_duration(seconds: float, words: str) -> None:
    assert views.duration(seconds) == words


def test_run_lines() -> None:
    run_id = "20261122-043211-48f124ca6607"
    assert views.run_line(run_id, CONFIG, "finished", "Better.") == views.RunLine(
        run_id, "base on people", "22 Nov 2026, 04:32 UTC", "Better.", "good"
    )
    assert views.run_line(run_id, CONFIG, "interrupted", None).words == "Interrupted"
    assert views.run_line(run_id, None, None, None).tone == "bad"
    hub = parse_config({"model": {"id": "owner/model"}, "data": {"id": "squad"}})
    assert views.title(hub) == "owner/model on squad"


def row(task: str, delta: float, verdict: Any, **more: Any) -> Row:
    values: dict[str, Any] = {
        "task": task, "metric": "exact_match", "base": 0.0, "base_stderr": 0.0, "tuned": delta, "tuned_stderr": 0.04,
        "delta": delta, "ci_low": delta - 0.1, "ci_high": delta + 0.1, "n": 1200, "unscored": 3, "verdict": verdict,
    }  # fmt: skip
    return Row(**(values | more))


@pytest.mark.parametrize(
    ("verdicts", "words", "tone"),
    [
        (["better", "better"], "better on 2 of 2 tasks, and shown to be worse on none", "good"),
        (["better", "worse"], "Mixed: the tuned model is better on 1 of 2 tasks and worse on 1", "bad"),
        (["worse", "no difference shown"], "worse on 1 of 2 tasks, and shown to be better on none", "bad"),
        (["no difference shown", "too few to tell"], "No difference shown", "idle"),
        (["too few to tell"], "Too few questions to tell", "idle"),
        ([], "Nothing was compared", "idle"),
    ],
)
def test_headline(verdicts: list[Any], words: str, tone: str) -> None:
    found = Results(rows=tuple(row(f"t{i}", 0.5, verdict) for i, verdict in enumerate(verdicts)), verdict="")
    said, how = views.headline(found)
    assert words in said
    assert how == tone


def test_result_lines_are_in_points_and_keep_what_is_missing() -> None:
    missing = row(
        "none", math.nan, "too few to tell", base=math.nan, base_stderr=math.nan, ci_low=math.nan, ci_high=math.nan
    )
    good, none = views.result_lines(Results(rows=(row("some", 0.867, "better"), missing), verdict=""))
    assert (good.base, good.tuned, good.delta) == ("0.0 ± 0.0", "86.7 ± 4.0", "+86.7")
    assert (good.interval, good.n, good.unscored, good.tone) == ("+76.7 to +96.7", "1,200", "3", "good")
    assert good.span == pytest.approx((0.767, 0.867, 0.967))
    assert (none.base, none.delta, none.span) == ("– ± –", "–", None)


def log(which: Any, scores: list[float]) -> EvalLog:
    spec = EvalSpec(
        base="b", task="t", task_hash="h", kind="generation", n=len(scores), dtype="float32", device="cpu",
        tokenizer_hash="h", max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={},
    )  # fmt: skip
    prompts = [f"<|user|>\nWhat is {i}?<|end|>\n<|answer|>\n" for i in range(len(scores))]
    found = tuple(
        Asked(id=str(i), prompt=prompt, expected=("x",), output=f"{which} {i}", scores={"exact_match": score})
        for i, (prompt, score) in enumerate(zip(prompts, scores, strict=True))
    )
    return EvalLog(spec=spec, which=which, started="2026-11-22T00:00:00Z", seconds=1.0, samples=found)


def test_samples_are_paired_and_told_apart() -> None:
    found = samples.pairs(log("base", [0, 1, 0, 1, 0]), log("tuned", [1, 0, 0, 1, math.nan]))
    assert [pair.change for pair in found] == [
        "wrong to right",
        "right to wrong",
        "both wrong",
        "both right",
        "unscored",
    ]
    assert found[0].question == "What is 0?"
    assert samples.tally(found)[:3] == [
        ("All (5)", "all"),
        ("Wrong to right (1)", "wrong to right"),
        ("Right to wrong (1)", "right to wrong"),
    ]
    assert list(samples.frame(found, "wrong to right")["base"]) == ["base 0"]
    assert list(samples.frame(found)["#"]) == ["0", "1", "2", "3", "4"]
    assert samples.frame([]).empty


@pytest.mark.parametrize(
    ("prompts", "questions"),
    [
        (["<u>What is a?</u>\nA:", "<u>What is b?</u>\nA:"], ["What is a?", "What is b?"]),
        (["plain one", "plain two"], ["plain one", "plain two"]),
        (["same", "same"], ["same", "same"]),
        (["<u>one</u>"], ["<u>one</u>"]),
        ([], []),
    ],
)
def test_the_frame_around_questions_is_taken_off(prompts: list[str], questions: list[str]) -> None:
    assert samples.strip_frame(prompts) == questions
