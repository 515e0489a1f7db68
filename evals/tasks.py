"""What to ask: a task is a name, a kind and samples, read from a JSONL file, made of conversations, or LightEval's own.

Knows nothing of models or scores. A task is named by its file, by the name of a bundled suite (`general`,
`instructions`), or as LightEval names it with the number of solved examples before each question: `mmlu:anatomy|5`.
All rows of a file are of one kind, told by their keys:

    generation  {"question": "..."} or {"messages": [...]}, "answer": "..." or ["...", "..."]
    choice      {"question": ..., "choices": ["...", "..."], "answer": index or text, "raw": true?}
    checks      {"question": ..., "checks": {"regex": "..."} and/or {"json_schema": {...}}}

Any row may have `system` (a system message), `group` (samples that belong together and depend on each other) and
`category` (what kind of question it is, to break scores down by). `raw` asks without a chat template: the question is a
text, and the choices go on with it and carry their own leading space.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from evals.errors import TaskError
from evals.log import Kind
from evals.samples import Checks, Message, Strict, TaskSample, WrittenRow, short_hash

__all__ = [
    "Benchmark",
    "Checks",
    "Message",
    "Task",
    "TaskSample",
    "check_task",
    "load_task",
    "load_tasks",
    "parse_task",
    "resolve_tasks",
]

SUITES = ("general", "instructions")
"""The tasks in `evals/suite`, known by their names: what any base model can do, to see what tuning loses."""
_SUITE = Path(__file__).parent / "suite"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Benchmark(Strict):
    """Which of LightEval's tasks a task is, and how that one is asked."""

    names: tuple[str, ...]
    """LightEval's names: one, or those of a group that is asked as one task."""
    few_shot: int
    """Solved examples before each question."""
    max_new_tokens: int | None
    """The longest answer, in tokens; None where LightEval names none."""
    stop: tuple[str, ...]
    """Texts that end an answer and are no part of it."""
    metrics: tuple[str, ...]
    """LightEval's metrics of it that can be computed here."""


