"""Blind votes: what a person is shown, without being told whose it is, and the file that votes are kept in.

Votes lie in `votes.jsonl` beside the logs, one line each, only ever added to. Knows logs; nothing of what votes mean.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.compare import asked_of
from evals.errors import LogError
from evals.log import EvalLog, Sample, read_log
from evals.samples import answers_hash

FILE = "votes.jsonl"
TIE = "tie"


Key = tuple[str, str, tuple[str, str]]
"""What is voted on: a task, a sample's id, and two sides in the order of their names."""
Choice = Literal["first", "second", "tie", "bad", "withdrawn"]


class Vote(BaseModel):
    """What one person said of two answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    """The task's name."""
    id: str
    """The sample's id."""
    first: str
    """The side whose answer stood first."""
    second: str
    """The other one."""
    answers: str = ""
    """A hash over question and answers: the vote counts as long as the logs hold these."""
    choice: Choice
    """Which was called better; tie: both are as good; bad: neither is any good, which counts as a tie; withdrawn: what
    the voter said of it before counts no more."""
    seen: bool = False
    """The voter was then told whose answers they are: what is said of the same answers later does not count."""
    voter: str = ""
    """Who voted; one vote of each counts for a sample and two sides."""
    time: str
    """When: ISO 8601, UTC."""

    @property
    def sides(self) -> tuple[str, str]:
        """The two, in the order of their names."""
        return ordered(self.first, self.second)

    @property
    def key(self) -> Key:
        """What is voted on."""
        return self.task, self.id, self.sides

    @property
    def winner(self) -> str:
        """The side that was called better, or tie."""
        return {"first": self.first, "second": self.second}.get(self.choice, TIE)


