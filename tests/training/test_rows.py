import json
from pathlib import Path

import pytest

from evals.models import load_tokenizer
from ftspace.chat import IGNORED, install_template
from ftspace.data.prepare import Split
from ftspace.settings import ASSETS
from ftspace.training.rows import supervised_rows

LONG = [{"role": "user", "content": "Where does Miri live? " * 30}, {"role": "assistant", "content": "Lowick"}]
SHORT = [{"role": "user", "content": "Where does Miri live?"}, {"role": "assistant", "content": "Lowick"}]


@pytest.mark.parametrize(("split", "kept", "lost"), [("train", 2, 1), ("validation", 0, 0), ("test", 0, 1)])
def test_rows_whose_answer_is_cut_off_are_left_out_and_no_rows_are_fine(
    tmp_path: Path, split: Split, kept: int, lost: int
) -> None:
    rows = {"train": [SHORT, LONG, SHORT], "validation": [], "test": [LONG]}[split]
    (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    tokenizer = load_tokenizer(ASSETS / "base")
    install_template(tokenizer)
    found, dropped = supervised_rows(tokenizer, tmp_path, split, 64)
    assert (len(found), dropped) == (kept, lost)
    assert all(any(label != IGNORED for label in labels) for labels in found["labels"])
