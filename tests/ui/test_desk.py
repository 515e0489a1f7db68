import json
from dataclasses import replace
from pathlib import Path

import pytest

from ftspace.access import NOBODY, OWNER, NotAllowedError, Visitor
from ftspace.config import default_config, merge, parse_config
from ftspace.data.review import Decision
from ftspace.errors import ConfigError, JobError
from ftspace.settings import Settings
from ftspace.ui.choice import Choice
from ftspace.ui.desk import Desk
from ftspace.ui.rows import first_rows, seen

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
        assert (ours.lines(other), ours.shown(other), ours.used(other)) == ([], [], ([], []))
        for asked in (run.id, run.id[:-1] + "x", "../x"):
            with pytest.raises(JobError, match=r"^there is no such run here; it may have been deleted$"):
                ours.get(asked, other)
    run.share(public=True)
    for other in (BEN, NOBODY):
        assert [line.id for line in ours.shown(other)] == [run.id] and not ours.lines(other)
        with pytest.raises(NotAllowedError):
            ours.own(run.id, other)
    assert [line.id for line in ours.lines(ANN)] == [run.id] and not ours.shown(ANN)
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
