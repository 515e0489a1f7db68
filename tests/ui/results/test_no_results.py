import pytest

from ftspace.config import default_config, parse_config
from ftspace.events import Asking, Evaluated, Event, Finished, Prepared, Progress, Started, Step
from ftspace.state import Status, fold
from ftspace.ui.results.no_results import why

CONFIG = default_config()
TRAIN, EVALUATE = Started(job="train", pid=1), Started(job="evaluate", pid=1)
PREPARED = Prepared(
    rows={}, format="messages", total_steps=10, parameters=9, trainable_parameters=3, device="cpu", dtype="float32"
)
STEPS = [Step(step=n, epoch=0.1, loss=1, learning_rate=1e-4, tokens=9, seconds=10.0 * n) for n in (1, 2, 3, 4)]
FAILED = Finished(job="evaluate", status="failed", reason="evaluation", message="task x has no rows")


@pytest.mark.parametrize(
    ("status", "events", "trained", "title", "text"),
    [
        ("queued", [], False, "Waiting", "once it has trained"),
        ("running", [TRAIN], False, "It is training", "Then base and tuned"),
        ("running", [TRAIN, PREPARED, *STEPS], False, "It is training", "About 1 min of training left"),
        ("running", [EVALUATE], True, "being asked", "by itself"),
        (
            "running",
            [EVALUATE, Asking(samples=200), Progress(task="t", which="base", done=50, total=100)],
            True,
            "being asked",
            "25 % of the questions",
        ),
        ("failed", [TRAIN, Finished(job="train", status="failed", reason="memory")], False, "memory ran out", "Lower"),
        (
            "failed",
            [TRAIN, Finished(job="train", status="finished"), FAILED],
            True,
            "comparison could not be made",
            "Task x has no rows. Its training is done: compare it now.",
        ),
        ("cancelled", [], False, "stopped before", "Go on with it"),
        ("interrupted", [], True, "without a word", "compare it now"),
        ("finished", [Evaluated(verdict="better")], True, "not there any more", "compare it again"),
        ("finished", [], True, "Nothing was compared", "No question was left"),
    ],
)
def test_what_is_missing_and_what_to_do(
    status: Status, events: list[Event], trained: bool, title: str, text: str
) -> None:
    said = why(status, fold(events), CONFIG, trained=trained)
    assert title in said[0] and text in said[1]


def test_a_run_that_asks_nothing_says_so_first() -> None:
    title, text = why("running", fold([TRAIN]), parse_config({"eval": {"tasks": []}}), trained=False)
    assert "compares nothing" in title and "eval.tasks" in text
