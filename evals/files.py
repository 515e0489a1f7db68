"""Files that are whole or not there: how text and records are written, and how records are read.

A file is written beside its place and renamed into it, so a file that is there is complete. NaN and infinities are
written as strings. Knows no shapes.
"""

import os
import tempfile
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.errors import LogError, one_line


class Record(BaseModel):
    """What lies in a file: frozen, without unknown keys, each field with a docstring."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="strings",
        protected_namespaces=(),
        use_attribute_docstrings=True,
    )


RecordT = TypeVar("RecordT", bound=Record)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` whole or not at all; parent folders are made. Raises LogError if the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.iterdir():  # by a writer that was killed
            if left.name.startswith(f".{path.name}."):
                left.unlink(missing_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(beside).chmod(0o644)
            Path(beside).replace(path)
        finally:
            Path(beside).unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"{path}: can't be written: {error.strerror or error}") from error


def write_record(path: Path, record: Record) -> None:
    """Write a record as JSON. Raises LogError if the disk refuses."""
    write_text(path, record.model_dump_json(indent=1) + "\n")


def read_record(path: Path, model: type[RecordT]) -> RecordT:
    """Read a record. Raises LogError if it is missing, or the file holds something else."""
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LogError(f"{path}: can't be read: {error.strerror or error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise LogError(f"{path}: not a {model.__name__} file: {where}: {one_line(Exception(first['msg']))}") from error
