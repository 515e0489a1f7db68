import json
from pathlib import Path

import pytest

from ftspace.config import DataConfig
from ftspace.data.sources import own_splits
from ftspace.errors import DatasetError


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
