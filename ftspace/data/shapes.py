"""The shapes that datasets come in: candidates for how to read one, by its columns and some values. Knows no files.

Nothing is added to what a row says: where a shape has no question in words (a dialogue to sum up, a text to label) the
question is the bare text, and a warning says how to give the words.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftspace.data.messages import (
    Conversation,
    Message,
    RowProblem,
    answer,
    cell,
    is_transcript,
    is_tree,
    named_speakers,
    numbered,
    pair,
    read_alternating,
    read_tools,
    read_transcript,
    read_tree,
    read_turns,
    turn_like,
    unfold,
)

Row = Mapping[str, Any]
Labels = Mapping[str, Sequence[str]]
"""The names of a label column's numbers, by column."""


@dataclass(frozen=True)
class Format:
    """A way of reading rows: its name for people, the columns that it reads, the reader, and how sure it is."""

    name: str
    columns: tuple[str, ...]
    read: Callable[[Row], Conversation]
    mapping: dict[str, str]
    """Which column is `messages`, or `prompt`, `completion`, `system`, `tools`."""
    confidence: float
    """From 0 to 1: how well columns and values fit."""
    reason: str
    """Why it is read so, in words."""
    warnings: tuple[str, ...] = ()
    """What a person should know or decide about this reading."""
    alternatives: tuple[str, ...] = ()
    """Other readings that the rows allow too."""


BARE = "bare"
LABEL = "label"
# name for people | what is asked, joined by an empty line | the answer | kind
_TABLE = """
prompt/completion | prompt | completion
instruction/input/output (Alpaca) | instruction input | output
instruction/context/response (Dolly) | instruction context | response
instruction/input/response | instruction input | response
instruction/input/output (Alpaca) | instruction | output
context+question+answers (SQuAD) | context question | answers
context+question+answer | context question | answer
passage+question+answer | passage question | answer
context+question+long answer | context question | long_answer
question/response | question | response
question/answer | question | answer
query/response | query | response
problem/solution | problem | solution
prompt/response | prompt | response
instruction/response | instruction | response
instruction/completion | instruction | completion
instruction/answer | instruction | answer
input/output | input | output
input/response | input | response
inputs/targets | inputs | targets
input/target | input | target
user/assistant | user | assistant
human/assistant | human | assistant
prompt/output | prompt | output
prompt/answer | prompt | answer
query/answer | query | answer
question/solution | question | solution
problem/generated_solution | problem | generated_solution
problem/answer | problem | answer
question/best_answer | question | best_answer
question/answers | question | answers
question/query | question | query
prompt/canonical_solution | prompt | canonical_solution
intent/snippet | intent | snippet
text/code | text | code
source/target | source | target
dialogue/summary | dialogue | summary | bare
document/summary | document | summary | bare
article/highlights | article | highlights | bare
article/summary | article | summary | bare
text/summary | text | summary | bare
premise+hypothesis/label | premise hypothesis | label | label
sentence1+sentence2/label | sentence1 sentence2 | label | label
title+content/label | title content | label | label
text/label | text | label_text | label
text/label | text | label | label
sentence/label | sentence | label | label
content/label | content | label | label
review/label | review | sentiment | label
"""
_MAY_BE_EMPTY = {"input", "context", "title"}
_SYSTEM = ("system_prompt", "system", "system_message")
_TURNS = {"messages": 0.98, "conversations": 0.97}
"""Columns that are taken for turns whatever they hold, and how sure that is."""
_DIALOGUES = ("conversation", "dialogue", "dialog", "chat", "turns", "data", "utterances", "history")
"""Columns whose lists of plain texts are taken for turns."""
_NO_TURNS = {"chosen", "rejected", "prompt", "completion", "tools", "functions", "choices", "answers", "replies"}


def find(columns: Sequence[str], name: str) -> str | None:
    """The column of this name; upper and lower case are the same where no column has the exact name."""
    return name if name in columns else next((one for one in columns if str(one).strip().lower() == name), None)


def candidates(columns: Sequence[str], rows: Sequence[Row], labels: Labels) -> Iterator[Format]:
    """All readings that the columns allow, the likeliest first. Their confidence speaks of columns only."""
    yield from _turn_columns(columns, rows)
    yield from _preferences(columns, rows)
    yield from _trees(columns, rows)
    for order, (name, ask, said, kind) in enumerate(_shapes()):
        found = [find(columns, one) for one in ask]
        to = find(columns, said)
        if to is not None and all(found):
            base = {BARE: 0.85, LABEL: 0.8}.get(kind, 0.95) - order / 1000
            yield _columns(name, [one for one in found if one], to, kind, base, columns, rows, labels)
    yield from _translations(rows, columns)
    yield from _transcripts(columns, rows)


