from pathlib import Path

import pytest

from ftspace.data.prepare import prepare, preview, read_split
from ftspace.data.review import Decision, conversation_id, decide, read_review
from ftspace.errors import DatasetError
from ftspace.sections import DataConfig

ID = "0" * 64


def test_the_last_decision_about_a_row_counts(tmp_path: Path) -> None:
    path = tmp_path / "reviews" / "one.jsonl"
    last = {ID: Decision(id=ID, keep=True, note="é\n"), "1" * 64: Decision(id="1" * 64, keep=True)}
    for decision in (Decision(id=ID, keep=False), last["1" * 64], last[ID]):
        decide(path, decision)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3
    assert read_review(path) == last


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "x", "keep": true}', f'{{"id": "{ID}", "keep": "maybe"}}'])
def test_a_line_that_is_no_decision_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "review.jsonl"
    path.write_text(f'{{"id": "{ID}", "keep": false}}\n\n{line}\n')
    with pytest.raises(DatasetError, match=r"data.review: .*review.jsonl, line 3 is no decision"):
        read_review(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"data.review: cannot read the decisions in .*none.jsonl: No such file"):
        read_review(tmp_path / "none.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff")
    with pytest.raises(DatasetError, match="no UTF-8"):
        read_review(tmp_path / "bytes.jsonl")


def test_a_decision_outlives_a_system_prompt_that_is_put_before_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "Où?", "answer": "Là \\ud83d\\ude00"}\n{"question": "When?", "answer": "Now"}\n')
    config = DataConfig(id=str(path), test_fraction=0, validation_fraction=0, review=str(tmp_path / "review.jsonl"))
    decide(tmp_path / "review.jsonl", Decision(id=conversation_id(preview(config, 1).conversations[0]), keep=False))
    for system in (None, "Be brief."):
        prepare(config.model_copy(update={"system": system}), tmp_path / "data")
        (left,) = read_split(tmp_path / "data", "train")
        assert left[-2]["content"] == "When?" and (left[0]["role"] == "system") == bool(system)