class Task(Strict):
    """A named list of samples of one kind."""

    name: str
    """Letters, digits, dot, dash and underscore: it names a folder."""
    kind: Kind
    """How it is asked and scored."""
    samples: tuple[TaskSample, ...]
    """At least one."""
    role: Literal["gain", "forgetting"] = "gain"
    """Whether it is asked for what tuning gives or for what it loses."""
    benchmark: Benchmark | None = None
    """Which of LightEval's tasks it is; None for tasks of our own."""

    @property
    def content_hash(self) -> str:
        """Sixteen hex digits over kind and samples, in order; names, labels and what was trained on play no part."""
        if self.benchmark is not None:
            asked = [sample.model_dump(mode="json", exclude={"overlap", "category"}) for sample in self.samples]
            return short_hash([self.kind, asked, self.benchmark.model_dump(mode="json")])
        return short_hash(
            [
                self.kind,
                [one.model_dump(mode="json", exclude={"overlap", "category", "document"}) for one in self.samples],
            ]
        )

    @property
    def few_shot(self) -> int:
        """How many solved examples of its own the task puts before each question."""
        return 0 if self.benchmark is None else self.benchmark.few_shot

    @property
    def question_texts(self) -> tuple[str, ...]:
        """What is asked, in order, without solved examples before it."""
        return tuple(sample.question for sample in self.samples)

    def answer_tokens(self, longest: int) -> int:
        """Return the longest answer in tokens: the task's own, or `longest` where it names none."""
        return longest if self.benchmark is None else self.benchmark.max_new_tokens or longest

    def head(self, limit: int | None) -> "Task":
        """Return the task with its first `limit` samples, or itself when there is no limit."""
        return self if limit is None else self.model_copy(update={"samples": self.samples[:limit]})

    @classmethod
    def from_messages(
        cls, name: str, rows: Iterable[Sequence[Mapping[str, Any]]], overlap: Collection[int] = ()
    ) -> "Task":
        """Make a generation task of conversations: the last assistant turn is the answer, those before it the prompt.

        Args:
            name: the task's name.
            rows: conversations, each a list of `{"role", "content"}`.
            overlap: the places of those that training rows repeat, from 0.

        Raises:
            TaskError: a conversation without a user turn before its last assistant turn; no rows; a bad name.
        """
        samples: list[TaskSample] = []
        for index, row in enumerate(rows):
            where = f"task {name}, conversation {index + 1}"
            turns = _conversation(row, where)
            last = max((i for i, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
            if last < 0 or not turns[last].content.strip():
                raise TaskError(f"{where}: no assistant turn with text, so there is nothing to compare an answer with")
            if not any(turn.role == "user" for turn in turns[:last]):
                raise TaskError(f"{where}: no user turn before the last assistant turn")
            asked, answers = turns[:last], (turns[last].content,)
            samples.append(TaskSample(messages=asked, answers=answers, overlap=index in overlap))
        return _task(name, "generation", samples, f"task {name}")


def _conversation(row: Sequence[Mapping[str, Any]], where: str) -> tuple[Message, ...]:
    try:
        return tuple(Message.model_validate(dict(turn)) for turn in row)
    except (ValidationError, TypeError, ValueError) as error:
        raise TaskError(f"{where}: {_why(error)}") from error


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained", "list[")))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"unknown key `{where}`"
    return f"`{where}`: {message}" if where else message


def _task(name: str, kind: Kind, samples: list[TaskSample], where: str) -> Task:
    if not _NAME.fullmatch(name):
        raise TaskError(f"{where}: a task's name may hold letters, digits, dot, dash and underscore; rename {name!r}")
    if not samples:
        raise TaskError(f"{where}: no rows")
    return Task(name=name, kind=kind, samples=tuple(samples))


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def parse_task(name: str, text: str, where: str) -> Task:
    """Read a task from the text of a JSONL file; empty lines are skipped.

    Args:
        name: the task's name.
        text: the file's text.
        where: how to name the file in messages.

    Raises:
        TaskError: with `where:line` and the reason.
    """
    samples: list[TaskSample] = []
    kind: Kind | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
            json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate can't be written to a log
            row = WrittenRow.model_validate(value)
            samples.append(row.sample())
        except json.JSONDecodeError as error:
            raise TaskError(f"{where}:{number}: not JSON: {error.msg} (column {error.colno})") from error
        except (ValidationError, ValueError, RecursionError) as error:
            raise TaskError(f"{where}:{number}: {_why(error)}") from error
        kind = kind or row.kind
        if row.kind != kind:
            raise TaskError(f"{where}:{number}: a {row.kind} row in a file of {kind} rows")
    return _task(name, kind or "generation", samples, where)


def load_task(path: Path) -> Task:
    """Read a task from a JSONL file named after it. Raises TaskError naming file and line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TaskError(f"{path}: there is no such task file") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    return parse_task(path.stem, text, str(path))


def load_tasks(paths: Sequence[Path]) -> list[Task]:
    """Read several task files, in order. Raises TaskError, also when two have one name."""
    return _of_different_names([load_task(path) for path in paths])


def resolve_tasks(
    names: Sequence[str], *, role: Literal["gain", "forgetting"] | None = None, online: bool = True
) -> list[Task]:
    """Return the tasks that a person named, in order.

    Args:
        names: paths of JSONL files, names of bundled suites, or LightEval's names (`gsm8k|4`, `arc:challenge`).
        role: what all of them are asked for; None: bundled suites for forgetting, others for what tuning gives.
        online: whether datasets may be fetched from the Hub; without, only those in its cache are found.

    Raises:
        TaskError: no such task, a file or a dataset that can't be read, or two tasks of one name.
    """
    tasks = [_resolve(name, online) for name in names]
    if role is not None:
        tasks = [task.model_copy(update={"role": role}) for task in tasks]
    return _of_different_names(tasks)


def check_task(name: str) -> None:
    """Raise TaskError for a name that no task has, or a file that is none; fetches nothing, and imports nothing heavy.

    A name that passes can still be refused when its task is loaded: its dataset is only looked for then.
    """
    if _path(name) is not None:
        _resolve(name, online=False)
        return
    from evals.lighteval.names import modules_of, parse_name, unknown

    asked, _ = parse_name(name)
    if not modules_of(asked):
        raise unknown(asked)


def _path(name: str) -> Path | None:
    """The file that a name stands for; None for one of LightEval's."""
    if name in SUITES:
        return _SUITE / f"{name}.jsonl"
    written = name.endswith((".jsonl", ".json")) or "/" in name.replace("\\", "/") or Path(name).is_file()
    return Path(name) if written else None


def _resolve(name: str, online: bool) -> Task:
    path = _path(name)
    if path is not None:
        return load_task(path).model_copy(update={"role": "forgetting"} if name in SUITES else {})
    from evals.lighteval import named_task  # LightEval takes long to import: only when one of its tasks is asked for

    return named_task(name, online=online)


def _of_different_names(tasks: list[Task]) -> list[Task]:
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise TaskError(f"two task files are named {name}: rename one, results are kept by name")
    return tasks
