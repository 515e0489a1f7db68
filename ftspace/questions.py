"""Questions to ask several models at once: typed, from a file, of a run, or kept under a name. Asks nobody.

One question a line, or JSON Lines as a task's file has them, whose rows may lack an answer. Knows no screen.
"""

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.errors import EvalError as TaskProblem
from evals.errors import LogError
from evals.log import read_log
from evals.samples import Checks, TaskSample, WrittenRow
from evals.scorers.exact import contains, exact_match
from evals.tasks import SUITES, resolve_tasks
from ftspace.access import Visitor
from ftspace.data.messages import Conversation
from ftspace.data.prepare import read_split
from ftspace.errors import DatasetError, DiskError
from ftspace.preflight import HELDOUT
from ftspace.runs import Run
from ftspace.settings import resolve_local

AT_ONCE = 50
"""Most questions of one round."""
LONGEST = 20_000
"""Most letters of a question."""
SETS, IN_A_SET = 50, 200
"""Most sets of one visitor, and most questions of a set."""
_LOOKED_AT = 200
_BYTES = 2_000_000
_NAME = re.compile(r"[\w][\w .()+-]{0,58}[\w)]|\w")


class Question(BaseModel):
    """One question, with what is known of its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str
    answers: tuple[str, ...] = ()
    """Accepted answers; none where none is known."""
    system: str | None = None
    """A system prompt of its own."""
    checks: Checks | None = None
    """What an answer must satisfy."""

    @property
    def expected(self) -> str:
        """What is expected, in words; "" where nothing is."""
        return " / ".join(self.answers) or (self.checks.describe() if self.checks else "")

    def is_right(self, answer: str) -> bool | None:
        """Whether an answer is, or holds, an accepted one, or passes the checks; None where nothing is expected."""
        if self.checks is not None:
            from evals.scorers.checks import passes  # its library takes a while

            with suppress(ValueError):
                return passes(answer.strip(), regex=self.checks.regex, json_schema=self.checks.json_schema)
            return None
        return bool(exact_match(answer, self.answers) or contains(answer, self.answers)) if self.answers else None


def lines(text: str) -> list[Question]:
    """The questions in a text, one a line. Raises DatasetError for one that is too long."""
    return [_checked(Question(question=line.strip())) for line in text.splitlines() if line.strip()]


def read_file(path: Path) -> list[Question]:
    """The questions in a file: JSON Lines where its name says so, else one a line. Raises DatasetError."""
    try:
        if path.stat().st_size > _BYTES:
            raise DatasetError(f"{path.name} has more than {_BYTES / 1e6:.0f} MB; give a part of it")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path.name} is no text in UTF-8; save it as that") from error
    if path.suffix.lower() not in (".jsonl", ".json", ".ndjson"):
        return lines(text)
    rows = text.split("\n")  # a string in JSON may hold the other ends of lines as they are
    return [_of_line(line, f"{path.name}, line {n}") for n, line in enumerate(rows, 1) if line.strip()]


def _of_line(line: str, where: str) -> Question:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f'{where}: no JSON; write a row like {{"question": "..."}}') from error
    try:
        return _checked(_of_row(row))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DatasetError(f"{where}: {'.'.join(map(str, first['loc']))} {first['msg']}") from error
    except ValueError as error:
        raise DatasetError(f"{where}: {error}") from error


def _of_row(row: Any) -> Question:
    if isinstance(row, str):
        return Question(question=row)
    if not isinstance(row, dict):
        raise ValueError('a row is {"question": "..."}')
    given: dict[str, Any] = row
    if "answers" in given:
        return Question.model_validate(given)
    if any(given.get(name) is not None for name in ("answer", "choices", "checks")):
        found = of_sample(WrittenRow.model_validate(given).sample())
    elif "messages" in given:
        found = of_conversation(given["messages"])
    else:
        found = Question.model_validate(given)
    if found is None:
        raise ValueError("only questions of one turn can be asked here")
    return found


def _checked(question: Question) -> Question:
    if not question.question.strip():
        raise DatasetError("a question is empty")
    if len(question.question) > LONGEST:
        raise DatasetError(f"a question has more than {LONGEST:,} letters; shorten it")
    return question


def of_sample(sample: TaskSample) -> Question | None:
    """A task's sample as a question; None for one of several turns."""
    turns = [(turn.role, turn.content) for turn in sample.messages]
    system = turns[0][1] if turns[0][0] == "system" else None
    asked = [text for role, text in turns if role != "system"]
    if len(asked) != 1:
        return None
    return Question(question=asked[0], answers=sample.answers, system=system, checks=sample.checks)


