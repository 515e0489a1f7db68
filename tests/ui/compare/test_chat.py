"""Answers beside each other as they are shown, and who may be asked by whom."""

import asyncio
import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from evals.samples import Checks
from ftspace.access import OWNER, Access, Visitor
from ftspace.answering import Answer, Turn
from ftspace.chats import new_pad
from ftspace.errors import FtspaceError
from ftspace.questions import PromptSets, Question
from ftspace.redact import redact
from ftspace.settings import Settings
from ftspace.ui.compare import chat_markup
from ftspace.ui.compare.chat import ChatTab
from ftspace.ui.compare.manner import Manner, asked_by, when_free
from ftspace.ui.compare.prompt_sets import ManyTab
from ftspace.ui.compare.step import found
from ftspace.ui.desk import Desk
from tests.finished_run import finished_run

NAMES = {"base": "Base", "tuned": "Tuned"}
SETTINGS = ["", "", "", "Be brief.", 64, 0, 1, True, 7]


def desk(folder: Path, space: str | None = None) -> Desk:
    return Desk.of(
        Settings(folder, "127.0.0.1", 7860, None, hub_token=False, space_id=space, sign_in=space is not None)
    )


def said(third: str, address: str = "", key: str = "") -> list[Any]:
    return [third, address, key, *SETTINGS[3:]]


def test_what_differs_is_marked_when_all_have_answered() -> None:
    writing = Turn("Where?", {"base": Answer("in Lowick", 0.5, 1.0), "tuned": Answer("in Vine")})
    shown = chat_markup.turn(writing, NAMES, 64)
    assert "<mark>" not in shown and 'aria-busy="true"' in shown and "first word after 0.5 s" in shown
    ended = {"base": Answer("in Lowick", done=True, cut=True), "tuned": Answer("in Vine", done=True, stopped=True)}
    shown = chat_markup.turn(Turn("Where?", ended), NAMES, 64)
    assert "<mark>Lowick</mark>" in shown and "<mark>Vine</mark>" in shown and 'aria-busy="false"' in shown
    assert "1 word differs" in shown and "cut off at 64 tokens: raise it" in shown and "stopped" in shown
    assert 'id="base-answer"' in shown and "id=" not in chat_markup.turns([Turn("Where?", ended)], NAMES)
    long = chat_markup.turn(Turn(f"Where? {'x' * 2000}", ended), NAMES)
    assert "The whole question" in long and long.count("x" * 2000) == 1 and "The whole question" not in shown
    many = chat_markup.turns([Turn(f"Where is {place}?", ended) for place in range(25)], NAMES)
    assert "5 earlier ones" in many and "is 4?" not in many and "is 5?" in many
    same = {side: Answer("in Lowick", done=True) for side in NAMES}
    assert "Both gave the same answer." in chat_markup.turn(Turn("Where?", same), NAMES)


def test_the_table_can_show_only_what_differs() -> None:
    same = {side: Answer("red", done=True) for side in NAMES}
    rows = [(Question(question="One?"), same), (Question(question="Two?"), same | {"tuned": Answer("blue", done=True)})]
    assert "One?" in chat_markup.table(rows, NAMES) and "Expected" not in chat_markup.table(rows, NAMES)
    only = chat_markup.table(rows, NAMES, differing_only=True)
    assert "One?" not in only and "Two?" in only and '"ft-number">2<' in only
    assert "No answers differ" in chat_markup.table(rows[:1], NAMES, differing_only=True)
    assert "Who?" in chat_markup.table([(Question(question="Who?", answers=("x",)), same)], NAMES)


def test_the_third_side_is_one_that_the_visitor_may_ask(tmp_path: Path) -> None:
    ours = desk(tmp_path)
    run, other = finished_run(ours.store), finished_run(ours.store)
    asked = asked_by(ours, run, OWNER, said("checkpoint-2"))
    assert list(asked.sides) == ["base", "tuned", "checkpoint-2"] and asked.how.seed == 7
    assert list(asked_by(ours, run, OWNER, said(other.id)).also) == [other]
    there = asked_by(ours, run, OWNER, said("reference", "http://127.0.0.1:1/v1#scale", "a key of mine, long"))
    assert there.reference is not None and there.reference.model == "scale" and "a key of mine, long" not in repr(there)
    for word in ("checkpoint", "antidisestablishmentarianism"):
        with pytest.raises(FtspaceError, match="plain word"):
            asked_by(ours, run, OWNER, said("reference", "http://127.0.0.1:1/v1#scale", word))
        assert redact(word) == word
    for third, address in (
        ("checkpoint-9", ""),
        ("reference", ""),
        ("reference", "no address"),
        ("20200101-000000-000000000000", ""),
    ):
        with pytest.raises(FtspaceError):
            asked_by(ours, run, OWNER, said(third, address))
    with pytest.raises(FtspaceError):
        asked_by(ours, run, Visitor("ben", may_start=True), said(other.id))


