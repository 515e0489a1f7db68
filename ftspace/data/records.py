"""The rows of local files, one kind after the other: JSON, CSV, Parquet, Arrow. Every error names file and line.

Nothing is held but the rows at hand, so a file may be larger than memory. Cells of JSON and CSV keep what the file
says: no column is cast to one type, so rows may differ in their keys and in what a key holds.
"""

import csv
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from evals.errors import one_line
from ftspace.data.files import Kind, opened_text
from ftspace.errors import DatasetError

Batch = list[dict[str, Any]]

MAX_ROW_CHARACTERS = 2**28
"""Longest row, and longest JSON document that is not a list of rows."""
MAX_CELL_CHARACTERS = 2**24
"""Longest cell of a CSV file: a quote that is never closed makes a cell of all that follows."""
MAX_BATCH_BYTES = 2**30
"""Most that the rows of one batch of a Parquet file may take."""
DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 20
_FEW = 64
_CONTAINERS = ("data", "rows", "examples", "instances", "items", "records", "samples", "entries", "train")
"""Keys under which a JSON document keeps its rows."""
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")
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


def batches(path: Path, kind: Kind, size: int) -> Generator[Batch]:
    """A file's rows, `size` at a time. Raises DatasetError where the file breaks, after the rows before it."""
    if kind == "parquet":
        yield from _explained(path, _parquet(path, size))
    elif kind == "arrow":
        yield from _explained(path, _arrow(path, size))
    else:
        rows = json_rows(path) if kind == "json" else csv_rows(path)
        try:
            while batch := list(islice(rows, size)):
                yield batch
        finally:
            rows.close()


def stored_columns(path: Path, kind: Kind) -> tuple[list[str], dict[str, list[str]]]:
    """The columns that a CSV, Parquet or Arrow file declares, and its label columns' names. Raises DatasetError."""
    if kind == "csv":
        return next(_csv_cells(path, _delimiter(path)))[1], {}
    try:
        schema = _schema(path, kind)
        return list(schema.names), _labels(schema.metadata or {})
    except UNREADABLE as error:
        raise DatasetError(_broken(path, error)) from error


# JSON


def json_rows(path: Path) -> Generator[dict[str, Any]]:
    """The objects of JSON Lines, of a list, or of the list that a document keeps under a key. Raises DatasetError."""
    if not _is_lines(path):
        yield from _document_rows(path)
        return
    with opened_text(path) as file:
        lines = _lines(path, file)
        first = next(lines)
        second = next(lines, None)
        if second is None:
            yield from _under_key(path, _line_row(path, *first))
            return
        for number, line in chain((first, second), lines):
            yield _line_row(path, number, line)


def _is_lines(path: Path) -> bool:
    """Whether a file is JSON Lines: its first line is an object, or is no list and the second is an object."""
    with opened_text(path) as file:
        lines = _lines(path, file)
        first = next(lines, None)
        if first is None:
            raise DatasetError(f"{path} holds blank lines only; give a file with at least a few rows")
        if _parsed(first[1]) is not None:
            return True
        return not first[1].lstrip().startswith("[") and _parsed((next(lines, None) or (0, ""))[1]) is not None


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _lines(path: Path, file: TextIO) -> Generator[tuple[int, str]]:
    """The lines that are not blank, and their numbers."""
    number = 0
    while line := file.readline(MAX_ROW_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_ROW_CHARACTERS:
            raise DatasetError(
                f"{path}, line {number} is longer than {MAX_ROW_CHARACTERS:,} characters; write one row in a line"
            )
        if not line.isspace():
            yield number, line


def _line_row(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path}, line {number}: {_why(line, error)}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}, line {number}: {_too_much(error)}") from error
    return _object(path, number, value)