def of_conversation(turns: Conversation | Sequence[dict[str, Any]]) -> Question | None:
    """A dataset's row as a question, its answer the expected one; None for one of several turns."""
    asked = [turn for turn in turns if turn.get("role") != "system"]
    roles = [turn.get("role") for turn in asked]
    if roles not in (["user"], ["user", "assistant"]):
        return None
    system = next((str(turn["content"]) for turn in turns if turn.get("role") == "system"), None)
    return Question(
        question=str(asked[0]["content"]), answers=tuple(str(one["content"]) for one in asked[1:]), system=system
    )


def kept_back(run: Run, visitor: Visitor) -> Iterator[Question]:
    """Questions of one turn in the run's test split.

    To those who may only look, no others than the evaluation asked, which its log shows them anyway.
    """
    if visitor.may_change(run.access):
        yield from _test_split(run)
        return
    try:
        asked = [(sample.prompt, sample.expected) for sample in read_log(run.evals / HELDOUT / "base.json").samples]
    except LogError:
        return
    for one in _test_split(run):
        if any(one.question.strip() in prompt and set(one.answers) <= set(expected) for prompt, expected in asked):
            yield one


def _test_split(run: Run) -> Iterator[Question]:
    try:
        for conversation in islice(read_split(run.data, "test"), _LOOKED_AT):
            found = of_conversation(conversation)
            if found is not None and found.answers:
                yield found
    except OSError:
        return


def own_tasks(run: Run, visitor: Visitor) -> dict[str, str]:
    """The run's tasks that lie in files, for its owner: what each is called, and its file."""
    if not visitor.may_change(run.access):
        return {}
    chosen = run.config.eval
    found = {Path(name).stem: name for name in (*chosen.tasks, *chosen.forgetting) if name.endswith(".jsonl")}
    return {name: path for name, path in found.items() if resolve_local(path) is not None}


def of_task(name: str) -> list[Question]:
    """The questions of a bundled suite or of a task's file. Raises DatasetError."""
    try:
        place = name if name in SUITES else str(resolve_local(name) or name)
        task = resolve_tasks([place], online=False)[0]
    except TaskProblem as error:
        raise DatasetError(str(error)) from error
    return [found for sample in task.samples if (found := of_sample(sample)) is not None]


def answers_only(questions: Iterable[Question]) -> list[Question]:
    """Questions without the checks that somebody wrote: judging by them could keep this process busy for ever."""
    return [one.model_copy(update={"checks": None}) for one in questions]


class PromptSets:
    """The sets of questions that one visitor kept, each under a name."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when the first set is kept."""
        self.folder = folder

    def names(self) -> list[str]:
        """The names, in order."""
        return sorted(path.stem for path in self.folder.glob("*.jsonl") if _NAME.fullmatch(path.stem))

    def read(self, name: str) -> list[Question]:
        """The questions of a name. Raises DatasetError when there is no such set."""
        return read_file(self._path(name))

    def keep(self, name: str, questions: Iterable[Question]) -> str:
        """Keeps questions under a name, in place of those that had it; the name as it is written.

        Raises DatasetError for a name or questions that could not be read again, DiskError.
        """
        kept, path = [_checked(one) for one in questions], self._path(name)
        if not 0 < len(kept) <= IN_A_SET:
            raise DatasetError(f"a set has 1 to {IN_A_SET} questions, not {len(kept):,}")
        rows = "".join(one.model_dump_json() + "\n" for one in kept).encode()
        if len(rows) > _BYTES:
            raise DatasetError(f"a set has no more than {_BYTES / 1e6:.0f} MB; keep a part of it")
        if not path.exists() and len(self.names()) >= SETS:
            raise DatasetError(f"{SETS} sets are kept, and no more; delete one first")
        beside = self.folder / f".{secrets.token_hex(8)}"
        try:
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(rows)
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise DiskError(f"{name} cannot be kept in {self.folder}: {error.strerror}; make room") from error
        return path.stem

    def delete(self, name: str) -> None:
        """Removes a set, if it is there. Raises DatasetError, DiskError."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise DiskError(f"{name} cannot be deleted: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        plain = " ".join(name.split())
        if not _NAME.fullmatch(plain):
            raise DatasetError("a set's name has 1 to 60 letters, digits, spaces, dots and dashes; choose another")
        return self.folder / f"{plain}.jsonl"
