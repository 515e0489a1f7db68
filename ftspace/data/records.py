"""The rows of a local file, a batch at a time, whatever its kind. Knows no folders, no splits and no conversations.

Nothing is held but the rows at hand, so a file may be larger than memory. Cells of JSON and CSV keep what the file
says: no column is cast to one type, so rows may differ in their keys and in what a key holds.
"""

from collections.abc import Generator
from itertools import islice
from pathlib import Path

from ftspace.data.csv_rows import csv_columns, csv_rows
from ftspace.data.json_rows import json_rows
from ftspace.data.kinds import Kind
from ftspace.data.stored_rows import Batch, declared_columns, stored_batches


def batches(path: Path, kind: Kind, size: int) -> Generator[Batch]:
    """A file's rows, `size` at a time. Raises DatasetError where the file breaks, after the rows before it."""
    if kind in ("parquet", "arrow"):
        yield from stored_batches(path, kind, size)
        return
    rows = json_rows(path) if kind == "json" else csv_rows(path)
    try:
        while batch := list(islice(rows, size)):
            yield batch
    finally:
        rows.close()


def stored_columns(path: Path, kind: Kind) -> tuple[list[str], dict[str, list[str]]]:
    """The columns that a CSV, Parquet or Arrow file declares, and its label columns' names. Raises DatasetError."""
    if kind in ("parquet", "arrow"):
        return declared_columns(path, kind)
    return csv_columns(path), {}