def _object(path: Path, number: int, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        names = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
        found = names.get(type(value), "a number")
        raise DatasetError(f'{path}, line {number}: {found}, not a row; write each row as {{"column": value, …}}')
    return value


def _why(text: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a row's JSON and what to do about it; numbers of lines are the caller's."""
    before, rest = text[: error.pos].rstrip(), text[error.pos :].lstrip()
    if "\0" in text:
        return "there is a NUL byte; the file is damaged or no text"
    if rest.startswith("'") or (error.msg.startswith("Expecting") and before.endswith("'")):
        return "single quotes, as Python prints them, are not JSON; write the rows with json.dumps"
    if word := re.match(r"(None|True|False)\b", rest):
        return f"{word[1]} is Python's word, not JSON's; write the rows with json.dumps"
    if rest.startswith(("}", "]")) and before.endswith(","):
        return "there is a comma before the closing bracket; take it away"
    if error.msg == "Extra data" and rest.startswith(","):
        return "there is a comma after the row; JSON Lines has none, so take it away, or put [ ] around all rows"
    if error.msg == "Extra data":
        return f"there is more after the row's end, at column {error.colno}; write one row in a line"
    if error.msg.startswith("Invalid control character"):
        return f"there is a line break or tab inside a text, at column {error.colno}; write it as \\n or \\t"
    if not rest or error.msg.startswith("Unterminated string"):
        return (
            "the row ends too early: a quote or bracket is not closed; mend it, or copy the file again if it is cut off"
        )
    return f"this is not JSON: {error.msg[0].lower()}{error.msg[1:]}, at column {error.colno}; mend or remove the line"


def _too_much(error: Exception) -> str:
    deep = isinstance(error, RecursionError)
    return f"{'brackets are nested too deeply' if deep else 'a number has too many digits'}; mend or remove the row"


class _Scanner:
    """JSON values one after the other out of a text of any length, and the line that it is at."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._file = file
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._lines = 1
        self._ended = False

    @property
    def line(self) -> int:
        return self._line_at(self._at)

    def next(self, *, take: bool = False) -> str:
        """The next character that is no space, "" at the end; `take` goes past it."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                found = self._text[self._at]
                self._at += take
                return found
            if not self._more():
                return ""

    def value(self) -> Any:
        """The next value. Raises DatasetError."""
        self.next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - 16
                if cut and self._more():
                    continue
                line_start = self._text.rfind("\n", 0, self._at) + 1
                raise self.error(_why(self._text[line_start:], _moved(error, line_start)), error.pos) from error
            except (ValueError, RecursionError) as error:
                raise self.error(_too_much(error), self._at) from error
            if end == len(self._text) and self._more():  # a number may go on
                continue
            self._at = end
            return value

    def error(self, why: str, at: int | None = None) -> DatasetError:
        line = self._line_at(self._at if at is None else at)
        return DatasetError(f"{self._path}, line {line}: {why}")

    def _line_at(self, at: int) -> int:
        return self._lines + self._text.count("\n", 0, at)

    def _more(self) -> bool:
        """Reads on, twice as far each time that one value asks for it; False at the end."""
        rest = len(self._text) - self._at
        if self._ended:
            return False
        if rest > MAX_ROW_CHARACTERS:
            raise self.error(f"one value is longer than {MAX_ROW_CHARACTERS:,} characters; write rows as JSON Lines")
        read = self._file.read(max(_CHUNK, rest))
        if not read:
            self._ended = True
            return False
        self._lines += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :] + read, 0
        return True


def _moved(error: json.JSONDecodeError, by: int) -> json.JSONDecodeError:
    return json.JSONDecodeError(error.msg, error.doc[by:], error.pos - by)


def _document_rows(path: Path) -> Generator[dict[str, Any]]:
    """The rows of a list, of a document, or of objects that go over several lines."""
    with opened_text(path) as file:
        scanner = _Scanner(path, file)
        if scanner.next() == "[":
            yield from _list_rows(path, scanner)
            return
        line = scanner.line
        value = _object(path, line, scanner.value())
        if not scanner.next():
            yield from _under_key(path, value)
            return
        yield value
        while found := scanner.next():
            if found == ",":
                raise scanner.error("there is a comma after the row; take it away, or put [ ] around all rows")
            line = scanner.line
            yield _object(path, line, scanner.value())


def _list_rows(path: Path, scanner: _Scanner) -> Generator[dict[str, Any]]:
    scanner.next(take=True)
    while (found := scanner.next()) != "]":
        if not found:
            raise scanner.error("the list of rows ends too early; copy or download the file again")
        line = scanner.line if found != "{" else 0
        value = scanner.value()
        yield {"text": value} if isinstance(value, str) else _object(path, line, value)
        after = scanner.next()
        if after == ",":
            scanner.next(take=True)
            if scanner.next() == "]":
                raise scanner.error("there is a comma after the last row; take it away")
        elif after and after != "]":
            raise scanner.error("a comma is missing between two rows; put one there")
    scanner.next(take=True)
    if scanner.next():
        raise scanner.error("there is more after the list's end; put all rows into one list, or write JSON Lines")


def _under_key(path: Path, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows that a file's only object keeps under a key, or that object when it is itself a row."""
    lists = [key for key, value in document.items() if _holds_rows(value)]
    named = [key for key in lists if key.lower() in _CONTAINERS]
    if len(lists) > 1 and set(lists) >= {"train", "test"}:
        raise DatasetError(f"{path} holds several lists of rows (train, test, …); write each to a file of its own")
    key = named[0] if len(named) == 1 else lists[0] if len(lists) == 1 and len(document) == 1 else None
    if key is None:
        yield document
        return
    for number, row in enumerate(document[key], 1):
        if not isinstance(row, dict):
            raise DatasetError(f"{path}: row {number} under {key!r} is no object; write each row as one")
        yield row


def _holds_rows(value: Any) -> bool:
    """Whether it is a list of objects that are no turns of one conversation."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    return not any(key in value[0] for key in ("role", "from"))


# CSV


def csv_rows(path: Path) -> Generator[dict[str, Any]]:
    """The rows of a CSV file with a header. Cells are texts; those that are whole numbers are numbers. DatasetError."""
    delimiter = _delimiter(path)
    records = _csv_cells(path, delimiter)
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


def _csv_cells(path: Path, delimiter: str) -> Generator[tuple[int, list[str]]]:
    """The header's names, then the cells of each row, with the lines that they begin in. There is always a header."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    with opened_text(path) as file:
        reader = csv.reader(_csv_lines(path, file), delimiter=delimiter, strict=True)
        line, header = 1, False
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DatasetError(f"{path}, line {line}: {_csv_why(reader.line_num, line, error)}") from error
            if cells is None:
                break
            if cells and cells != [""]:
                yield line, cells if header else _names(cells)
                header = True
            line = reader.line_num + 1
        if not header:
            raise DatasetError(f"{path} holds blank lines only; give a file with a header and rows")


def _csv_lines(path: Path, file: TextIO) -> Iterator[str]:
    number = 0
    while line := file.readline(MAX_ROW_CHARACTERS):
        number += 1
        if "\0" in line:
            raise DatasetError(f"{path}, line {number}: there is a NUL byte; the file is damaged or no text")
        yield line


def _csv_why(at: int, start: int, error: csv.Error) -> str:
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


# Parquet and Arrow


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


def _schema(path: Path, kind: Kind) -> Any:
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


def _explained(path: Path, read: Generator[Batch]) -> Generator[Batch]:
    try:
        yield from read
    except UNREADABLE as error:
        raise DatasetError(_broken(path, error)) from error


def _broken(path: Path, error: BaseException) -> str:
    return f"{path} is damaged: {one_line(error).rstrip('. ')}; copy or download it again, or write it anew"
