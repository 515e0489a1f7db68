import json
from pathlib import Path

import pytest

from ftspace.config import DataConfig
from ftspace.data.prepare import SPLITS, prepare, preview, read_split
from ftspace.errors import DatasetError


def write(path: Path, rows: list[dict[str, str]]) -> DataConfig:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataConfig(id=str(path))


def row(number: int) -> dict[str, str]:
    return {"question": f"What is {number} plus one?", "answer": str(number + 1)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))


def test_every_row_is_in_one_split_and_equal_rows_in_the_same(tmp_path: Path) -> None:
    manifest = prepare(write(tmp_path / "rows.jsonl", [row(n % 400) for n in range(800)]), tmp_path / "data")
    sets = {name: {turns[0]["content"] for turns in read_split(tmp_path / "data", name)} for name in SPLITS}
    assert sum(manifest.rows.values()) == 800
    assert sum(len(one) for one in sets.values()) == len(set.union(*sets.values())) == 400
    assert 0.05 < manifest.rows["test"] / 800 < 0.15
    assert manifest.rows["validation"] > 0


def test_the_split_is_the_seeds_and_rows_added_later_move_none(tmp_path: Path) -> None:
    few = write(tmp_path / "few.jsonl", [row(n) for n in range(100)])
    more = write(tmp_path / "more.jsonl", [row(n) for n in reversed(range(150))])
    first = prepare(few, tmp_path / "a")
    assert prepare(few, tmp_path / "b") == first
    prepare(more, tmp_path / "c")
    prepare(few.model_copy(update={"seed": 1}), tmp_path / "d")
    tests = {name: {t[0]["content"] for t in read_split(tmp_path / name, "test")} for name in "acd"}
    assert tests["a"] <= tests["c"]
    assert tests["a"] != tests["d"]


def test_rows_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    rows = [row(n) for n in range(50)] + [{"question": "And?", "answer": ""}] * 3
    manifest = prepare(write(tmp_path / "rows.jsonl", rows), tmp_path / "data")
    assert manifest.dropped == {"empty answer": 3}
    assert sum(manifest.rows.values()) == 50


def test_a_dataset_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    config = write(tmp_path / "rows.jsonl", [{"question": "And?", "answer": ""}] * 3)
    with pytest.raises(DatasetError, match="3 with empty answer"):
        prepare(config, tmp_path / "data")
    with pytest.raises(DatasetError, match="none of the first 3 rows"):
        preview(config)


def test_a_preview_shows_the_first_rows_and_what_made_them(tmp_path: Path) -> None:
    shown = preview(write(tmp_path / "rows.jsonl", [row(n) for n in range(30)]), 2)
    assert shown.format == "question/answer"
    assert shown.used == ["question", "answer"]
    assert [turns[1]["content"] for turns in shown.conversations] == ["1", "2"]


def test_what_a_person_gave_and_what_they_should_know_is_kept(tmp_path: Path) -> None:
    rows = [row(n) | {"problem": f"{n}?", "solution": "none"} for n in range(60)]
    config = write(tmp_path / "rows.jsonl", rows)
    guessed = prepare(config, tmp_path / "a")
    assert guessed.mapping == {"prompt": "question", "completion": "answer"}
    assert "it could also be problem/solution" in guessed.warnings[0]
    said = config.model_copy(update={"mapping": {"prompt": "problem", "completion": "solution"}})
    told = prepare(said, tmp_path / "b")
    assert (told.mapping, told.warnings) == ({"prompt": "problem", "completion": "solution"}, ())
    assert all(turns[1]["content"] == "none" for turns in read_split(tmp_path / "b", "train"))
    assert preview(said, 1).understood.confidence == 1.0


def test_a_pandas_export_is_as_many_rows_as_it_has(tmp_path: Path) -> None:
    exported = {key: {str(n): row(n)[key] for n in range(40)} for key in ("question", "answer")}
    (tmp_path / "rows.json").write_text(json.dumps([exported]))
    config = DataConfig(id=str(tmp_path / "rows.json"))
    assert sum(prepare(config, tmp_path / "data").rows.values()) == 40
    assert sum(prepare(config.model_copy(update={"max_samples": 30}), tmp_path / "few").rows.values()) == 30
