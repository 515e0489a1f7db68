"""The rows of a JSON file: lines, a list, a document with the list under a key. Every error names file and line.

Nothing is held but the row at hand and what was read ahead of it. Knows what JSON should be, and nothing of columns.
"""

import json
import re
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from ftspace.data.files import MAX_ROW_CHARACTERS, opened_text
from ftspace.errors import DatasetError

_CHUNK = 1 << 20
_CONTAINERS = ("data", "rows", "examples", "instances", "items", "records", "samples", "entries", "train")
"""Keys under which a JSON document keeps its rows."""


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
    if not rest or error.msg.startswith("Unterminated string"):
        return (
            "the row ends too early: a quote or bracket is not closed; mend it, or copy the file again if it is cut off"
        )
    if error.msg.startswith("Invalid control character"):
        return f"there is a line break or tab inside a text, at column {error.colno}; write it as \\n or \\t"
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
