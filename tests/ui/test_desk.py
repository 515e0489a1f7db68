import json
from dataclasses import replace
from pathlib import Path

import pytest

from ftspace.config import default_config, parse_config
from ftspace.data.review import Decision
from ftspace.errors import ConfigError
from ftspace.settings import Settings
from ftspace.ui.choice import Choice
from ftspace.ui.desk import Desk
from ftspace.ui.rows import first_rows, seen

DECISION = Decision(id="0" * 64, keep=False)


def desk(folder: Path, space: str | None = None) -> Desk:
    return Desk.of(Settings(folder, "127.0.0.1", 7860, None, hub_token=False, space_id=space))


def choice(**said: str) -> Choice:
    return replace(Choice.of_config(default_config(), "", ""), **said)


def test_on_a_space_a_choice_reads_no_file_that_is_not_the_visitors(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data", space="owner/space")
    outside = tmp_path / "secret.jsonl"
    outside.write_text('{"question": "a", "answer": "b"}\n')
    with pytest.raises(ConfigError, match="is a path on this machine"):
        ours.config_of(choice(dataset=str(outside), about=str(outside)))
    ours.uploads.mkdir(parents=True)
    mine = ours.uploads / "mine.jsonl"
    mine.write_text(outside.read_text())
    review = ours.reviews.decide("", DECISION)
    config = ours.config_of(choice(dataset=str(mine), about=str(mine), review=review))
    assert config.data.review == str(ours.reviews.path(review))
    stolen = config.model_copy(update={"data": config.data.model_copy(update={"review": str(outside)})})
    with pytest.raises(ConfigError, match="is a path on this machine"):
        ours.check_may_read(stolen)
    trusting = parse_config({"model": {"id": "towns/own", "trust_code": "a" * 40}})
    with pytest.raises(ConfigError, match="would run with this Space's rights"):
        ours.check_may_read(trusting)
    desk(tmp_path / "data").check_may_read(trusting)


def test_trust_in_one_models_code_is_none_in_anothers() -> None:
    trusting = parse_config({"model": {"id": "towns/own", "trust_code": "a" * 40}})
    said = Choice.of_config(trusting, "", "")
    assert said.config_over(trusting).model == trusting.model
    other = replace(said, model="towns/other").config_over(trusting).model
    assert (other.id, other.revision, other.trust_code) == ("towns/other", None, None)


def test_a_run_gets_a_closed_copy_of_the_decisions(tmp_path: Path) -> None:
    ours = desk(tmp_path / "data")
    review = ours.reviews.decide("", DECISION)
    said = choice(review=review)
    closed = ours.with_closed_review(ours.config_of(said), said).data.review
    assert closed is not None and Path(closed).stem != review
    assert ours.reviews.decisions(Path(closed).stem) == {DECISION.id: DECISION}
    elsewhere = replace(said, dataset="other/rows")
    assert ours.with_closed_review(ours.config_of(elsewhere), elsewhere).data.review is None


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
