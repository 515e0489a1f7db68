"""Which columns hold the conversation, and how a row becomes messages. Knows no files and no models.

A dataset's shape is recognized by its columns and the values of some rows (`shapes.py` lists the shapes), or given by a
person as a mapping of columns or as templates. `text` alone has no answer to learn and is refused with a word of why.
"""

import dataclasses
import difflib
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftspace.data.cells import RowProblem, cell, numbered
from ftspace.data.columns import Format, Labels, Row, column_reader
from ftspace.data.messages import Conversation, Message, pair, read_any, turn_like
from ftspace.data.shapes import candidates, turn_reader
from ftspace.errors import DatasetError
from ftspace.sections import template_columns

__all__ = ["Conversation", "Format", "Message", "RowProblem", "given_format", "recognize", "rows_in", "to_conversation"]

_MEDIA = ("image", "images", "audio", "audios", "video", "videos")
_PLAUSIBLE = 0.5
"""Share of the rows that another reading must understand to be worth a warning."""


def recognize(columns: Sequence[str], rows: Sequence[Row], labels: Labels | None = None) -> Format:
    """The format of a dataset by its columns and the values of some rows. Raises DatasetError naming what was found.

    `labels` are the names of a label column's numbers. Where several readings fit, the likeliest is taken and its
    warnings name the others.
    """
    if not rows:
        raise DatasetError("the dataset has no rows; give one with at least a few question and answer rows")
    found: list[tuple[float, Format]] = []
    for fmt in candidates(columns, rows, labels or {}):
        share = sum(_usable(row, fmt) for row in rows) / len(rows)
        sure = round(fmt.confidence * (0.1 + 0.9 * share), 3)
        reason = f"{fmt.reason}; {'all' if share == 1 else f'{share:.0%}'} of the first rows fit"
        found.append((share, dataclasses.replace(fmt, confidence=sure, reason=reason)))
    if not found:
        raise DatasetError(_refusal(columns))
    found.sort(key=lambda one: -one[1].confidence)
    best = found[0][1]
    others: dict[str, Format] = {}
    for share, fmt in found[1:]:
        if share >= _PLAUSIBLE and _says_otherwise(fmt, best):
            others.setdefault(fmt.name, fmt)
    if not others:
        return best
    listed = " or ".join(f"{fmt.name} ({_words(fmt)})" for fmt in list(others.values())[:3])
    warning = f"read as {best.name}; it could also be {listed}: set data.mapping to say which"
    said = tuple((fmt.name, fmt.mapping) for fmt in others.values() if _can_be_given(fmt, columns, rows, labels or {}))
    return dataclasses.replace(best, alternatives=tuple(others), readings=said, warnings=(warning, *best.warnings))


def given_format(
    columns: Sequence[str],
    rows: Sequence[Row],
    mapping: Mapping[str, str],
    prompt_template: str | None = None,
    completion_template: str | None = None,
    labels: Labels | None = None,
) -> Format:
    """The format that a person gave: `data.mapping` and the templates. Raises DatasetError naming column or row.

    A mapping may say what a recognized one does: `instruction+input` for two columns, `translation.en` for a part.
    """
    if not rows:
        raise DatasetError("the dataset has no rows; give one with at least a few question and answer rows")
    parts = {role: _parts(columns, column, f"data.mapping.{role}") for role, column in mapping.items()}
    templates = {"prompt": prompt_template, "completion": completion_template}
    for role, template in templates.items():
        for column in template_columns(template or ""):
            _require(columns, column, f"data.{role}_template")
    system, tools = mapping.get("system"), mapping.get("tools")
    if "messages" in mapping:
        read = _with_system(turn_reader(mapping["messages"], tools, read_any), system)
    elif not prompt_template and not completion_template:
        said = mapping["completion"]
        read = column_reader(parts["prompt"], said, system, (labels or {}).get(said, ()))
    else:
        read = _template_reader(mapping, templates, system)
    mapped = [part for found in parts.values() for part in found]
    read = _with_inner(read, [part for part in mapped if part not in columns])
    used = [*mapped, *template_columns(prompt_template or ""), *template_columns(completion_template or "")]
    said = dict(mapping) | {role: template for role, template in templates.items() if template}
    how = "data.mapping" if not (prompt_template or completion_template) else "data.prompt_template and such"
    name = "given: " + ("messages" if "messages" in mapping else "prompt/completion")
    fmt = Format(name, tuple(dict.fromkeys(used)), read, said, 1.0, f"{how} says so")
    return dataclasses.replace(fmt, warnings=_broken(rows, fmt, how))


def to_conversation(row: Row, fmt: Format, system: str | None = None) -> Conversation:
    """The row's conversation up to its last answer, `system` put in front when it has none. Raises RowProblem."""
    media = next((name for name in _MEDIA if row.get(name) not in (None, [], "")), None)
    if media and media not in fmt.columns:
        raise RowProblem(f"{media} beside the text: only text can be trained")
    turns = fmt.read(row)
    while turns and turns[-1]["role"] != "assistant":
        turns.pop()
    if not turns:
        raise RowProblem("no answer")
    if not any(turn["role"] == "user" for turn in turns):
        raise RowProblem("no question")
    if not turns[-1]["content"].strip() and not turns[-1].get("tool_calls"):
        raise RowProblem("empty answer")
    if system and turns[0]["role"] != "system":
        opening = Message(role="system", content=system)
        if tools := turns[0].pop("tools", None):
            opening["tools"] = tools
        turns.insert(0, opening)
    return turns


