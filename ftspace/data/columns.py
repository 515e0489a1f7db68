"""Datasets with a column for the question and one for the answer: a table of their names, and how such rows are read.

Nothing is added to what a row says: where a shape has no question in words (a dialogue to sum up, a text to label) the
question is the bare text, and a warning says how to give the words.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftspace.data.cells import RowProblem, answer, cell
from ftspace.data.messages import Conversation, Message, pair, read_turns, turn_like

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
    readings: tuple[tuple[str, dict[str, str]], ...] = ()
    """Those of them that `data.mapping` can say, each with that mapping."""


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


def find(columns: Sequence[str], name: str) -> str | None:
    """The column of this name; upper and lower case are the same where no column has the exact name."""
    return name if name in columns else next((one for one in columns if str(one).strip().lower() == name), None)


def column_shapes(columns: Sequence[str], rows: Sequence[Row], labels: Labels) -> Iterator[Format]:
    """All readings by a column of questions and one of answers, the likeliest first."""
    for order, (name, ask, said, kind) in enumerate(_shapes()):
        found = [find(columns, one) for one in ask]
        to = find(columns, said)
        if to is not None and all(found):
            base = {BARE: 0.85, LABEL: 0.8}.get(kind, 0.95) - order / 1000
            yield _columns(name, [one for one in found if one], to, kind, base, columns, rows, labels)


def column_reader(
    ask: Sequence[str], said: str, system: str | None, names: Sequence[str] = ()
) -> Callable[[Row], Conversation]:
    """Reads the cells of `ask`, joined by an empty line, as the question and that of `said` as the answer."""

    def read(row: Row) -> Conversation:
        question, reply = row.get(ask[0]), row.get(said)
        first = opening(row, system)
        if len(ask) == 1 and (isinstance(question, list) or isinstance(reply, list)) and not names:
            turns = spoken(question, "user") + (
                spoken(reply, "assistant") if turn_like(_first(reply)) else [_said(reply)]
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
    system = system_column(columns, rows, [*ask, said])
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


def system_column(columns: Sequence[str], rows: Sequence[Row], used: Sequence[str]) -> str | None:
    """The column of system prompts, if there is one with text that is not `used`."""
    for name in _SYSTEM:
        column = find(columns, name)
        if column and column not in used and any(isinstance(row.get(column), str) and row[column] for row in rows):
            return column
    return None


def opening(row: Row, system: str | None) -> Conversation:
    """The row's system prompt as a turn, if it has one."""
    value = row.get(system) if system else None
    return [Message(role="system", content=cell(value))] if value not in (None, "") else []


def spoken(value: Any, role: str) -> Conversation:
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


def _named(value: Any, names: Sequence[str]) -> str:
    """The name of a label's number. Datasets mark rows without a label with -1."""
    if isinstance(value, bool) or not isinstance(value, int):
        return cell(value)
    if not 0 <= value < len(names):
        raise RowProblem("no label")
    return names[value]
