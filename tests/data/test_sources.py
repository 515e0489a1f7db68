import json
from pathlib import Path

import pytest

from ftspace.data.prepare import prepare, preview
from ftspace.data.sources import FURTHEST, first_usable, own_splits
from ftspace.errors import DatasetError
from ftspace.sections import DataConfig


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "rows"
    made.mkdir()
    for name in ("train", "dev", "test"):
        (made / f"{name}.jsonl").write_text(json.dumps({"question": "Is it?", "answer": name}) + "\n")
    return made


@pytest.mark.parametrize(
    ("split", "own"),
    [
        ("train", {"validation": "validation", "test": "test"}),
        ("train[:90%]", {"validation": "validation", "test": "test"}),
        ("train+test", {"validation": "validation"}),
        ("train[:10] + test[:90%](pct1_dropremainder)", {"validation": "validation"}),
        ("validation[10:]+test", {}),
    ],
)
def test_a_split_that_is_trained_on_in_part_is_no_test(folder: Path, split: str, own: dict[str, str]) -> None:
    config = DataConfig(id=str(folder), split=split)
    assert own_splits(config) == own
    for name in {"validation", "test"} - set(own):
        with pytest.raises(DatasetError, match=f"data.test_split: rows of {name} are trained on"):
            own_splits(config.model_copy(update={"test_split": name}))


GIVEN = {"prompt": "question", "completion": "answer"}


def write(path: Path, bad: int, good: int) -> None:
    rows = [{"question": f"What is {number}?", "answer": ""} for number in range(bad)]
    rows += [{"question": f"What is {number} plus one?", "answer": str(number + 1)} for number in range(good)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("mapping", [None, GIVEN])
@pytest.mark.parametrize("bad", [19, 20, 39, FURTHEST - 1])
def test_rows_that_come_late_are_waited_for(tmp_path: Path, bad: int, mapping: dict[str, str] | None) -> None:
    write(tmp_path / "rows.jsonl", bad, 200)
    config = DataConfig.model_validate({"id": str(tmp_path / "rows.jsonl"), "mapping": mapping})
    reading = first_usable(config)
    assert reading.format().mapping == GIVEN
    assert any(row["answer"] for row in reading.first) and len(reading.first) <= FURTHEST + 20
    assert preview(config).conversations[0][-1]["content"] == "1"
    few = config.model_copy(update={"max_samples": 20})
    assert len(first_usable(few).first) == 20


def test_after_some_thousands_of_rows_none_is_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", FURTHEST, 200)
    config = DataConfig.model_validate({"id": str(tmp_path / "rows.jsonl"), "mapping": GIVEN})
    with pytest.raises(DatasetError, match="empty answer, and so are all of the first 2000 rows"):
        first_usable(config).format()


def test_late_rows_are_prepared_under_a_mapping_and_from_the_datasets_own_test(folder: Path, tmp_path: Path) -> None:
    write(folder / "train.jsonl", 50, 40)
    write(folder / "test.jsonl", 30, 10)
    config = DataConfig.model_validate({"id": str(folder), "mapping": GIVEN, "validation_split": "none"})
    manifest = prepare(config, tmp_path / "data", workers=1)
    assert manifest.splits["test"] == "the dataset's own split test"
    assert (manifest.read, manifest.rows["test"], sum(manifest.rows.values())) == (130, 10, 50)
    assert manifest.warnings[0].startswith("data.mapping: row 1 cannot be used: empty answer (50 of the first ")
    write(folder / "test.jsonl", 30, 0)
    manifest = prepare(config, tmp_path / "kept", workers=1)
    assert "own split test has no answers that can be read" in " ".join(manifest.warnings)
