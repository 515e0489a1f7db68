"""Solved examples before each question: what a base is prompted with. Knows tasks and chat templates, no models."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from evals.plan import Prompted
from evals.prompts import Prompter
from evals.tasks import Message, Task, TaskSample


@dataclass(frozen=True)
class Led:
    """A task with examples before its questions, and what had to be left out."""

    task: Task
    examples: int
    """So many are there: those that the task asks are none."""
    shortened: int
    """Questions before which not all of them fit."""
    fewest: int
    """Examples before the question that got fewest."""


def asked_with(prompted: Prompted) -> str:
    """Sixteen hex digits over the examples and the system message."""
    turns = [[turn.model_dump() for turn in example] for example in prompted.examples]
    text = json.dumps([prompted.system, turns], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def why_not(task: Task, prompted: Prompted) -> str | None:
    """Why a task can't be asked with examples; None when it can."""
    if any(sample.raw for sample in task.samples):
        return "its questions are texts to go on with, and the examples are conversations"
    if prompted.system is None and not _others(prompted.examples, task):
        return "all examples are among its questions"
    return None


def lead(task: Task, prompted: Prompted, prompter: Prompter, room: int | None) -> Led:
    """Put the examples before each question, as turns of the same conversation.

    An example that the task itself asks is never used, and system messages within examples are not repeated. Before a
    question that would not fit, examples are left out from the front.

    Args:
        task: what to ask, none of it raw.
        prompted: examples, and a system message for questions that have none.
        prompter: to see how long a prompt becomes.
        room: tokens for a prompt and the choice that goes on with it; None when there is no limit.

    Raises:
        TaskError: the chat template refuses the conversation.
    """
    examples = _others(prompted.examples, task)
    samples: list[TaskSample] = []
    counts: list[int] = []
    for sample in task.samples:
        own = [turn for turn in sample.messages if turn.role == "system"]
        first = own or ([Message(role="system", content=prompted.system)] if prompted.system is not None else [])
        question = [turn for turn in sample.messages if turn.role != "system"]
        after = max((len(prompter.tokenizer.encode(one)) for one in sample.choices), default=0)
        left = list(examples)
        while True:
            turns = (*first, *(turn for example in left for turn in example), *question)
            prompt = prompter.render([turn.model_dump() for turn in turns])
            if not left or room is None or len(prompter.encode(prompt)) + after <= room:
                break
            left = left[1:]
        counts.append(len(left))
        samples.append(sample.model_copy(update={"messages": turns}))
    return Led(
        task=task.model_copy(update={"samples": tuple(samples)}),
        examples=len(examples),
        shortened=sum(count < len(examples) for count in counts),
        fewest=min(counts),
    )


def _others(examples: Sequence[Sequence[Message]], task: Task) -> list[list[Message]]:
    """Examples whose question the task does not ask, without their system messages."""
    asked = {_question(sample.messages) for sample in task.samples}
    return [[turn for turn in one if turn.role != "system"] for one in examples if _question(one) not in asked]


def _question(turns: Sequence[Message]) -> str:
    """The last thing that the user says, whatever its case and spaces."""
    said = [turn.content for turn in turns if turn.role == "user"]
    return " ".join(said[-1].casefold().split()) if said else ""
