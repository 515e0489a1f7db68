"""The rows of Parquet and Arrow files, which declare their columns. Knows no text files and no Hub.

Whatever is wrong with such a file, it is told in one line: their library raises many things on damaged ones.
"""

import json
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Literal

from evals.errors import one_line
from ftspace.errors import DatasetError

Batch = list[dict[str, Any]]
Stored = Literal["parquet", "arrow"]

MAX_BATCH_BYTES = 2**30
"""Most that the rows of one batch of a Parquet file may take."""
_FEW = 64
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the libraries that read Parquet, Arrow and the Hub raise on what they cannot read."""


def stored_batches(path: Path, kind: Stored, size: int) -> Generator[Batch]:
    """A file's rows, `size` at a time. Raises DatasetError where the file breaks, after the rows before it."""
    try:
        yield from _parquet(path, size) if kind == "parquet" else _arrow(path, size)
    except UNREADABLE as error:
        raise DatasetError(_broken(path, error)) from error


def declared_columns(path: Path, kind: Stored) -> tuple[list[str], dict[str, list[str]]]:
    """The columns that a file declares, and its label columns' names. Raises DatasetError."""
    try:
        schema = _schema(path, kind)
        return list(schema.names), _labels(schema.metadata or {})
    except UNREADABLE as error:
        raise DatasetError(_broken(path, error)) from error


def _parquet(path: Path, size: int) -> Generator[Batch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        decode = _decoder(file.schema_arrow)
        rows: Batch = []
        held = 0
        # A few rows at a time: a tiny file can say of one long text that it is in every row.
        for batch in file.iter_batches(batch_size=min(size, _FEW)):
            batch.validate(full=True)
            held += batch.nbytes
            if held > MAX_BATCH_BYTES:
                raise ValueError(
                    f"{len(rows) + batch.num_rows} of its rows take more than {MAX_BATCH_BYTES / 1e9:.1f} GB"
                )
            rows += decode(batch.to_pylist())
            while len(rows) >= size:
                yield rows[:size]
                rows, held = rows[size:], 0
        if rows:
            yield rows


def _arrow(path: Path, size: int) -> Generator[Batch]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        reader = _arrow_reader(file)
        decode = _decoder(reader.schema)
        stored = (
            (reader.get_batch(number) for number in range(reader.num_record_batches))
            if hasattr(reader, "get_batch")
            else reader
        )
        for batch in stored:
            batch.validate(full=True)
            for start in range(0, batch.num_rows, size):
                yield decode(batch.slice(start, size).to_pylist())


def _arrow_reader(file: Any) -> Any:
    import pyarrow as pa

    magic = file.read(6)
    file.seek(0)
    return pa.ipc.open_file(file) if magic == b"ARROW1" else pa.ipc.open_stream(file)


def _schema(path: Path, kind: Stored) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if kind == "parquet":
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
    else:
        with pa.memory_map(str(path)) as file:
            schema = _arrow_reader(file).schema
    if not schema.names:
        raise ValueError("it has no columns")
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("two of its columns have the same name")
    return schema


def _features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """What `datasets` wrote of the columns into a file."""
    if b"huggingface" not in metadata:
        return {}
    features = json.loads(metadata[b"huggingface"]).get("info", {}).get("features", {})
    return features if isinstance(features, dict) else {}


def _labels(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    kinds = {name: kind for name, kind in _features(metadata).items() if isinstance(kind, dict)}
    return {n: list(k["names"]) for n, k in kinds.items() if k.get("_type") == "ClassLabel" and k.get("names")}


def _decoder(schema: Any) -> Callable[[Batch], Batch]:
    """Reads the cells that `datasets` wrote as JSON; all others stay."""
    if '"Json"' not in json.dumps(_features(schema.metadata or {})):
        return lambda rows: rows
    import datasets

    features = datasets.Features.from_arrow_schema(schema)
    return lambda rows: [dict(features.decode_example(row)) for row in rows]


def _broken(path: Path, error: BaseException) -> str:
    return f"{path} is damaged: {one_line(error).rstrip('. ')}; copy or download it again, or write it anew"
