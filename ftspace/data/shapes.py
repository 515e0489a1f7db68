"""The shapes that datasets come in: candidates for how to read one, by its columns and some values. Knows no files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ftspace.data.cells import RowProblem, cell, numbered, unfold
from ftspace.data.columns import Format, Labels, Row, column_shapes, find, opening, spoken, system_column
from ftspace.data.messages import (
    Conversation,
    is_transcript,
    is_tree,
    named_speakers,
    pair,
    read_alternating,
    read_transcript,
    read_tree,
    read_turns,
    turn_like,
)
from ftspace.data.tools import read_tools

_TURNS = {"messages": 0.98, "conversations": 0.97}
"""Columns that are taken for turns whatever they hold, and how sure that is."""
_DIALOGUES = ("conversation", "dialogue", "dialog", "chat", "turns", "data", "utterances", "history")
"""Columns whose lists of plain texts are taken for turns."""
_NO_TURNS = {"chosen", "rejected", "prompt", "completion", "tools", "functions", "choices", "answers", "replies"}


def candidates(columns: Sequence[str], rows: Sequence[Row], labels: Labels) -> Iterator[Format]:
    """All readings that the columns allow, the likeliest first. Their confidence speaks of columns only."""
    yield from _turn_columns(columns, rows)
    yield from _preferences(columns, rows)
    yield from _trees(columns, rows)
    yield from column_shapes(columns, rows, labels)
    yield from _translations(rows, columns)
    yield from _transcripts(columns, rows)


def turn_reader(column: str, tools: str | None, read: Callable[[Any], Conversation]) -> Callable[[Row], Conversation]:
    """Reads a column of turns, with the functions in the column `tools` put on the first turn."""

    def read_row(row: Row) -> Conversation:
        turns = read(row.get(column))
        given = row.get(tools) if tools else None
        if given and turns and (listed := read_tools(given)):
            turns[0]["tools"] = listed
        return turns

    return read_row


def _turn_columns(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Format]:
    for known, sure in _TURNS.items():
        if column := find(columns, known):
            yield _turns(column, sure, columns, rows)
    for column in columns:
        lowered = str(column).strip().lower()
        if lowered in _TURNS or lowered in _NO_TURNS:
            continue
        value = next((row[column] for row in rows if row.get(column)), None)
        unfolded = unfold(value)
        if not isinstance(unfolded, list) or not unfolded:
            continue
        known = lowered in _DIALOGUES
        if turn_like(unfolded[0]):
            yield _turns(column, 0.7 if lowered == "history" else 0.96 if known else 0.85, columns, rows)
        elif known and (_all(unfolded, str, 2) or all(_all(one, str, 2) and len(one) == 2 for one in unfolded)):
            yield Format(
                name=f"turns as plain texts ({column})",
                columns=(column,),
                read=turn_reader(column, None, read_alternating),
                mapping={"messages": column},
                confidence=0.6 if lowered == "history" else 0.8,
                reason=f"`{column}` holds lists of texts, read as turns of user and assistant by turns",
                warnings=(f"`{column}` does not say who speaks: the first turn is taken for the user's",),
            )


def _turns(column: str, sure: float, columns: Sequence[str], rows: Sequence[Row]) -> Format:
    names = {"messages": "messages", "conversations": "conversations (ShareGPT)"}
    tools = find(columns, "tools") or find(columns, "functions")
    guessed = any(named_speakers(row.get(column)) for row in rows)
    said = f"`{column}` holds lists of turns that say who speaks"
    return Format(
        name=names.get(str(column).strip().lower(), f"turns ({column})"),
        columns=(column, *([tools] if tools else [])),
        read=turn_reader(column, tools, read_turns),
        mapping={"messages": column} | ({"tools": tools} if tools else {}),
        confidence=sure - (0.15 if guessed else 0),
        reason=said + (f"; `{tools}` are the functions they may call" if tools else ""),
        warnings=("speakers are named: whoever speaks first is taken for the user",) if guessed else (),
    )


def _preferences(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Format]:
    chosen, rejected = find(columns, "chosen"), find(columns, "rejected")
    if chosen is None or rejected is None:
        return
    ask = next((found for name in ("prompt", "question", "instruction", "input") if (found := find(columns, name))), "")
    system = system_column(columns, rows, [ask, chosen])

    def read(row: Row) -> Conversation:
        value = row.get(chosen)
        if isinstance(value, str) and is_transcript(value):
            return read_transcript(value)
        turns = spoken(value, "assistant")
        if any(turn["role"] == "user" for turn in turns) or not ask:
            return turns
        asked = spoken(row.get(ask), "user")
        return (asked if asked[0]["role"] == "system" else opening(row, system) + asked) + turns

    mapping = ({"prompt": ask} if ask else {}) | {"completion": chosen} | ({"system": system} if system else {})
    yield Format(
        name=f"{f'{ask}/' if ask else ''}chosen/rejected",
        columns=tuple(mapping.values()),
        read=read,
        mapping=mapping,
        confidence=0.955,
        reason=f"`{chosen}` and `{rejected}` are two answers to one question",
        warnings=(f"the answers in `{chosen}` are trained; those in `{rejected}` are not used",),
    )


def _trees(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Format]:
    said = ("only one path of each tree is trained: at every turn the best ranked reply, or the first",)
    for column in columns:
        if any(is_tree(row.get(column)) for row in rows):
            reader = turn_reader(column, None, read_tree)
            why = f"`{column}` holds turns with their replies in them"
            yield Format(f"tree of replies ({column})", (column,), reader, {"messages": column}, 0.9, why, said)
    if {"text", "role", "replies"} <= set(columns):
        whole = ("text", "role", "replies")
        why = "rows are turns with their `replies` in them"
        yield Format("tree of replies", whole, read_tree, {"messages": "replies"}, 0.9, why, said)


def _translations(rows: Sequence[Row], columns: Sequence[str]) -> Iterator[Format]:
    for column in columns:
        value = next((row[column] for row in rows if row.get(column)), None)
        if not isinstance(value, Mapping) or len(value) < 2 or numbered(value):
            continue
        tongues = [key for key in value if isinstance(key, str) and 2 <= len(key) <= 7 and key.islower()]
        named = str(column).strip().lower() == "translation"
        if len(tongues) != len(value) or not (named or all(len(key) == 2 for key in tongues)):
            continue
        if not all(isinstance(one, str) for one in value.values()):
            continue
        for first, second, sure in ((tongues[0], tongues[1], 0.8), (tongues[1], tongues[0], 0.7)):
            yield Format(
                name=f"translation {first} to {second}",
                columns=(column,),
                read=_translation_reader(column, first, second),
                mapping={"prompt": f"{column}.{first}", "completion": f"{column}.{second}"},
                confidence=sure,
                reason=f"`{column}` holds a text in {' and '.join(tongues)}",
                warnings=(f"the question is the bare text in {first}; give data.system to say what to do with it",),
            )


def _translation_reader(column: str, first: str, second: str) -> Callable[[Row], Conversation]:
    def read(row: Row) -> Conversation:
        value = row.get(column)
        if not isinstance(value, Mapping):
            raise RowProblem("no translation")
        return pair(cell(value.get(first)), cell(value.get(second)))

    return read


def _transcripts(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[Format]:
    for name in ("text", "chat", "conversation", "transcript"):
        column = find(columns, name)
        if column and any(is_transcript(row.get(column)) for row in rows):
            yield Format(
                name=f"transcript ({column})",
                columns=(column,),
                read=turn_reader(column, None, read_transcript),
                mapping={"messages": column},
                confidence=0.75,
                reason=f"`{column}` holds texts in which names such as Human: and Assistant: begin the turns",
                warnings=(
                    "turns were found by the names that begin them: look whether they are cut where they should",
                ),
            )


def _all(value: Any, kind: type, at_least: int) -> bool:
    return isinstance(value, list) and len(value) >= at_least and all(isinstance(one, kind) for one in value)
