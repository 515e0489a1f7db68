"""What stands in the gallery for whom, and what may be done there."""

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from ftspace.access import NOBODY, Access, Visitor
from ftspace.config import default_config
from ftspace.errors import FtspaceError
from ftspace.gallery import Query
from ftspace.labels import Label, read_label, write_label
from ftspace.runs import Run, take_lock
from ftspace.settings import Settings
from ftspace.trash import Trash
from ftspace.ui.desk import Desk
from ftspace.ui.runs.gallery import PAGE, About, Gallery

ANN, BEN = Visitor("ann", may_start=True), Visitor("ben", may_start=True)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    settings = Settings(tmp_path, "127.0.0.1", 7860, None, hub_token=False, space_id=None, sign_in=False)

    async def build() -> Gallery:
        desk = Desk.of(settings)
        with gr.Blocks() as page:
            return Gallery(desk, page, gr.HTML(), About(desk))

    return asyncio.run(build())


def make(gallery: Gallery, title: str, owner: str = "ann", *, public: bool = False) -> Run:
    run = gallery.store.create(default_config(), Access(owner=owner, public=public))
    write_label(run, Label(title=title, tags=("a tag",), note=f"the note of {title}"))
    return run


def shown(gallery: Gallery, visitor: Visitor, query: Query = Query(), *, alone: bool = False) -> dict[str, Any]:  # noqa: B008
    found = gallery.lists(visitor, query, PAGE, alone=alone)
    return {name: found[getattr(gallery, name)] for name in ("body", "own", "others", "more", "deleted")}


def test_nothing_is_in_the_way_of_the_first_visitor(gallery: Gallery) -> None:
    assert shown(gallery, ANN)["body"]["visible"] is False
    alone = shown(gallery, ANN, alone=True)
    assert alone["body"]["visible"] is True and "No runs yet" in alone["own"]
    assert "Nothing to look at yet" in shown(gallery, NOBODY)["own"]


def test_everybody_sees_their_own_and_what_is_shown_without_its_note(gallery: Gallery) -> None:
    mine, public = make(gallery, "mine"), make(gallery, "seen", "zoe", public=True)
    make(gallery, "hidden", "zoe")
    found = shown(gallery, ANN)
    assert mine.id in found["own"] and "the note of mine" in found["own"] and 'data-act="delete"' in found["own"]
    assert public.id in found["others"] and "data-act" not in found["others"] and "the note of" not in found["others"]
    assert "hidden" not in str(found) and "the note of seen" not in str(shown(gallery, BEN))
    assert "No run is like that" in shown(gallery, ANN, Query("the note of seen"))["own"]
    assert public.id in shown(gallery, NOBODY)["others"] and mine.id not in str(shown(gallery, NOBODY))


def test_a_page_holds_so_many_and_says_that_there_are_more(gallery: Gallery) -> None:
    for number in range(PAGE + 1):
        make(gallery, f"run {number}")
    found = shown(gallery, ANN)
    assert found["own"].count("<li") == PAGE and found["more"]["visible"] is True
    assert gallery.lists(ANN, Query(), 2 * PAGE, alone=True)[gallery.own].count("<li") == PAGE + 1


def test_only_the_owner_names_deletes_and_restores(gallery: Gallery) -> None:
    run, trash = make(gallery, "mine", public=True), Trash(gallery.store)
    label = {"do": "label", "title": "new", "tags": "x, y", "note": ""}
    for said in (label, {"do": "delete"}, {"do": "restore"}, {"do": "nothing"}, {}):
        with pytest.raises(FtspaceError):
            gallery.do(said, run.id, BEN)
    assert read_label(run).title == "mine"
    assert gallery.do(label, run.id, ANN)["saved"] and read_label(run).tags == ("x", "y")
    assert gallery.do({"do": "delete"}, run.id, ANN)["say"] == "Deleted new."
    with pytest.raises(FtspaceError, match="of yours"):
        gallery.do({"do": "restore"}, run.id, BEN)
    assert "new" in shown(gallery, ANN)["deleted"] and shown(gallery, BEN, alone=True)["deleted"] == ""
    assert gallery.do({"do": "restore"}, run.id, ANN)["restored"] and trash.list() == []


def test_what_is_at_work_is_not_deleted_and_what_is_damaged_is(gallery: Gallery) -> None:
    working, damaged = make(gallery, "working"), make(gallery, "damaged")
    lock = take_lock(working.lock)
    (damaged.path / "config.json").write_text("{")
    assert lock is not None
    with pytest.raises(FtspaceError, match="open it and stop it"):
        gallery.do({"do": "delete"}, working.id, ANN)
    assert "A run that cannot be read" in shown(gallery, ANN)["own"] or "damaged" in shown(gallery, ANN)["own"]
    with pytest.raises(FtspaceError):
        gallery.do({"do": "delete"}, damaged.id, BEN)
    assert gallery.do({"do": "delete"}, damaged.id, ANN)["deleted"]
    updates = gallery.lists(ANN, Query(), PAGE, alone=True)
    assert updates[gallery.working] == working.id
    assert "Waiting" in updates[gallery.own]


def test_the_models_of_a_deleted_run_are_given_up(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    served, other = make(gallery, "served"), make(gallery, "other")
    stopped: list[str] = []
    monkeypatch.setattr(gallery._desk.models, "is_open", lambda run: run.id == served.id)  # pyright: ignore
    monkeypatch.setattr(gallery._desk.models, "stop", lambda: stopped.append("models"))  # pyright: ignore
    gallery.do({"do": "delete"}, other.id, ANN)
    assert not stopped
    gallery.do({"do": "delete"}, served.id, ANN)
    assert stopped == ["models"]