@dataclass(frozen=True)
class Ballot:
    """Two answers to one question, to be voted on."""

    task: str
    id: str
    prompt: str
    expected: str
    first: str
    """The side whose answer stands first; not to be shown."""
    second: str
    first_text: str
    second_text: str
    answers: str
    """A hash over question and answers."""

    @property
    def key(self) -> Key:
        """What is voted on."""
        return self.task, self.id, ordered(self.first, self.second)

    def vote(self, choice: Choice, voter: str = "") -> Vote:
        """The vote for a choice, now."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Vote(
            task=self.task,
            id=self.id,
            first=self.first,
            second=self.second,
            answers=self.answers,
            choice=choice,
            voter=voter,
            time=now,
        )


def ballots(folder: Path, sides: Sequence[str] = ("base", "tuned"), voter: str = "") -> list[Ballot]:
    """What a person can still vote on of an evaluation: `all_ballots` without those on which the voter has voted,
    unless the question or an answer is another since.

    Args:
        folder: where `run` put its logs.
        sides: at least two; two are compared on the tasks that both were asked.
        voter: who is to vote.

    Raises:
        LogError: a log is missing or damaged, or no task has written answers of these sides.
    """
    done = {(vote.key, vote.answers) for vote in standing(read_votes(folder)) if vote.voter == voter}
    return [ballot for ballot in all_ballots(folder, sides, voter) if (ballot.key, ballot.answers) not in done]


def all_ballots(folder: Path, sides: Sequence[str] = ("base", "tuned"), voter: str = "") -> list[Ballot]:
    """Everything that a person can vote on, in an order that has nothing to do with the answers.

    Samples whose answers are the same text are left out. With more than two sides every two are compared. Which answer
    stands first depends on a hash. Raises LogError as `ballots` does.
    """
    found: list[Ballot] = []
    tasks = 0
    for task, asked in asked_of(folder).sides.items():
        logs = {side: read_log(folder / task / f"{side}.json") for side in sides if side in asked}
        if len(logs) < 2 or next(iter(logs.values())).spec.kind == "choice":
            continue
        tasks += 1
        for one, other in combinations(logs.values(), 2):
            found += _ballots(one, other, voter)
    if not tasks:
        raise LogError(
            f"{folder}: no task with written answers of {' and '.join(sides)}; name a folder that run filled"
        )
    return sorted(found, key=lambda one: _hash("order", one.task, one.id, one.first_text, one.second_text))


def answers_now(folder: Path, keys: Iterable[Key]) -> dict[Key, str]:
    """The hashes of what the logs of an evaluation hold for these keys; none for what they hold no more.

    Raises:
        LogError: a log is missing or damaged.
    """
    asked = asked_of(folder).sides
    samples: dict[tuple[str, str], dict[str, Sample]] = {}
    found: dict[Key, str] = {}
    for key in dict.fromkeys(keys):
        task, sample, sides = key
        for side in sides:
            if side in asked.get(task, ()) and (task, side) not in samples:
                log = read_log(folder / task / f"{side}.json")
                samples[task, side] = {one.id: one for one in log.samples}
        answers = {side: samples[task, side][sample] for side in sides if sample in samples.get((task, side), {})}
        if len(answers) == len(sides):
            found[key] = answers_hash(answers)
    return found


def _ballots(one: EvalLog, other: EvalLog, voter: str) -> list[Ballot]:
    answers = {sample.id: sample for sample in other.samples}
    found: list[Ballot] = []
    for sample in one.samples:
        second = answers.get(sample.id)
        if second is None or not _can_be_compared(sample, second):
            continue
        shown = [(one.which, sample.output), (other.which, second.output)]
        if _hash("first", voter, one.spec.task, sample.id, one.which, other.which) < "8":
            shown.reverse()
        found.append(
            Ballot(
                task=one.spec.task,
                id=sample.id,
                prompt=sample.prompt,
                expected=" | ".join(sample.expected),
                first=shown[0][0],
                second=shown[1][0],
                first_text=shown[0][1],
                second_text=shown[1][1],
                answers=answers_hash({one.which: sample, other.which: second}),
            )
        )
    return found


def _can_be_compared(one: Sample, other: Sample) -> bool:
    return one.unscored is None and other.unscored is None and one.output.strip() != other.output.strip()


def add_vote(folder: Path, vote: Vote) -> None:
    """Add a vote to the folder's, in one write. Raises LogError if the disk refuses."""
    try:
        with (folder / FILE).open("ab") as file:
            if file.tell() and not _ends_whole(folder / FILE):
                file.write(b"\n")  # after one whose writer was cut off
            file.write(vote.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LogError(f"{folder / FILE}: the vote can't be written: {error.strerror or error}") from error


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_votes(folder: Path) -> list[Vote]:
    """All votes of a folder; a line that was cut off as it was written is left out. Raises LogError for others."""
    path = folder / FILE
    if not path.exists():
        return []
    votes: list[Vote] = []
    for number, line in enumerate(lines(path), start=1):
        try:
            votes.append(Vote.model_validate_json(line))
        except ValidationError as error:
            if not _is_json(line):
                continue
            raise LogError(f"{path}:{number}: not a vote: {error.errors()[0]['msg']}") from error
    return votes


def standing(votes: Iterable[Vote]) -> list[Vote]:
    """What each voter thinks now of each two answers: the last that was said, and nothing where that was withdrawn.

    Once a voter was told whose answers they are, what was said until then stays.
    """
    last: dict[tuple[str, Key, str], Vote] = {}
    for vote in votes:
        place = (vote.voter, vote.key, vote.answers)
        if place not in last or not last[place].seen:
            last.pop(place, None)  # so that the newest comes last
            last[place] = vote
    return [vote for vote in last.values() if vote.choice != "withdrawn"]


def lines(path: Path) -> list[str]:
    """The lines of a file that are not empty. Raises LogError if it can't be read."""
    try:
        return [line for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
    except OSError as error:
        raise LogError(f"{path}: can't be read: {error.strerror or error}") from error


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def ordered(one: str, other: str) -> tuple[str, str]:
    """Two sides in the order of their names."""
    return (one, other) if one <= other else (other, one)


def _hash(*texts: str) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