def rows_in(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows; one whose cells are whole columns (`{"0": ..., "1": ...}`, as pandas writes JSON) becomes many."""
    for row in rows:
        cells = {name: value for name, value in row.items() if value is not None}
        columns = {name: value for name, value in cells.items() if numbered(value)}
        if len(columns) != len(cells) or not cells or any(turn_like(next(iter(c.values()))) for c in columns.values()):
            yield row
            continue
        for key in sorted({key for column in columns.values() for key in column}, key=int):
            yield {name: column.get(key) for name, column in columns.items()}


def fill(template: str, row: Row) -> str:
    """The template with the row's cells in place of the columns' names. Raises RowProblem."""
    parts: list[str] = []
    for literal, name, _, _ in string.Formatter().parse(template):
        parts.append(literal)
        if name is not None:
            try:
                parts.append(cell(row.get(name)))
            except RowProblem as problem:
                raise RowProblem(f"{problem} in {name}") from problem
    return "".join(parts)


def _template_reader(
    mapping: Mapping[str, str], templates: Mapping[str, str | None], system: str | None
) -> Callable[[Row], Conversation]:
    def said(role: str, row: Row) -> str:
        template = templates[role]
        return fill(template, row) if template else cell(row.get(mapping[role]))

    return _with_system(lambda row: pair(said("prompt", row), said("completion", row)), system)


def _with_system(read: Callable[[Row], Conversation], system: str | None) -> Callable[[Row], Conversation]:
    def read_row(row: Row) -> Conversation:
        turns = read(row)
        value = row.get(system) if system else None
        if value in (None, "") or (turns and turns[0]["role"] == "system"):
            return turns
        return [Message(role="system", content=cell(value)), *turns]

    return read_row if system else read


def _parts(columns: Sequence[str], said: str, field: str) -> list[str]:
    """The columns that a mapping's word names: one, several joined by `+`, or a part of one behind a dot."""
    if said in columns:
        return [said]
    if "+" in said:
        return [part for one in said.split("+") for part in _parts(columns, one, field)]
    if said.rpartition(".")[0] not in columns:
        _require(columns, said, field)
    return [said]


def _with_inner(read: Callable[[Row], Conversation], inner: Sequence[str]) -> Callable[[Row], Conversation]:
    """Reads rows to which the `inner` parts of columns were added as columns of their own."""

    def part(row: Row, name: str) -> Any:
        column, _, key = name.rpartition(".")
        value = row.get(column)
        return value.get(key) if isinstance(value, Mapping) else None

    return (lambda row: read({**row, **{name: part(row, name) for name in inner}})) if inner else read


def _require(columns: Sequence[str], column: str, field: str) -> None:
    if column not in columns:
        close = difflib.get_close_matches(column, [str(one) for one in columns], n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has: {', '.join(map(str, columns)) or 'none'}"
        raise DatasetError(f"{field}: the dataset has no column {column}; {hint}")


def _broken(rows: Sequence[Row], fmt: Format, how: str) -> tuple[str, ...]:
    """A warning about the first row that a given format cannot read. Raises DatasetError when it can read none."""
    problems: list[tuple[int, RowProblem]] = []
    for number, row in enumerate(rows, start=1):
        try:
            to_conversation(row, fmt)
        except RowProblem as problem:
            problems.append((number, problem))
    if not problems:
        return ()
    number, problem = problems[0]
    said = f"{how}: row {number} cannot be used: {problem}"
    if len(problems) == len(rows):
        raise DatasetError(f"{said}{problem.hint}, and so are all of the first {len(rows)} rows; choose other columns")
    return (f"{said} ({len(problems)} of the first {len(rows)} rows)",)


def _usable(row: Row, fmt: Format) -> bool:
    try:
        to_conversation(row, fmt)
    except RowProblem:
        return False
    return True


def _says_otherwise(fmt: Format, best: Format) -> bool:
    """Whether another reading is about other columns, or the same ones in another order; not only about fewer."""
    same = set(fmt.columns) <= set(best.columns)
    return not same or (fmt.columns == best.columns and fmt.mapping != best.mapping)


def _can_be_given(fmt: Format, columns: Sequence[str], rows: Sequence[Row], labels: Labels) -> bool:
    """Whether `data.mapping` can ask for this reading, and gives the same conversations."""
    if not {"prompt", "completion"} <= set(fmt.mapping) and "messages" not in fmt.mapping:
        return False
    try:
        given = given_format(columns, rows, fmt.mapping, labels=labels)
        return all(to_conversation(row, given) == to_conversation(row, fmt) for row in rows if _usable(row, fmt))
    except (DatasetError, RowProblem):
        return False


def _words(fmt: Format) -> str:
    return ", ".join(f"{role}={column}" for role, column in fmt.mapping.items())


def _refusal(columns: Sequence[Any]) -> str:
    found = ", ".join(map(str, columns)) or "none"
    if "text" in columns:
        return (
            f"the dataset has plain text only (columns: {found}), so there is no answer to learn; give columns such as "
            "`messages`, or `prompt` and `completion`, or say with data.mapping which they are"
        )
    return (
        f"no usable columns: found {found}; expected `messages`, `conversations`, `prompt` and `completion`, "
        "`instruction` and `output`, or `question` and `answer`; data.mapping says which columns are which"
    )
