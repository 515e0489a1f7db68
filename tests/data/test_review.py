import hashlib
from pathlib import Path

import pytest

from ftspace.config import DataConfig
from ftspace.data.prepare import prepare, read_split
from ftspace.data.review import Decision, conversation_id, decide, read_review
from ftspace.errors import DatasetError

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


def test_an_id_is_that_of_the_prepared_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "Où?", "answer": "Là \\ud83d\\ude00"}\n')
    prepare(DataConfig(id=str(path), test_fraction=0, validation_fraction=0), tmp_path / "data")
    (line,) = (tmp_path / "data" / "train.jsonl").read_bytes().splitlines()
    (conversation,) = read_split(tmp_path / "data", "train")
    assert conversation_id(conversation) == hashlib.sha256(line).hexdigest()
