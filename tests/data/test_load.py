import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ftspace.config import DataConfig
from ftspace.data.load import load_rows, peek_rows
from ftspace.errors import DatasetError

ROWS = [{"question": f"{n}+1?", "answer": str(n + 1)} for n in range(30)]
WRITERS: dict[str, Callable[[Path], Any]] = {
    "rows.jsonl": lambda path: path.write_text("".join(json.dumps(row) + "\n" for row in ROWS)),
    "rows.json": lambda path: path.write_text(json.dumps(ROWS)),
    "rows.csv": lambda path: pd.DataFrame(ROWS).astype(str).to_csv(path, index=False),
    "rows.parquet": lambda path: pd.DataFrame(ROWS).to_parquet(path),
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_each_kind_give_the_same_rows(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    config = DataConfig(id=str(tmp_path / name))
    loaded = load_rows(config)
    assert loaded.columns == ["question", "answer"]
    assert [{key: str(value) for key, value in row.items()} for row in loaded.rows()] == ROWS
    assert [row["question"] for row in peek_rows(config, 3).rows()] == ["0+1?", "1+1?", "2+1?"]


def test_a_folder_is_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    WRITERS["rows.jsonl"](tmp_path / "set" / "train.jsonl")
    assert len(list(load_rows(DataConfig(id=str(tmp_path / "set"))).rows())) == 30


def test_only_the_rows_asked_for_are_used(tmp_path: Path) -> None:
    WRITERS["rows.jsonl"](tmp_path / "rows.jsonl")
    assert len(list(load_rows(DataConfig(id=str(tmp_path / "rows.jsonl"), max_samples=7)).rows())) == 7


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.jsonl", b"", "is empty"),
        ("rows.txt", b"hello", "no file of a known kind"),
        ("rows.jsonl", b"{not json}\n", "cannot read the dataset"),
        ("rows.csv", b"\xff\xfe\x00\x01,\x80\n", "cannot read the dataset"),
        ("rows.parquet", b"PAR1 not really", "cannot read the dataset"),
        ("rows.json", b'{"a": [1, {"b"', "cannot read the dataset"),
    ],
)
def test_a_broken_file_is_named_in_one_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=words) as caught:
        list(peek_rows(DataConfig(id=str(tmp_path / name)), 5).rows())
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_file_has_one_split(tmp_path: Path) -> None:
    WRITERS["rows.jsonl"](tmp_path / "rows.jsonl")
    with pytest.raises(DatasetError, match="only split is train"):
        load_rows(DataConfig(id=str(tmp_path / "rows.jsonl"), split="test"))


def test_the_names_of_labels_come_with_the_rows(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    kinds = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=kinds).to_parquet(tmp_path / "rows.parquet")
    config = DataConfig(id=str(tmp_path / "rows.parquet"))
    assert load_rows(config).labels == peek_rows(config, 1).labels == {"label": ["neg", "pos"]}
