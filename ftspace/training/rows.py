"""The prepared conversations as the token ids and labels that a trainer takes. Knows the renderer, not the trainer."""

from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value

from ftspace.chat import Side, Tally, supervise
from ftspace.data.prepare import Split, read_split

CHUNK = 1000
"""Conversations tokenized at a time."""
FEATURES = Features({"input_ids": List(Value("int32")), "labels": List(Value("int32"))})


def supervised_rows(
    tokenizer: Any, data_dir: Path, split: Split, max_length: int, side: Side = "right", tally: Tally | None = None
) -> tuple[Dataset, int]:
    """A prepared split as rows of `input_ids` and `labels`, and how many rows lost their whole answer to truncation.

    With a `tally`, rows that the template refuses are counted there and left out.
    """
    kept: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    lost = 0
    conversations = read_split(data_dir, split)
    for chunk in iter(lambda: list(islice(conversations, CHUNK)), []):
        for row in supervise(tokenizer, chunk, max_length, side, tally):
            if row.supervised:
                kept["input_ids"].append(row.input_ids)
                kept["labels"].append(row.labels)
            else:
                lost += 1
    return Dataset.from_dict(kept, features=FEATURES), lost
