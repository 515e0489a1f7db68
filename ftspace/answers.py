"""What a run's validations asked and measured: the newest answers beside those of the base. Pure functions."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from ftspace.state import RunState

_MEASURED = {"step", "loss", "token_accuracy", "score"}


@dataclass(frozen=True)
class Answered:
    """One of the sample questions, and how its answer has changed."""

    question: str
    reference: str
    first: str
    """The answer before the first step."""
    newest: str
    step: int
    """Steps done when the newest was given."""


def answered(state: RunState) -> list[Answered]:
    """The questions of the newest validation that asked any, in their order."""
    first = {one.index: one.answer for one in reversed(state.samples)}
    newest = {one.index: one for one in state.samples}
    return [
        Answered(one.prompt, one.reference, first[index], one.answer, one.step)
        for index, one in sorted(newest.items())
        if one.step == state.samples[-1].step
    ]


@dataclass(frozen=True)
class Change:
    """An answer that stayed the same from one validation to another."""

    since: int
    until: int
    answer: str


def changes(state: RunState, most: int = 12) -> list[list[Change]]:
    """How each question's answer changed, in the order of `answered`: the first answer and the newest ones."""
    found: dict[int, list[Change]] = {}
    for one in state.samples:
        told = found.setdefault(one.index, [])
        if told and told[-1].answer == one.answer:
            told[-1] = Change(told[-1].since, one.step, one.answer)
        else:
            told.append(Change(one.step, one.step, one.answer))
    newest = {one.index for one in state.samples if one.step == state.samples[-1].step}
    kept = [told for index, told in sorted(found.items()) if index in newest]
    return [told if len(told) <= most else [told[0], *told[1 - most :]] for told in kept]


def measured(state: RunState) -> dict[str, Any]:
    """Validations and sample answers as `--json` prints them."""
    return {
        "validations": [json.loads(one.model_dump_json(include=_MEASURED)) for one in state.validations],
        "samples": [asdict(one) for one in answered(state)],
    }