def test_a_space_asks_no_addresses(tmp_path: Path) -> None:
    space = desk(tmp_path, "ann/space")
    run = finished_run(space.store)
    for address in ("http://10.0.0.1/v1#m", "hub:owner/model"):
        with pytest.raises(FtspaceError, match="asks no addresses for others"):
            asked_by(
                space, run, Visitor("@local", may_start=True), said("reference", address, "a key that nobody keeps")
            )
    assert redact("a key that nobody keeps") == "a key that nobody keeps"


def test_checks_that_somebody_wrote_are_not_judged_in_the_app(tmp_path: Path) -> None:
    endless, answer = "(a+)+$", "a" * 20 + "!"
    ours, tasks = desk(tmp_path), tmp_path / "own.jsonl"
    tasks.write_text(json.dumps({"question": "Who?", "checks": {"regex": endless}}))
    run = finished_run(ours.store, eval={"tasks": ["heldout", str(tasks)]})
    sets = PromptSets(ours.settings.data_dir / "prompts" / OWNER.folder)
    sets.keep("mine", [Question(question="Who?", checks=Checks(regex=endless))])

    async def build() -> ManyTab:  # in a loop, as gradio leaves those open that it makes for itself
        with gr.Blocks():
            return ManyTab(ours, gr.Textbox(), Manner(ours))

    tab = asyncio.run(build())
    for source in ("set:mine", "task:own"):
        (found,) = tab._questions(run, OWNER, source, "")  # pyright: ignore[reportPrivateUsage]
        assert (found.question, found.is_right(answer)) == ("Who?", None)


def test_what_the_owner_asked_is_shown_again_and_to_nobody_else(tmp_path: Path) -> None:
    ours = desk(tmp_path, "ann/space")
    ann, ben = Visitor("ann", may_start=True), Visitor("ben", may_start=True)
    run = finished_run(ours.store)
    (run.path / "access.json").write_text(Access(owner="ann", public=True).model_dump_json())
    given = {side: Answer(f"{side} says red", 0.1, 1.0, done=True) for side in NAMES}
    for kind in ("chat", "many"):
        new_pad(run, "ann", kind).keep(f"What of the {kind}?", given, NAMES, {}, accepted=["red"])

    async def build() -> tuple[ChatTab, ManyTab]:
        with gr.Blocks():
            manner = Manner(ours)
            return ChatTab(ours, gr.Textbox(), manner), ManyTab(ours, gr.Textbox(), manner)

    tabs = asyncio.run(build())
    mine, theirs = (
        {str(one.elem_id): value for tab in tabs for one, value in tab.show(run, visitor).items()}
        for visitor in (ann, ben)
    )
    assert "What of the chat?" in mine["chat-now"] and "1 word differs" in mine["chat-now"]
    assert f"export/{run.id}/chats" in mine["chat-kept"]
    assert "What of the many?" in mine["many-table"] and "all are right" in mine["many-table"]
    assert "What of" not in theirs["chat-now"] + theirs["many-table"] and "kept nowhere" in theirs["chat-kept"]
    assert mine["ask-again"]["visible"] and not theirs["ask-again"]["visible"]


def test_whether_anything_changed_is_said_at_once_or_when_it_will_be(tmp_path: Path) -> None:
    ours = desk(tmp_path)
    run = finished_run(ours.store)
    assert found(ours, run).headline == "The adapter changes nothing."
    run.results.unlink()
    ended = found(ours, run)
    assert "nothing was compared" in ended.headline and run.id in ended.sentences[0]
    assert when_free(ours) == ""
    at_work = ours.store.create(run.config)
    at_work.ticket.write_text("{}")
    assert "The machine is at work on a run" in when_free(ours) and "come back" in when_free(ours)
    assert "Until then ask" in found(ours, at_work).headline
    run.results.write_text("{")
    assert "cannot be read" in found(ours, run).headline
