import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from evals.log import read_log, write_log
from ftspace.access import NOBODY, OWNER, NotAllowedError, Visitor
from ftspace.config import default_config, merge, parse_config
from ftspace.data.review import Decision
from ftspace.errors import ConfigError, JobError
from ftspace.questions import kept_back
from ftspace.settings import Settings
from ftspace.trash import Trash
from ftspace.ui import uploads
from ftspace.ui.choose.choice import Choice
from ftspace.ui.choose.rows import first_rows, seen
from ftspace.ui.desk import Desk
from tests.two_owners import TASK, Owner

DECISION = Decision(id="0" * 64, keep=False)


ANN, BEN = Visitor("ann", may_start=True), Visitor("ben", may_start=True)


def desk(folder: Path, space: str | None = None, *, sign_in: bool = False) -> Desk:
    return Desk.of(Settings(folder, "127.0.0.1", 7860, None, hub_token=False, space_id=space, sign_in=sign_in))


def choice(**said: str) -> Choice:
    return replace(Choice.of_config(default_config(), "", ""), **said)


def test_on_a_space_a_choice_reads_no_file_that_is_not_the_visitors(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data", space="owner/space")
    outside = tmp_path / "secret.jsonl"
    outside.write_text('{"question": "a", "answer": "b"}\n')
    for name in (str(outside), str(tmp_path / "none.jsonl"), "../none.jsonl", "file:///etc/passwd"):
        with pytest.raises(ConfigError, match="is a path on this machine"):
            ours.config_of(choice(dataset=name, about=name), ANN)
    ours.uploads_of(ANN).mkdir(parents=True)
    mine = ours.uploads_of(ANN) / "mine.jsonl"
    mine.write_text(outside.read_text())
    reviews = ours.reviews_of(ANN)
    review = reviews.decide("", DECISION)
    said = choice(dataset=str(mine), about=str(mine), review=review)
    config = ours.config_of(said, ANN)
    assert config.data.review == str(reviews.path(review))
    for other in (BEN, NOBODY):
        with pytest.raises(ConfigError, match="is a path on this machine"):
            ours.config_of(said, other)
        assert ours.config_of(choice(review=review), other).data.review is None
        assert ours.review_of(config, other) == ""
    assert ours.review_of(config, ANN) == review
    paths = ({"data": {"review": str(outside)}}, {"eval": {"tasks": ["heldout", str(outside)]}})
    for section in (*paths, {"model": {"id": str(tmp_path)}}):
        with pytest.raises(ConfigError, match="is a path on this machine"):
            ours.check_may_read(parse_config(merge(config.model_dump(), section)), ANN)


def test_with_sign_in_neither_code_nor_trackers_of_visitors_run(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data", space="owner/space", sign_in=True)
    config = default_config()
    ours.check_may_read(config, ANN)
    for section in ({"model": {"id": "a/b", "trust_code": "0" * 40}}, {"train": {"report_to": ["wandb"]}}):
        with pytest.raises(ConfigError, match="leave it out"):
            ours.check_may_read(parse_config(merge(config.model_dump(), section)), ANN)


def test_a_run_is_its_owners_until_it_is_shown(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data", space="owner/space", sign_in=True)
    changed = merge(default_config().model_dump(), {"data": {"system": "Anns words."}})
    run = ours.create(parse_config(changed), ANN)
    assert ours.find(run.id, ANN) is not None and ours.draft(run.id, ANN).data.system == "Anns words."
    for other in (BEN, NOBODY):
        assert ours.find(run.id, other) is None and ours.draft(run.id, other) == default_config()
        assert (list(ours.owned(other)), list(ours.shown(other)), ours.used(other)) == ([], [], ([], []))
        for asked in (run.id, run.id[:-1] + "x", "../x"):
            with pytest.raises(JobError, match=r"^there is no such run here; it may have been deleted$"):
                ours.get(asked, other)
    run.share(public=True)
    for other in (BEN, NOBODY):
        assert list(ours.shown(other)) == [run] and not list(ours.owned(other))
        with pytest.raises(NotAllowedError):
            ours.own(run.id, other)
    assert list(ours.owned(ANN)) == [run] and not list(ours.shown(ANN))
    assert ours.own(run.id, ANN).id == run.id


def test_trust_in_one_models_code_is_none_in_anothers() -> None:
    trusting = parse_config({"model": {"id": "towns/own", "trust_code": "a" * 40}})
    said = Choice.of_config(trusting, "", "")
    assert said.config_over(trusting).model == trusting.model
    other = replace(said, model="towns/other").config_over(trusting).model
    assert (other.id, other.revision, other.trust_code) == ("towns/other", None, None)


def test_a_run_gets_a_closed_copy_of_the_decisions(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data")
    review = ours.reviews_of(OWNER).decide("", DECISION)
    said = choice(review=review)
    closed = ours.with_closed_review(ours.config_of(said, OWNER), said, OWNER).data.review
    assert closed is not None and Path(closed).stem != review
    assert ours.reviews_of(OWNER).decisions(Path(closed).stem) == {DECISION.id: DECISION}
    elsewhere = replace(said, dataset="other/rows")
    assert ours.with_closed_review(ours.config_of(elsewhere, OWNER), elsewhere, OWNER).data.review is None


def test_rows_are_read_once_and_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n')
    data = choice(dataset=str(path), about=str(path)).config_over(default_config()).data
    first = first_rows(data)
    assert first_rows(data.model_copy(update={"filters": ["echo"], "fraction": 0.5})) is first
    path.write_text(json.dumps({"question": "longer", "answer": "b"}) + "\n")
    assert first_rows(data).conversations[0][0]["content"] == "longer"


def test_columns_are_told_also_where_the_rows_are_not_understood(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"frage": "a", "antwort": "b"}\n')
    found = seen(choice(dataset=str(path), about=str(path)).config_over(default_config()).data)
    assert (found.columns, found.format, found.mapping, dict(found.readings)) == (["frage", "antwort"], None, {}, {})
    assert "no usable columns" in found.trouble


def test_a_shown_run_tells_others_no_path_and_starts_from_none(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data", space="owner/space", sign_in=True)
    upload = ours.uploads_of(ANN) / "mine-1234.jsonl"
    upload.parent.mkdir(parents=True)
    upload.write_text('{"question": "a", "answer": "b"}\n')
    run = ours.create(parse_config(merge(default_config().model_dump(), {"data": {"id": str(upload)}})), ANN)
    run.share(public=True)
    assert ours.draft(run.id, ANN) == run.config and ours.names_for(run.config, ANN)["dataset"] == str(upload)
    for other in (BEN, NOBODY):
        assert ours.draft(run.id, other) == default_config()
        named = ours.names_for(run.config, other)
        assert named["dataset"].startswith("mine-1234 ") and str(tmp_path) not in str(named)
        assert named["model"] == run.config.model.id
        with pytest.raises(NotAllowedError, match="only the owner"):
            ours.config_of(choice(**named), other)


def test_of_the_rows_kept_back_others_see_those_that_were_asked(tmp_path: Path) -> None:
    run = Owner.settle("ann", tmp_path).run
    rows = [[("user", question), ("assistant", f"{question[:-1]}!")] for question in ("One?", "Two?", "Three?")]
    lines = [{"messages": [{"role": role, "content": text} for role, text in row]} for row in rows]
    (run.data / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    everything = [(row[0][1], row[1][1]) for row in rows]

    def told(visitor: Visitor) -> list[tuple[str, str]]:
        return [(one.question, one.expected) for one in kept_back(run, visitor)]

    assert told(ANN) == everything
    assert told(BEN) == told(NOBODY) == []
    log = read_log(run.evals / TASK / "base.json")
    sample = log.samples[0].model_copy(update={"prompt": "<|user|>Two?<|end|>", "expected": ("Two!",)})
    write_log(run.evals / "heldout" / "base.json", log.model_copy(update={"samples": (sample,)}))
    assert told(ANN) == everything
    assert told(BEN) == told(NOBODY) == everything[1:2]


def test_uploads_of_others_leave_room_for_the_spaces_author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOADS_MAX_FILES", 5)
    ours = desk(tmp_path / "data", space="Town/space", sign_in=True)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "a", "answer": "b"}\n')
    visitors = [Visitor(name, may_start=True) for name in ("a", "b", "c", "d", "e")]
    kept = [ours.keep_upload(path, visitor) for visitor in visitors]
    assert {oct(folder.stat().st_mode)[-3:] for one in kept for folder in (one.parent, one.parent.parent)} == {"700"}
    other = tmp_path / "other.jsonl"
    other.write_text('{"question": "c", "answer": "d"}\n')
    for visitor in (visitors[0], ANN):
        with pytest.raises(JobError, match="no room for one more upload") as refused:
            ours.keep_upload(other, visitor)
        assert str(tmp_path) not in str(refused.value)
    author = Visitor("town", may_start=True)
    assert ours.keep_upload(other, author).is_file()
    with pytest.raises(JobError, match="1 files of yours"):
        ours.keep_upload(path, author)


def test_only_gradios_own_copy_of_an_upload_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    inside, outside = tmp_path / "gradio" / "ab" / "rows.jsonl", tmp_path / "rows.jsonl"
    inside.parent.mkdir(parents=True)
    for path in (inside, outside):
        path.touch()
        uploads.forget_copy(path)
    uploads.forget_copy(inside)
    assert outside.exists() and not inside.exists()


def test_runs_deleted_long_ago_go_when_the_app_starts(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data")
    trash = Trash(ours.store)
    old, new = (trash.put(ours.store.create(default_config()).id) for _ in range(2))
    old.run.path.rename(trash.path / f"{old.id}.{int(old.time) - 8 * 86400}")
    ours.look_after(warm=False)
    until = time.monotonic() + 10
    while len(trash.list()) > 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert [one.id for one in trash.list()] == [new.id]
