"""What is asked of a run's models lies with the run: its owner finds it again, and nobody else."""

import json
from pathlib import Path

import pytest

from ftspace import stopping
from ftspace.answering import Answer
from ftspace.chats import Kind, new_pad, newest
from ftspace.errors import JobError
from ftspace.exporting import export_of
from ftspace.runs import Run, RunStore
from tests.finished_run import finished_run

NAMES = {"base": "Base", "tuned": "Tuned"}
HOW = {"system": "Be brief.", "max_tokens": 64, "temperature": 0.0, "top_p": 1.0, "seed": 7}
KEY = "hf_" + "QzX7" * 9


@pytest.fixture
def run(store: RunStore) -> Run:
    return finished_run(store)


def answers(text: str) -> dict[str, Answer]:
    return {"base": Answer("I do not know", 0.5, 1.0, done=True), "tuned": Answer(text, done=True, cut=True)}


def said(run: Run, by: str = "ann", kind: Kind = "chat") -> list[str]:
    return [f"{one.question} {one.answers['tuned'].text}" for one in newest(run, by, kind)[1]]


def test_the_newest_conversation_is_found_again_as_it_was(run: Run) -> None:
    assert newest(run, "ann", "chat")[1] == []
    old, pad = new_pad(run, "ann", "chat"), new_pad(run, "ann", "chat")
    assert old.keep("Old?", answers("old"), NAMES, HOW) == ""
    pad.keep("Where?", answers("Lowick"), NAMES, HOW)
    pad.keep("Who?", answers("Ann"), NAMES, HOW)
    pad.keep("Who?", answers("Ben"), NAMES, HOW, again=True)
    new_pad(run, "ann", "many").keep("Many?", answers("x"), NAMES, HOW, accepted=["x", "y"])
    assert said(run) == ["Where? Lowick", "Who? Ben"] and said(run, kind="many") == ["Many? x"]
    found, (first, _) = newest(run, "ann", "chat")
    assert found == pad and first.names == NAMES and first.how == HOW
    assert {side: one.answer() for side, one in first.answers.items()} == answers("Lowick")
    found.keep("And now?", answers("more"), NAMES, HOW)
    assert said(run)[2:] == ["And now? more"]
    new_pad(run, "ann", "chat").begin()
    assert said(run) == []


def test_others_see_nothing_of_it_and_secrets_are_taken_out(run: Run) -> None:
    new_pad(run, "ann", "chat").keep(f"Is {KEY} mine?", answers(KEY), NAMES, {"system": KEY}, accepted=[KEY])
    assert said(run, "ben") == [] and said(run, "@local") == []
    assert KEY not in run.chats.read_text() and len(said(run)) == 1
    assert run.chats.stat().st_mode & 0o077 == 0


def test_a_torn_line_costs_itself_only(run: Run) -> None:
    pad = new_pad(run, "ann", "chat")
    pad.keep("One?", answers("1"), NAMES, HOW)
    with run.chats.open("a") as file:
        file.write('{"v":1,"question":"To')
    pad.keep("Two?", answers("2"), NAMES, HOW)
    assert said(run) == ["One? 1", "Two? 2"]


def test_what_cannot_be_kept_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pad = new_pad(run, "ann", "chat")
    pad.keep("One?", answers("1"), NAMES, HOW)
    monkeypatch.setattr("ftspace.chats.MOST", 600)
    assert "nothing more is kept" in pad.keep("Two?", answers("2" * 600), NAMES, HOW)
    assert said(run) == ["One? 1"]
    run.chats.unlink()
    run.chats.mkdir()
    assert "is not kept" in pad.keep("Three?", answers("3"), NAMES, HOW)


def test_it_can_be_taken_along_and_goes_with_what_is_discarded(run: Run, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="nothing was asked"):
        export_of(run, "chats")
    new_pad(run, "ann", "chat").keep("One?", answers("1"), NAMES, HOW)
    found = export_of(run, "chats")
    (line,) = b"".join(found.parts).splitlines()
    assert json.loads(line)["question"] == "One?" and found.name.endswith(".jsonl")
    stopping.remove(run)
    assert not run.chats.exists() and run.path.exists()
