"""The rows of a CSV file with a header, whatever parts its cells. Every error names file and line.

A cell stays the text that the file says, but for whole numbers and empty cells. Knows nothing of what a column means.
"""

import csv
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from ftspace.data.files import MAX_ROW_CHARACTERS, opened_text
from ftspace.errors import DatasetError

MAX_CELL_CHARACTERS = 2**24
"""Longest cell of a CSV file: a quote that is never closed makes a cell of all that follows."""
DELIMITERS = (",", ";", "\t", "|")
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")


def csv_rows(path: Path) -> Generator[dict[str, Any]]:
    """The rows of a CSV file with a header. Cells are texts; those that are whole numbers are numbers. DatasetError."""
    delimiter = _delimiter(path)
    records = _cells(path, delimiter)
    _, header = next(records)
    for line, cells in records:
        if len(cells) > len(header) and not any(cells[len(header) :]):
            del cells[len(header) :]
        if len(cells) != len(header):
            raise DatasetError(
                f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}; they are parted by "
                f"{_spoken(delimiter)}: put quotes around a cell that holds one, or mend the row"
            )
        yield {name: _cell(cell) for name, cell in zip(header, cells, strict=True)}


def csv_columns(path: Path) -> list[str]:
    """The names in the header, each of them once. Raises DatasetError."""
    return next(_cells(path, _delimiter(path)))[1]


def _cells(path: Path, delimiter: str) -> Generator[tuple[int, list[str]]]:
    """The header's names, then the cells of each row, with the lines that they begin in. There is always a header."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with opened_text(path) as file:
        reader = csv.reader(_lines(path, file), delimiter=delimiter, strict=True)
        line, header = 1, False
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DatasetError(f"{path}, line {line}: {_why(reader.line_num, line, error)}") from error
            if cells is None:
                break
            if cells and cells != [""]:
                yield line, cells if header else _names(cells)
                header = True
            line = reader.line_num + 1
        if not header:
            raise DatasetError(f"{path} holds blank lines only; give a file with a header and rows")


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_ROW_CHARACTERS):
        number += 1
        if "\0" in line:
            raise DatasetError(f"{path}, line {number}: there is a NUL byte; the file is damaged or no text")
        yield line


def _why(at: int, start: int, error: csv.Error) -> str:
    said = str(error)
    if "unexpected end of data" in said or "field larger" in said:
        return "a quote that opens a cell here is never closed; close it, or write quotes inside a cell twice"
    if "expected after" in said:
        where = f" (seen in line {at})" if at != start else ""
        return f"there is a single quote inside a quoted cell{where}; write quotes inside a cell twice"
    return f"{said}; mend or remove the row"


def _delimiter(path: Path) -> str:
    """What parts the cells, by the header and the rows after it."""
    with opened_text(path) as file:
        text = file.read(1 << 16)
        whole = not file.read(1)
    order = ("\t", *DELIMITERS) if ".tsv" in "".join(path.suffixes).lower() else DELIMITERS
    best, best_share = order[0], 0.0
    for one in order:
        widths: list[int] = []
        with suppress(csv.Error):
            widths.extend(len(cells) for cells in csv.reader(text.splitlines(keepends=True), delimiter=one) if cells)
        if not whole and len(widths) > 1:
            widths.pop()  # may be cut
        if not widths or widths[0] < 2:
            continue
        share = sum(width == widths[0] for width in widths) / len(widths)
        if share > best_share:
            best, best_share = one, share
    return best


def _names(cells: list[str]) -> list[str]:
    """The header's names, each of them once, as pandas writes them."""
    names: list[str] = []
    for place, cell in enumerate(cells):
        name = cell.strip() or f"Unnamed: {place}"
        again = 1
        while name in names:
            name, again = f"{cell.strip()}.{again}", again + 1
        names.append(name)
    return names


def _cell(text: str) -> str | int | None:
    """A cell's text; None when empty. A number whose text it can be told back from becomes one."""
    if text == "":
        return None
    return int(text) if text[0] in "-0123456789" and _WHOLE.fullmatch(text) and text != "-0" else text


def _spoken(delimiter: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}[delimiter]
