import json
from pathlib import Path
from typing import Any

import pytest

from ftspace.data.export import Kind, export
from ftspace.data.prepare import SPLITS, prepare, read_split
from ftspace.errors import ConfigError, DatasetError, DiskError
from ftspace.hub.card import Source
from ftspace.sections import DataConfig

SOURCE = Source("rows.jsonl")
ODD = "a\u2028b \U0001f600 \"'\\ {x} | `y` <b>\n\tend \x85"
WHOLE: dict[str, Any] = {
    "validation_split": "none",
    "test_split": "none",
    "validation_fraction": 0.0,
    "test_fraction": 0.0,
}
"""Every row of a split, none kept back."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def talk(number: int) -> dict[str, Any]:
    asked = {"role": "user", "content": f"{number}? {ODD if number % 7 == 0 else ''}"}
    return {"messages": [asked, {"role": "assistant", "content": ODD if number % 5 == 0 else str(number)}]}


def call(number: int) -> dict[str, Any]:
    """A conversation whose calls have other arguments, of other types, than the next one's."""
    arguments: list[dict[str, Any]] = [{"city": "Rome"}, {"city": 3, "days": [1, "two"]}, {"deep": {"x": {"y": None}}}]
    made = {"type": "function", "function": {"name": "look", "arguments": arguments[number % 3]}}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": f"{number}?"},
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "name": "look", "tool_call_id": "1", "content": "[1]"},
        {"role": "assistant", "content": "{}"},
    ]
    offered = {"type": "function", "function": {"name": "look", "parameters": {f"p{number % 3}": {"type": "string"}}}}
    return {"messages": turns, "tools": [offered]}


def write(path: Path, rows: list[dict[str, Any]]) -> DataConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return DataConfig(id=str(path))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("tools", [False, True])
def test_what_was_written_is_read_back_as_it_was(tmp_path: Path, kind: Kind, tools: bool) -> None:
    rows = [call(n) if tools and n % 2 else talk(n) for n in range(60)]
    config = write(tmp_path / "rows.jsonl", rows)
    manifest = export(config, tmp_path / "out", SOURCE, kind)
    assert prepare(config, tmp_path / "prepared") == manifest
    assert set(manifest.rows.values()) & {0} == set(), "the rows fill all three splits"
    for split in SPLITS:
        again = DataConfig(id=str(tmp_path / "out"), split=split, **WHOLE)
        prepare(again, tmp_path / split)
        assert list(read_split(tmp_path / split, "train")) == list(read_split(tmp_path / "prepared", split))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["README.md", "manifest.json", *(f"{split}.{kind}" for split in SPLITS)]
    )


def test_the_rows_are_in_the_columns_that_trl_reads(tmp_path: Path) -> None:
    from datasets import load_dataset

    export(write(tmp_path / "rows.jsonl", [call(n) for n in range(40)]), tmp_path / "out", SOURCE, "parquet")
    rows: list[Any] = list(load_dataset(str(tmp_path / "out"), split="train"))
    assert all(set(row) == {"messages", "tools"} and "tools" not in row["messages"][0] for row in rows)
    made = [row["messages"][1]["tool_calls"][0]["function"]["arguments"] for row in rows]
    assert {"city": "Rome"} in made and {"city": 3, "days": [1, "two"]} in made, "no nulls are filled in"
    assert {json.loads(row["tools"])[0]["function"]["name"] for row in rows} == {"look"}


def test_a_split_without_rows_has_no_file(tmp_path: Path) -> None:
    config = write(tmp_path / "rows.jsonl", [talk(n) for n in range(5)]).model_copy(update=WHOLE)
    export(config, tmp_path / "out", SOURCE)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "manifest.json", "train.jsonl"]
    assert "| test | 0 | kept back from train | none |" in (tmp_path / "out" / "README.md").read_text()


def test_what_is_there_is_never_overwritten_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    config = write(tmp_path / "rows.jsonl", [talk(n) for n in range(5)])
    full, empty = tmp_path / "full", tmp_path / "empty"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for taken in (full, full / "mine.txt"):
        with pytest.raises(ConfigError, match="is there already"):
            export(config, taken, SOURCE)
    with pytest.raises(DiskError, match="cannot write"):
        export(config, full / "mine.txt" / "below", SOURCE)
    with pytest.raises(DatasetError, match="is empty"):
        export(write(tmp_path / "none.jsonl", []), tmp_path / "new", SOURCE)
    empty.mkdir()
    export(config, empty, SOURCE)
    assert (full / "mine.txt").read_text() == "mine"
    names = {path.name for path in tmp_path.iterdir()} - {"cache"}
    assert names == {"rows.jsonl", "none.jsonl", "full", "empty"}