def column_reader(
    ask: Sequence[str], said: str, system: str | None, names: Sequence[str] = ()
) -> Callable[[Row], Conversation]:
    """Reads the cells of `ask`, joined by an empty line, as the question and that of `said` as the answer."""

    def read(row: Row) -> Conversation:
        question, reply = row.get(ask[0]), row.get(said)
        first = _opening(row, system)
        if len(ask) == 1 and (isinstance(question, list) or isinstance(reply, list)) and not names:
            turns = _spoken(question, "user") + (
                _spoken(reply, "assistant") if turn_like(_first(reply)) else [_said(reply)]
            )
            return turns if turns[0]["role"] == "system" else first + turns
        parts: list[str] = []
        for name in ask:
            value = row.get(name)
            optional = len(ask) > 1 and str(name).strip().lower() in _MAY_BE_EMPTY
            if not (optional and value in (None, "")):
                parts.append(cell(value))
        return first + pair("\n\n".join(parts), _named(reply, names) if names else answer(reply))

    return read


def turn_reader(column: str, tools: str | None, read: Callable[[Any], Conversation]) -> Callable[[Row], Conversation]:
    """Reads a column of turns, with the functions in the column `tools` put on the first turn."""

    def read_row(row: Row) -> Conversation:
        turns = read(row.get(column))
        given = row.get(tools) if tools else None
        if given and turns and (listed := read_tools(given)):
            turns[0]["tools"] = listed
        return turns

    return read_row


def _shapes() -> list[tuple[str, list[str], str, str]]:
    lines = [[part.strip() for part in line.split("|")] for line in _TABLE.strip().splitlines()]
    return [(name, ask.split(), said, kind[0] if kind else "") for name, ask, said, *kind in lines]


def _columns(
    name: str,
    ask: list[str],
    said: str,
    kind: str,
    base: float,
    columns: Sequence[str],
    rows: Sequence[Row],
    labels: Labels,
) -> Format:
    warnings: list[str] = []
    answers = [row.get(said) for row in rows if row.get(said) is not None]
    names = labels.get(said, ())
    if kind and not names and kind == LABEL and answers and all(isinstance(one, int) for one in answers):
        warnings.append(f"the labels in `{said}` are numbers without names: the model learns to answer with the number")
    elif not names and answers and all(isinstance(one, int | float) for one in answers):
        warnings.append(f"the answers in `{said}` are no texts but values such as {answers[0]}: they are written out")
    if any(isinstance(one := _inner(value), list) and len(one) > 1 and not turn_like(one[0]) for value in answers):
        warnings.append(f"rows have several answers in `{said}`: the first one is trained")
    if kind:
        warnings.append(
            f"the question is the bare {' and '.join(f'`{one}`' for one in ask)}, with no word of what to do with it; "
            "give data.prompt_template or data.system to say it"
        )
    system = _system(columns, rows, [*ask, said])
    mapping = {"prompt": "+".join(ask), "completion": said} | ({"system": system} if system else {})
    listed = ", ".join(f"`{one}`" for one in ask)
    return Format(
        name=f"system+{name}" if system else name,
        columns=(*([system] if system else []), *ask, said),
        read=column_reader(ask, said, system, names),
        mapping=mapping,
        confidence=base,
        reason=f"{listed} {'are' if len(ask) > 1 else 'is'} what is asked, `{said}` is the answer",
        warnings=tuple(warnings),
    )


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
    tools = tools if tools and any(row.get(tools) for row in rows) else None
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
    system = _system(columns, rows, [ask, chosen])

    def read(row: Row) -> Conversation:
        value = row.get(chosen)
        if isinstance(value, str) and is_transcript(value):
            return read_transcript(value)
        turns = _spoken(value, "assistant")
        if any(turn["role"] == "user" for turn in turns) or not ask:
            return turns
        asked = _spoken(row.get(ask), "user")
        return (asked if asked[0]["role"] == "system" else _opening(row, system) + asked) + turns

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


def _system(columns: Sequence[str], rows: Sequence[Row], used: Sequence[str]) -> str | None:
    for name in _SYSTEM:
        column = find(columns, name)
        if column and column not in used and any(isinstance(row.get(column), str) and row[column] for row in rows):
            return column
    return None


def _opening(row: Row, system: str | None) -> Conversation:
    value = row.get(system) if system else None
    return [Message(role="system", content=cell(value))] if value not in (None, "") else []


def _spoken(value: Any, role: str) -> Conversation:
    """Turns where the cell holds some, else one turn of this role."""
    if isinstance(value, list | Mapping):
        return read_turns(value)
    return [Message(role=role, content=cell(value))]


def _said(value: Any) -> Message:
    return Message(role="assistant", content=answer(value))


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def _inner(value: Any) -> Any:
    return value.get("text") if isinstance(value, Mapping) else value


def _all(value: Any, kind: type, at_least: int) -> bool:
    return isinstance(value, list) and len(value) >= at_least and all(isinstance(one, kind) for one in value)


def _named(value: Any, names: Sequence[str]) -> str:
    """The name of a label's number. Datasets mark rows without a label with -1."""
    if isinstance(value, bool) or not isinstance(value, int):
        return cell(value)
    if not 0 <= value < len(names):
        raise RowProblem("no label")
    return names[value]
