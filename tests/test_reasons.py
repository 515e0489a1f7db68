"""Every reason has its words; a failed run shows them, and the end of its log without secrets."""

import json
from pathlib import Path
from typing import get_args

import pytest

from ftspace.cli import main
from ftspace.config import RunConfig
from ftspace.errors import Reason
from ftspace.events import EventLog, Finished, Started
from ftspace.reasons import EXPLAINED, last_lines
from ftspace.runs import Run, RunStore

TOKEN = "hf_" + "AbCdEfGhIjKlMnOpQrStUv"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("", "log"),
        ("config", "setting"),
        ("dataset", "ftspace inspect"),
        ("model", "access"),
        ("memory", "train.micro_batch_tokens"),
        ("disk", "ftspace runs gc"),
        ("nan_loss", "train.learning_rate"),
        ("lost_process", "memory ran out"),
        ("time_limit", "FTSPACE_MAX_MINUTES"),
        ("hub", "HF_TOKEN"),
        ("evaluation", "The adapter is saved"),
        ("job", "message"),
        ("error", "report it"),
    ],
)
def test_every_reason_is_explained(reason: Reason, word: str) -> None:
    assert set(EXPLAINED) == set(get_args(Reason))
    found = EXPLAINED[reason]
    assert word in found.advice and found.advice.endswith(".")
    assert found.title and not found.title.endswith(".")


def test_of_a_log_the_last_lines_are_shown_as_a_terminal_shows_them() -> None:
    bars = b"  1%|\r 50%|#####\r100%|##########|\n"
    log = b"".join(b"line %d\n" % number for number in range(50)) + b"\n" + bars + b"Traceback\r\nthe end"
    assert last_lines(log, 4) == "line 49\n100%|##########|\nTraceback\nthe end"
    assert last_lines(b"\xff torn", 20) == "\N{REPLACEMENT CHARACTER} torn"
    assert last_lines(b"") == ""


def failed(store: RunStore, reason: Reason) -> Run:
    run = store.create(RunConfig())
    log = EventLog(run.events)
    log.append(Started(job="train", pid=1))
    log.append(Finished(job="train", status="failed", reason=reason, message="it went wrong"))
    log.close()
    run.log.write_text("".join(f"line {number}\n" for number in range(60)) + f"with {TOKEN}\n")
    return run


def test_a_failed_run_shows_why_what_to_do_and_the_end_of_its_log(
    store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data-dir", str(store.runs_dir.parent)]
    cases: list[tuple[Reason, bool]] = [("model", True), ("memory", False)]
    for reason, goes_on in cases:
        run = failed(store, reason)
        assert main(["runs", "show", run.id, *where]) == 0
        shown = capsys.readouterr().out
        assert f"run {run.id}: failed (it went wrong)" in shown
        assert EXPLAINED[reason].advice in shown and "  line 41\n" in shown and "line 40\n" not in shown
        assert TOKEN not in shown and "[redacted]" in shown
        assert (f"ftspace runs resume {run.id}" in shown) == goes_on
        assert (f"ftspace runs config {run.id} > new.yaml" in shown) != goes_on
    assert main(["runs", "show", failed(store, "memory").id, "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["reason"], told["message"], told["advice"]) == ("memory", "it went wrong", EXPLAINED["memory"].advice)


def test_an_interrupted_run_says_how_to_go_on(store: RunStore, capsys: pytest.CaptureFixture[str]) -> None:
    run = store.create(RunConfig())
    assert main(["runs", "show", run.id, "--data-dir", str(store.runs_dir.parent)]) == 0
    assert f"go on from the beginning: ftspace runs resume {run.id}" in capsys.readouterr().out
    assert not Path(run.log).exists()
