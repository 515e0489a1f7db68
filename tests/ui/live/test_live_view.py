import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ftspace.answers import Answered, Change, changes, measured
from ftspace.config import RunConfig, default_config
from ftspace.events import (
    AdapterSaved,
    Asking,
    Checkpoint,
    Evaluated,
    Event,
    Finished,
    Prepared,
    Progress,
    Resumed,
    Sample,
    Started,
    Step,
    Submitted,
    Validation,
    Warned,
)
from ftspace.reasons import EXPLAINED
from ftspace.state import fold
from ftspace.ui.live import live_view

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


def live(events: Sequence[Event], status: Any) -> live_view.Live:
    return live_view.live(fold(events), status, CONFIG, now=160.0)


def phases(view: live_view.Live) -> dict[str, str]:
    return dict(view.phases)


def test_a_queued_run_says_that_it_waits() -> None:
    view = live([], "queued")
    assert (view.headline, view.tone, view.fraction) == ("Waiting for its turn", "idle", None)
    assert set(phases(view).values()) == {"next"}


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (None, "It starts by itself as soon as the machine is free."),
        (live_view.Turn(1, None), "It is the next. It starts by itself."),
        (live_view.Turn(1, 40.0), "It is the next, and starts in about 40 s. It starts by itself."),
        (live_view.Turn(3, 7500.0), "2 before it, and starts in about 2 h 5 min. It starts by itself."),
    ],
)
def test_a_run_that_waits_tells_its_place_and_when_it_starts(turn: live_view.Turn | None, words: str) -> None:
    assert live_view.live(fold([]), "queued", CONFIG, 160.0, turn=turn).detail == words


@pytest.mark.parametrize(
    ("events", "status", "title"),
    [
        ([], "queued", "Waiting · people · ftspace"),
        ([STARTED], "running", "Getting ready · people · ftspace"),
        ([STARTED, PREPARED, step(42)], "running", "42 % · people · ftspace"),
        ([STARTED, PREPARED, step(42)], "stopping", "42 % · people · ftspace"),
        ([STARTED, PREPARED, step(42)], "interrupted", "Interrupted · people · ftspace"),
        ([STARTED, PREPARED, step(100)], "finished", "Finished · people · ftspace"),
    ],
)
def test_the_browsers_title_tells_how_far_it_is(events: list[Event], status: Any, title: str) -> None:
    assert live_view.page_title(live(events, status), status, CONFIG) == title


def test_before_the_first_step_it_gets_ready() -> None:
    view = live([STARTED], "running")
    assert view.headline == "Getting ready"
    assert phases(view) == {"Get ready": "now", "Train": "next", "Compare": "next", "Done": "next"}


def test_a_job_of_the_hub_says_where_it_is_until_it_begins_there() -> None:
    given = Submitted(flavor="a10g-small", url="http://hub/jobs/me/1", minutes=30)
    view = live([STARTED, PREPARED, step(3), given, STARTED], "running")
    assert view.headline == "At the Hub" and view.detail == "Its job waits for a10g-small, or sets it up."
    began = Started(job="train", pid=1, versions={"torch": "2"})
    assert live([STARTED, given, began], "running").headline == "Getting ready"


def test_training_tells_step_share_and_time_left() -> None:
    view = live([STARTED, PREPARED, Validation(step=0, loss=3.0), *(step(n) for n in range(1, 26))], "running")
    assert view.headline == "Training: step 25 of 100"
    assert view.detail == "About 2 min 30 s left of the training, then both models are compared."
    assert (view.headline, view.said) == ("Training: step 25 of 100", "Training")
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
        Asking(samples=240, time=300.0),
        Progress(task="heldout", which="base-again", done=0, total=60, time=301.0),
        Progress(task="heldout", which="base", done=60, total=60, time=305.0),
        Progress(task="heldout", which="base-again", done=30, total=60, time=310.0),
    ]
    view = live(events, "running")
    assert view.detail == "Asking the base again: Held-out rows, 30 of 60. About 17 s left."
    assert view.fraction == pytest.approx(90 / 240)
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
    plain, told = (live_view.live(state, "interrupted", CONFIG, 160.0, why) for why in ("", "its disk is read-only"))
    assert told.detail == f"Its disk is read-only. Nothing can be saved there until that is mended. {plain.detail}"


