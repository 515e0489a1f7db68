"""One cell of a row: as text, or as what the JSON in it says. Knows no turns, columns or files."""

import json
import math
from collections.abc import Mapping
from typing import Any


class RowProblem(Exception):
    """Why one row cannot be used, in a few words that can be counted."""

    def __init__(self, reason: str, hint: str = "") -> None:
        """`hint` is for a person who looks at this one row; it is neither counted nor written with the rows."""
        super().__init__(reason)
        self.hint = hint


def text(value: Any) -> str:
    """The value when it is text. Raises RowProblem."""
    if value is None:
        raise RowProblem("missing text")
    if not isinstance(value, str):
        raise RowProblem(f"{type(value).__name__} where text is expected")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RowProblem("text that is not valid Unicode") from error
    return value


def cell(value: Any) -> str:
    """The value of a column as text: numbers are written out, true and false too. Raises RowProblem."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise RowProblem("missing text")
        return json.dumps(value)
    return text(value)


def answer(value: Any) -> str:
    """An answer's text: the first of several, also within a dict such as SQuAD's. Raises RowProblem."""
    if isinstance(value, Mapping):
        key = next((key for key in ("text", "value", "answer") if key in value), None)
        value = value[key] if key else value
    if isinstance(value, list):
        if not value:
            raise RowProblem("no answer")
        value = value[0]
    return cell(value)


def unfold(value: Any) -> Any:
    """JSON text as what it says, numbered and columnar dicts as lists; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    if not isinstance(value, Mapping) or not value:
        return value
    if numbered(value):
        return [value[key] for key in sorted(value, key=int)]
    columns = {key: cells for key, cells in value.items() if isinstance(cells, list)}
    lengths = {len(cells) for cells in columns.values()}
    if len(columns) == len(value) and len(lengths) == 1:
        return [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    return value


def numbered(value: Any) -> bool:
    """Whether it is a dict with the keys "0", "1", ... and so on."""
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and k.isascii() and k.isdigit() and len(k) < 10 for k in value)
    )
