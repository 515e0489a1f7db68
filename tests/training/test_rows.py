import json
import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from evals.models import load_tokenizer
from ftspace.chat import install_template
from ftspace.config import parse_config
from ftspace.data.messages import Conversation
from ftspace.data.split import Split
from ftspace.errors import DatasetError
from ftspace.runs import RunStore
from ftspace.settings import ASSETS
from ftspace.supervision import IGNORED, supervise
from ftspace.training import rows as module
from ftspace.training.rows import supervised_rows, training_rows
from ftspace.training.tokens import tokenize
from ftspace.workers import Job

LONG: Conversation = [
    {"role": "user", "content": "Where does Miri live? " * 30},
    {"role": "assistant", "content": "Lowick"},
]
SHORT: Conversation = [{"role": "user", "content": "Where does Miri live?"}, {"role": "assistant", "content": "Lowick"}]


@pytest.fixture
def tokenizer():
    made = load_tokenizer(ASSETS / "base")
    install_template(made)
    return made


def write(folder: Path, split: Split, rows: list[Conversation]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{split}.jsonl").write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))


@pytest.mark.parametrize(("split", "kept", "lost"), [("train", 2, 1), ("validation", 0, 0), ("test", 0, 1)])
def test_rows_whose_answer_is_cut_off_are_left_out_and_no_rows_are_fine(
    tokenizer, tmp_path: Path, split: Split, kept: int, lost: int
) -> None:
    write(tmp_path, split, {"train": [SHORT, LONG, SHORT], "validation": [], "test": [LONG]}[split])
    found = supervised_rows(tokenizer, tmp_path, split, 64)
    assert (len(found.dataset), found.lost) == (kept, lost)
    assert all(any(label != IGNORED for label in labels) for labels in found.dataset["labels"])


@pytest.mark.parametrize("train", [{"keep": "best"}, {"patience": 2}, {"keep": "best", "best_by": "score"}])
def test_the_best_cannot_be_told_without_a_validation_row(tokenizer, tmp_path: Path, train: dict[str, Any]) -> None:
    job = Job(RunStore(tmp_path / "runs").create(parse_config({"train": train})), "train")
    write(job.run.data, "train", [SHORT])
    write(job.run.data, "validation", [])
    with pytest.raises(DatasetError, match=r"raise data\.validation_fraction"):
        training_rows(job, tokenizer)


def test_the_same_content_is_tokenized_once_and_what_changes_it_again(
    tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", "train", [SHORT, LONG])
    write(tmp_path / "b", "train", [SHORT, LONG])
    cache = tmp_path / "cache"
    first = supervised_rows(tokenizer, tmp_path / "a", "train", 64, cache=cache)
    again = supervised_rows(tokenizer, tmp_path / "b", "train", 64, cache=cache)
    assert (first.made, again.made, again.lost) == (True, False, 1)
    assert again.dataset.to_dict() == first.dataset.to_dict()
    assert supervised_rows(tokenizer, tmp_path / "a", "train", 512, cache=cache).made
    assert supervised_rows(tokenizer, tmp_path / "a", "train", 64, "left", cache=cache).made
    everything = supervised_rows(tokenizer, tmp_path / "a", "train", 64, "right", "all", cache=cache)
    assert everything.made and everything.lost == 0
    assert [label != IGNORED for label in everything.dataset["labels"][0]].count(False) == 1
    install_template(tokenizer, "zephyr")
    assert supervised_rows(tokenizer, tmp_path / "a", "train", 64, cache=cache).made
    assert len(list(cache.iterdir())) == 5
    monkeypatch.setattr(module, "KEEP_BYTES", 1)
    last = supervised_rows(tokenizer, tmp_path / "b", "train", 64, cache=cache)
    assert not last.made and len(last.dataset) == 1 and len(list(cache.iterdir())) == 1


def test_a_template_that_writes_the_date_makes_the_rows_anew_each_day(
    tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tomorrow(date):
        @classmethod
        def today(cls) -> date:
            return date.fromordinal(date.today().toordinal() + 1)

    write(tmp_path / "a", "train", [SHORT])
    dated = "{{ strftime_now('%d %b %Y') }}" + tokenizer.chat_template
    for template, remade in ((tokenizer.chat_template, False), (dated, True)):
        tokenizer.chat_template = template
        cache = tmp_path / str(remade)
        made = [supervised_rows(tokenizer, tmp_path / "a", "train", 64, cache=cache).made for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(module, "date", Tomorrow)
            made.append(supervised_rows(tokenizer, tmp_path / "a", "train", 64, cache=cache).made)
        assert made == [True, False, remade]


def test_what_a_killed_process_left_is_taken_away_after_a_day(tokenizer, tmp_path: Path) -> None:
    write(tmp_path / "a", "train", [SHORT])
    long_ago = time.time() - 2 * module.ABANDONED
    for name, written in (("dead", long_ago), ("at-work", None)):
        folder = tmp_path / "cache" / f".new-{name}"
        folder.mkdir(parents=True)
        (folder / "rows.arrow").write_text("begun")
        if written:
            os.utime(folder / "rows.arrow", (written, written))
        os.utime(folder, (long_ago, long_ago))
    supervised_rows(tokenizer, tmp_path / "a", "train", 64, cache=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").glob(".*")] == [".new-at-work"]


def test_several_processes_give_the_tokens_that_one_gives(tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.training.tokens.CHUNK", 2)
    talks: list[Conversation] = [SHORT, LONG, [{"role": "system", "content": "Be brief."}, *SHORT]] * 5
    plain = list(supervise(tokenizer, talks, 4096))
    for workers in (1, 2):
        parts = list(tokenize(tokenizer, talks, 4096, "right", workers))
        ids = [part.ids[a:b].tolist() for part in parts for a, b in zip(part.offsets, part.offsets[1:], strict=False)]
        labels = [
            part.labels[a:b].tolist() for part in parts for a, b in zip(part.offsets, part.offsets[1:], strict=False)
        ]
        assert (ids, labels) == ([row.input_ids for row in plain], [row.labels for row in plain])