def test_a_failure_says_what_happened() -> None:
    failed = Finished(job="train", status="failed", reason="memory", message="out of memory; lower the batch")
    view = live([STARTED, PREPARED, Warned(message="odd"), Warned(message="odd"), failed], "failed")
    assert (view.headline, view.tone) == ("Failed: memory ran out", "bad")
    assert view.detail.startswith("Out of memory; lower the batch. Lower train.micro_batch_tokens first")
    assert phases(view)["Train"] == "bad"
    assert view.warnings == ["odd"]


def test_what_to_do_is_not_far_below_a_long_reason() -> None:
    failed = Finished(job="train", status="failed", reason="model", message="x" * 2000)
    view = live([STARTED, failed], "failed")
    assert len(view.detail) < 900 and "x… " in view.detail and view.detail.endswith(EXPLAINED["model"].advice)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([Checkpoint(step=8, bytes=9, seconds=1), AdapterSaved(step=9, bytes=9)], "The adapter is saved."),
        ([Checkpoint(step=8, bytes=9, seconds=1)], "The checkpoint of step 8 is kept."),
        ([], "Nothing was saved."),
    ],
)
def test_an_interrupted_run_says_what_is_left(told: list[Event], words: str) -> None:
    events: list[Event] = [STARTED, PREPARED, *told]
    view = live(events, "interrupted")
    assert view.headline == "Interrupted"
    assert view.detail.endswith(words)


def test_what_the_curves_say_is_shown_from_the_first_step_on() -> None:
    assert live([STARTED, PREPARED], "running").diagnosis is None
    early = live([STARTED, PREPARED, step(1)], "running").diagnosis
    assert early is not None
    assert early[0].words.startswith("Too early to tell")
    assert early[1] == "idle"
    broken = live([STARTED, PREPARED, step(1), step(2, math.nan)], "failed").diagnosis
    assert broken is not None
    assert broken[1] == "bad"


def test_the_time_left_is_right_after_a_resume_and_tells_what_follows() -> None:
    slow = [step(n).model_copy(update={"seconds": 60.0 * n}) for n in range(1, 11)]
    again = [step(n).model_copy(update={"seconds": 600.0 + 2 * n}) for n in range(11, 15)]
    state = fold([STARTED, PREPARED, *slow, Resumed(step=10), *again])

    def said(config: RunConfig = CONFIG, after: float | None = 40.0) -> str:
        return live_view.live(state, "running", config, 160.0, after=after).detail

    assert said() == "About 2 min 52 s left of the training, then about 40 s of comparing: done in about 3 min 32 s."
    alone = CONFIG.model_copy(update={"eval": CONFIG.eval.model_copy(update={"tasks": []})})
    assert said(alone, None) == "About 2 min 52 s left of the training."
    limited = alone.model_copy(update={"train": alone.train.model_copy(update={"max_minutes": 11.0})})
    assert said(limited, None) == "About 32 s left of the training."


def test_a_diagnosis_leads_to_a_new_run_that_heeds_it() -> None:
    steps = [step(n, 2.0 + 0.1 * n).model_copy(update={"learning_rate": 0.05}) for n in range(1, 41)]
    view = live_view.live(fold([STARTED, PREPARED, *steps]), "running", CONFIG, 160.0, run_id="R")
    assert view.diagnosis is not None and view.diagnosis[0].kind == "diverged"
    ((words, place),) = view.ways
    assert words.startswith("New run with learning rate 0.0")
    asked = live_view.advised(dict(parse_qsl(place.removeprefix("?"))))
    assert asked == dict(view.diagnosis[0].sets) and 0 < asked["train.learning_rate"] < 0.05
    assert live_view.advised({"train.epochs": "1e9", "train.batch_size": "x", "train.seed": "3"}) == {}


def test_answers_are_told_as_they_changed() -> None:
    said = ["a", "a", "b", *(str(n) for n in range(20))]
    told: list[Event] = [
        Sample(step=10 * place, index=index, prompt="q", answer=answer if index else "same", reference="r")
        for place, answer in enumerate(said)
        for index in (0, 1)
    ]
    same, changed = changes(fold(told))
    assert same == [Change(0, 220, "same")]
    assert (changed[0], changed[-1]) == (Change(0, 10, "a"), Change(220, 220, "19"))
    assert len(changed) == 12
