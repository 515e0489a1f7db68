import math
from collections.abc import Sequence
from typing import Any

import pytest

from evals.log import EvalLog, EvalSpec, Results, Row
from evals.log import Sample as Asked
from ftspace.answers import Answered, measured
from ftspace.config import default_config, parse_config
from ftspace.events import (
    AdapterSaved,
    Evaluated,
    Event,
    Finished,
    Prepared,
    Progress,
    Resumed,
    Sample,
    Started,
    Step,
    Validation,
    Warned,
)
from ftspace.state import RunState, fold
from ftspace.ui import samples, views

CONFIG = default_config()
STARTED = Started(job="train", pid=1, time=100.0)
PREPARED = Prepared(
    rows={"train": 1545, "validation": 80, "test": 175},
    format="messages",
    total_steps=100,
    trainable_parameters=303_600,
    parameters=3_700_000,
    device="cpu",
    dtype="float32",
    time=110.0,
)


def step(number: int, loss: float = 2.0) -> Step:
    return Step(
        step=number, epoch=0.1, loss=loss, learning_rate=1e-4, tokens=100 * number, seconds=2.0 * number, time=110.0
    )


def live(events: Sequence[Event], status: Any) -> views.Live:
    return views.live(fold(events), status, CONFIG, now=160.0)


def phases(view: views.Live) -> dict[str, str]:
    return dict(view.phases)


def test_a_queued_run_says_that_it_waits() -> None:
    view = live([], "queued")
    assert (view.headline, view.tone, view.fraction) == ("Waiting for its turn", "idle", None)
    assert set(phases(view).values()) == {"next"}


def test_before_the_first_step_it_gets_ready() -> None:
    view = live([STARTED], "running")
    assert view.headline == "Getting ready"
    assert phases(view) == {"Get ready": "now", "Train": "next", "Compare": "next", "Done": "next"}


def test_training_tells_step_share_and_time_left() -> None:
    view = live([STARTED, PREPARED, Validation(step=0, loss=3.0), *(step(n) for n in range(1, 26))], "running")
    assert view.headline == "Training: step 25 of 100"
    assert view.detail == "About 2 min 30 s left of the training."
    assert view.fraction == 0.25
    assert dict(view.facts) == {
        "Time": "1 min",
        "Training loss": "2.000",
        "Validation loss": "3.000",
        "Speed": "50 tokens/s",
        "Rows": "1,545 to train, 255 kept back",
        "Trained weights": "303.6 k (8.2 %)",
        "Device": "cpu, float32",
        "Step": "2.00 s",
    }


def test_the_newest_answers_stand_beside_those_of_the_base() -> None:
    def asked(step: int, index: int, answer: str) -> Sample:
        return Sample(step=step, index=index, prompt=f"q{index}", answer=answer, reference="r")

    events: list[Event] = [STARTED, PREPARED, asked(0, 0, "a"), asked(0, 1, "b")]
    events += [Validation(step=0, loss=3.0, token_accuracy=0.25, score=0.0)]
    events += [asked(50, 0, "c"), asked(50, 1, "d"), Validation(step=50, loss=2.0, token_accuracy=0.5, score=0.5)]
    assert measured(fold([Validation(step=0, loss=math.nan)]))["validations"][0]["loss"] == "NaN"
    view = live(events, "running")
    assert view.answers == [Answered("q0", "r", "a", "c", 50), Answered("q1", "r", "b", "d", 50)]
    assert dict(view.facts) | {"Tokens right": "25.0 % → 50.0 %", "F1 of the samples": "0.0 → 50.0"} == dict(view.facts)
    assert measured(fold(events))["samples"][1]["newest"] == "d"
    assert [one["score"] for one in measured(fold(events))["validations"]] == [0.0, 0.5]
    went_back = live([*events, Resumed(step=10, reason="rollback")], "running")
    assert [one.newest for one in went_back.answers] == ["a", "b"]


def test_the_estimate_stands_beside_what_is_measured() -> None:
    predicted = PREPARED.model_copy(
        update={"predicted_bytes": 1_400_000_000, "predicted_seconds": 90.0, "step_flops": 5.4e9}
    )
    before = live([STARTED, predicted], "running")
    assert before.detail == "About 1 min 30 s of training, by the estimate."
    assert {("Memory", "1.4 GB estimated"), ("Step", "5.4 GFLOP")} <= set(before.facts)
    steps = [step(n).model_copy(update={"memory": 1_300_000_000 + n}) for n in (1, 2)]
    after = live([STARTED, predicted, *steps], "running")
    assert {("Memory", "1.3 GB, 1.4 GB estimated"), ("Step", "2.00 s, 5.4 GFLOP")} <= set(after.facts)


