import math
from typing import Any

import pytest

from evals.log import EvalLog, EvalSpec
from evals.log import Sample as Asked
from ftspace import words
from ftspace.config import default_config, parse_config
from ftspace.report.pairs import pairs, strip_frame
from ftspace.ui import views

CONFIG = default_config()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.6, "1 min"), (200, "3 min 20 s"), (660, "11 min"), (7500, "2 h 5 min"), (-3, "0 s")],
)
def test_duration(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_run_lines() -> None:
    run_id = "20261122-043211-48f124ca6607"
    assert views.run_line(run_id, CONFIG, "finished", "Better.") == views.RunLine(
        run_id, "base on people", "22 Nov 2026, 04:32 UTC", "Better.", "good"
    )
    assert views.run_line(run_id, CONFIG, "interrupted", None).words == "Interrupted"
    assert views.run_line(run_id, None, None, None).tone == "bad"
    hub = parse_config({"model": {"id": "owner/model"}, "data": {"id": "squad"}})
    assert words.title(hub) == "owner/model on squad"


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
    base, tuned = log("base", [0, 1, 0, 1, 0]), log("tuned", [1, 0, 0, 1, math.nan])
    found = pairs(base, base, tuned)
    assert [pair.change for pair in found] == [
        "wrong to right",
        "right to wrong",
        "both wrong",
        "both right",
        "unscored",
    ]
    assert found[0].question == "What is 0?"


def test_training_rows_before_a_sides_questions_are_not_shown() -> None:
    base, tuned, shown = (log(who, [0, 1]) for who in ("base", "tuned", "base-prompted"))
    secret = tuple(one.model_copy(update={"prompt": f"a training row\n{one.prompt}"}) for one in shown.samples)
    shown = shown.model_copy(update={"samples": secret})
    for first, second in ((shown, tuned), (tuned, shown)):
        found = pairs(base, first, second)
        assert [one.question for one in found] == ["What is 0?", "What is 1?"]
        assert not any("training row" in one.prompt for one in found)
    assert (found[0].first, found[0].second) == ("tuned 0", "base-prompted 0")


@pytest.mark.parametrize(
    ("side", "name", "asked"),
    [
        ("base", "Base", "the base"),
        ("tuned", "Tuned", "the tuned model"),
        ("base-prompted", "Base with examples", "the base with examples"),
        ("reference", "Reference", "the reference model"),
        ("checkpoint-40", "Checkpoint 40", "Checkpoint 40"),
        ("run-20261122-043211-48f124ca6607", "Run 20261122-043211-48f124ca6607", "Run 20261122-043211-48f124ca6607"),
    ],
)
def test_sides_have_names_for_people(side: str, name: str, asked: str) -> None:
    assert (words.side_name(side), words.asked_of(side)) == (name, asked)


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
    assert strip_frame(prompts) == questions
