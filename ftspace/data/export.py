"""A dataset prepared into a folder that `datasets`, TRL and ftspace itself read. Knows no network.

The folder appears whole or not at all: it is written beside its place and renamed into it.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from ftspace.data.messages import Conversation, uses_tools
from ftspace.data.prepare import SPLITS, Manifest, Split, prepare, read_split
from ftspace.errors import ConfigError, DiskError
from ftspace.hub.card import Source, card
from ftspace.sections import DataConfig

Kind = Literal["jsonl", "parquet"]
CHUNK = 1000
"""Rows written to a parquet file at a time."""


def check_folder(folder: Path) -> None:
    """Raises ConfigError when something is there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and is not overwritten; name a new folder")


def export(
    config: DataConfig, folder: Path, source: Source, kind: Kind = "jsonl", *, repo_id: str | None = None
) -> Manifest:
    """Prepares the dataset and writes a file for each split that has rows, README.md and manifest.json into `folder`.

    A row has `messages`, and where any conversation uses tools also `tools`, as JSON text.

    Args:
        config: the dataset and how it is split.
        folder: a folder that is not there yet, or is empty.
        source: where the rows come from, for the card.
        kind: the files' format.
        repo_id: where the folder will be pushed, for the card.

    Raises:
        ConfigError: the folder holds something.
        DatasetError: the dataset cannot be prepared.
        DiskError: the disk is full or cannot be written.
    """
    folder = folder.absolute()
    check_folder(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            manifest = prepare(config, beside / "prepared")
            (beside / "whole").mkdir()
            _write(config, source, manifest, beside / "prepared", beside / "whole", kind, repo_id)
            (beside / "whole").rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise DiskError(f"cannot write {folder}: {error.strerror or error}; free some space or name another") from error
    return manifest


def _write(
    config: DataConfig, source: Source, manifest: Manifest, prepared: Path, out: Path, kind: Kind, repo_id: str | None
) -> None:
    tools = any(uses_tools(turns) for split in SPLITS for turns in read_split(prepared, split))
    files: dict[Split, str] = {split: f"{split}.{kind}" for split in SPLITS if manifest.rows[split]}
    for split, name in files.items():
        rows = (_row(turns, tools=tools) for turns in read_split(prepared, split))
        if kind == "jsonl":
            with (out / name).open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            _write_parquet(rows, out / name, tools=tools)
    features = _features(tools=True)._to_yaml_list() if tools else None  # pyright: ignore[reportPrivateUsage]
    text = card(config, source, manifest, files, repo_id=repo_id, features=features)
    (out / "README.md").write_text(text, encoding="utf-8")
    (out / "manifest.json").write_text(_without_examples(manifest).model_dump_json(indent=2) + "\n", encoding="utf-8")


def _without_examples(manifest: Manifest) -> Manifest:
    """The manifest without pieces of rows: some of them may be of rows that were left out for a good reason."""
    if manifest.report is None:
        return manifest
    found = [one.model_copy(update={"examples": []}) for one in manifest.report.found]
    report = manifest.report.model_copy(update={"found": found, "answers": {}})
    return manifest.model_copy(update={"report": report})


def _row(turns: Conversation, *, tools: bool) -> dict[str, Any]:
    """A conversation as columns: the functions on its first turn go into one of their own."""
    if not tools:
        return {"messages": turns}
    first: dict[str, Any] = {**turns[0]}
    offered = first.pop("tools", None)
    said = json.dumps(offered, ensure_ascii=False) if offered else None
    return {"messages": [first, *turns[1:]], "tools": said}


def _features(*, tools: bool) -> Any:
    """The columns' types. Calls differ from row to row, so turns that may hold some are JSON and not one struct."""
    from datasets import Features, Json, List, Value

    text = Value("string")
    if tools:
        return Features({"messages": List(Json()), "tools": text})
    return Features({"messages": List({"role": text, "content": text})})


def _write_parquet(rows: Iterator[dict[str, Any]], path: Path, *, tools: bool) -> None:
    import pyarrow.parquet as pq
    from datasets import Dataset

    features = _features(tools=tools)
    with pq.ParquetWriter(path, features.arrow_schema) as writer:
        while chunk := list(islice(rows, CHUNK)):
            writer.write_table(Dataset.from_list(chunk, features=features).data.table)