def test_the_evaluation_tells_task_and_share() -> None:
    events: list[Event] = [
        STARTED,
        PREPARED,
        step(1),
        Finished(job="train", status="finished"),
        Started(job="evaluate", pid=2),
    ]
    assert live(events, "running").detail == "Loading the model and the tasks."
    events += [
        Progress(task="heldout", which="base", done=60, total=60),
        Progress(task="heldout", which="tuned", done=30, total=60),
    ]
    view = live(events, "running")
    assert view.detail == "Asking the tuned model: heldout, 30 of 60."
    assert view.fraction == pytest.approx(1.5 / (2 * len(CONFIG.eval.tasks)))
    assert phases(view)["Compare"] == "now"


def test_a_finished_run_says_how_long_it_took() -> None:
    events: list[Event] = [
        STARTED,
        PREPARED,
        Finished(job="train", status="finished"),
        Finished(job="evaluate", status="finished", time=220.0),
    ]
    assert "Nothing was compared" in live(events, "finished").detail
    view = live([*events, Evaluated(verdict="better", time=220.0)], "finished")
    assert (view.detail, view.tone, view.fraction) == ("Trained and compared in 2 min.", "good", 1.0)


def test_a_run_that_its_budget_ended_says_so() -> None:
    said = "stopped after 30 minutes as train.max_minutes says, at step 120 of 400"
    trained = Finished(job="train", status="finished", message=said, time=220.0)
    detail = live([STARTED, PREPARED, trained, Evaluated(verdict="better", time=220.0)], "finished").detail
    assert detail == f"Trained and compared in 2 min. S{said[1:]}."


def test_a_run_that_was_cut_off_says_when_its_folder_cannot_be_written() -> None:
    state = fold([STARTED])
    plain, told = (views.live(state, "interrupted", CONFIG, 160.0, found) for found in ("", "its disk is read-only"))
    assert told.detail == f"Its disk is read-only. Nothing can be saved there until that is mended. {plain.detail}"


def test_a_failure_says_what_happened() -> None:
    failed = Finished(job="train", status="failed", reason="memory", message="out of memory; lower the batch")
    view = live([STARTED, PREPARED, Warned(message="odd"), Warned(message="odd"), failed], "failed")
    assert (view.headline, view.tone) == ("Failed: memory ran out", "bad")
    assert view.detail.startswith("Out of memory; lower the batch. Lower train.micro_batch_tokens first")
    assert phases(view)["Train"] == "bad"
    assert view.warnings == ["odd"]


@pytest.mark.parametrize(("adapter", "words"), [(True, "The adapter is saved."), (False, "Nothing was saved.")])
def test_an_interrupted_run_says_what_is_left(adapter: bool, words: str) -> None:
    events: list[Event] = [STARTED, PREPARED, *([AdapterSaved(step=1, bytes=9)] if adapter else [])]
    view = live(events, "interrupted")
    assert view.headline == "Interrupted"
    assert view.detail.endswith(words)


def test_curves_hold_both_losses_without_what_is_no_number() -> None:
    state = fold([STARTED, PREPARED, Validation(step=0, loss=3.0), step(1, 2.5), step(2, math.nan), step(3, 2.0)])
    frame = views.curves(state)
    assert list(frame.itertuples(index=False, name=None)) == [
        (1.0, 2.5, "training"),
        (3.0, 2.0, "training"),
        (0.0, 3.0, "validation"),
    ]


def test_long_curves_are_averaged_and_keep_their_end() -> None:
    state = RunState(steps=[step(number, float(number)) for number in range(1, 10_001)])
    frame = views.curves(state, points=100)
    assert len(frame) == 100
    assert frame["step"].tolist()[-1] == 10_000
    assert sum(frame["loss"].tolist()) / 100 == pytest.approx(5000.5)


def test_an_empty_curve_can_be_plotted() -> None:
    assert len(views.curves(RunState())) == 1


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


def test_what_the_curves_say_is_shown_from_the_first_step_on() -> None:
    assert live([STARTED, PREPARED], "running").diagnosis is None
    early = live([STARTED, PREPARED, step(1)], "running").diagnosis
    assert early is not None
    assert early[0].startswith("Too early to tell")
    assert early[1] == "idle"
    broken = live([STARTED, PREPARED, step(1), step(2, math.nan)], "failed").diagnosis
    assert broken is not None
    assert broken[1] == "bad"
