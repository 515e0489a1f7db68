"""What an estimate is told of the rows."""

import shutil
from pathlib import Path

import pytest

from ftspace.config import parse_config
from ftspace.data.formats import Conversation
from ftspace.sections import LossOn
from ftspace.settings import ASSETS
from ftspace.training.facts import facts_of

TALK: Conversation = [
    {"role": "user", "content": "Where does Miri live?"},
    {"role": "assistant", "content": "Miri lives in Lowick, near the sea."},
    {"role": "user", "content": "And Tavo?"},
    {"role": "assistant", "content": "In Asheby."},
]


@pytest.mark.parametrize("tokenizer", [True, False])
def test_what_is_trained_is_what_the_loss_is_on(tmp_path: Path, *, tokenizer: bool) -> None:
    shutil.copy(ASSETS / "base" / "config.json", tmp_path)
    model = "assets/base" if tokenizer else str(tmp_path)
    choices: tuple[LossOn, ...] = ("completion", "assistant", "all")
    total, trained = 0, list[int]()
    for loss_on in choices:
        config = parse_config({"model": {"id": model}, "train": {"loss_on": loss_on}, "eval": {"tasks": []}})
        found = facts_of(config, [TALK], {"train": 1, "validation": 0, "test": 0})
        ((total, count),) = found.lengths
        trained.append(count)
        assert any("counted as characters" in doubt for doubt in found.doubts) != tokenizer
    assert trained == sorted(set(trained))
    assert trained[-1] == (total - 1 if tokenizer else total)  # nothing stands before the first token
