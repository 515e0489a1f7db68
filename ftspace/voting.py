"""Blind votes on a run's answers: what one person is shown next, and what a vote changes. Knows no screen.

The app and `ftspace runs vote` keep votes in the same file, by the same functions of evals.arena. What is shown of a
ballot (`Paper`) says nowhere whose answer stands first, and neither does its token.
"""

import argparse
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from evals.arena.tally import Tally, tally, with_proof
from evals.arena.votes import Ballot, Choice, Vote, add_vote, all_ballots, read_votes, standing
from evals.compare import asked_of
from evals.errors import EvalError, LogError
from evals.log import read_log
from evals.plan import BASE, TUNED
from evals.results import read_results, write_results
from evals.samples import short_hash
from evals.table import write_tables
from ftspace.access import LOCAL
from ftspace.errors import JobError
from ftspace.report.pairs import stamp_of, strip_frame
from ftspace.runs import Run, RunStore, take_lock


@dataclass(frozen=True)
class Paper:
    """Two answers as a voter sees them."""

    token: str
    """Says which ballot it is."""
    task: str
    question: str
    expected: str
    first: str
    second: str


@dataclass(frozen=True)
class Said:
    """A voter's newest vote."""

    token: str
    question: str
    choice: Choice
    whose: tuple[str, str] | None
    """The two sides in the order in which they stood, once the voter has asked."""


@dataclass(frozen=True)
class Turn:
    """Where a voter is."""

    paper: Paper | None
    """What comes next; None when all is voted on."""
    done: int
    total: int
    last: Said | None
    """None before the first vote, and when all were taken back."""


@dataclass(frozen=True)
class _Box:
    """All ballots of one voter in their order, by token, with the questions as the base was asked them."""

    ballots: dict[str, Ballot]
    questions: dict[tuple[str, str], str]


class Poll:
    """What one person votes on in one run."""

    def __init__(self, run: Run, voter: str, sides: Sequence[str] = (BASE, TUNED), task: str = "") -> None:
        """`task` is one of the run's; "" takes all of them."""
        self.run = run
        self.voter = voter
        self._sides = tuple(sides)
        self._task = task

    @cached_property
    def _box(self) -> _Box:
        if len(set(self._sides)) < 2 or not {*self._sides} <= {*sides_of(self.run)}:
            raise JobError("two sides at least are needed, of those that were asked")
        logs = sorted(self.run.evals.glob("*/*.json"))
        box = _filled(self.run.evals, self._sides, self.voter, tuple(map(stamp_of, logs)))
        if not self._task:
            return box
        return replace(box, ballots={token: one for token, one in box.ballots.items() if one.task == self._task})

    @property
    def total(self) -> int:
        """How many ballots there are. Raises JobError."""
        return len(self._box.ballots)

    def turn(self, skipped: Collection[str] = ()) -> Turn:
        """What comes next: ballots that were skipped come again when no other is left. Raises JobError."""
        mine = self._mine()
        left = [token for token, one in self._box.ballots.items() if _place(one) not in mine]
        token = next((one for one in left if one not in skipped), left[0] if left else None)
        return Turn(
            paper=None if token is None else self._paper(token),
            done=self.total - len(left),
            total=self.total,
            last=self._last(mine),
        )

    def vote(self, token: str, choice: Choice) -> None:
        """Keeps a vote; of what is no ballot, or none any more, nothing. Raises JobError when the disk refuses."""
        ballot = self._box.ballots.get(token)
        if ballot is not None:
            self._add(ballot.vote(choice, self.voter))

    def undo(self) -> None:
        """Takes the newest vote back, unless the voter knows whose answers they are. Raises JobError."""
        last = self._last(self._mine())
        if last is not None and last.whose is None:
            self.vote(last.token, "withdrawn")

    def reveal(self) -> None:
        """Tells whose answers the newest vote was about; from then on it stands. Raises JobError."""
        mine = self._mine()
        last = self._last(mine)
        if last is not None and last.whose is None:
            self._add(mine[_place(self._box.ballots[last.token])].model_copy(update={"seen": True}))

    def _mine(self) -> dict[tuple[Any, str], Vote]:
        """This voter's votes that stand, by what they are on, the newest last."""
        try:
            votes = standing(read_votes(self.run.evals))
        except LogError as error:
            raise JobError(str(error)) from error
        return {(one.key, one.answers): one for one in votes if one.voter == self.voter}

    def _last(self, mine: dict[tuple[Any, str], Vote]) -> Said | None:
        tokens = {_place(one): token for token, one in self._box.ballots.items()}
        place = next((place for place in reversed(mine) if place in tokens), None)
        if place is None:
            return None
        vote, token = mine[place], tokens[place]
        return Said(token, self._paper(token).question, vote.choice, (vote.first, vote.second) if vote.seen else None)

    def _paper(self, token: str) -> Paper:
        one = self._box.ballots[token]
        question = self._box.questions.get((one.task, one.id), "")
        return Paper(token, one.task, question, one.expected, one.first_text, one.second_text)

    def _add(self, vote: Vote) -> None:
        try:
            add_vote(self.run.evals, vote)
        except LogError as error:
            raise JobError(str(error)) from error


def sides_of(run: Run) -> list[str]:
    """Who answered a run's tasks, base and tuned first. Raises JobError."""
    found = dict.fromkeys(side for sides in _asked(run).values() for side in sides)
    return sorted(found, key=lambda side: (side != BASE, side != TUNED))


def tasks_of(run: Run) -> list[str]:
    """The tasks that were answered. Raises JobError."""
    return list(_asked(run))


def counted(run: Run) -> Tally:
    """What all votes on a run's answers say. Raises JobError."""
    try:
        return tally(run.evals)
    except LogError as error:
        raise JobError(str(error)) from error


def prove(run: Run) -> None:
    """Says anew in a run's results how far its judges are to be believed, where it has any. Raises JobError.

    Not while it is at work or waits: its new results will say it.
    """
    if not run.results.exists():
        return
    try:
        lock = take_lock(run.lock)
    except OSError as error:
        raise JobError(f"run {run.id} cannot be written: {error.strerror}; mend that, and vote again") from error
    if lock is None:
        return
    try:
        results = read_results(run.results)
        if run.ticket.exists() or all(one.kind != "pairwise" for one in results.judges):
            return
        proved = with_proof(run.evals, results)
        if proved != results:
            write_results(run.results, proved)
            write_tables(run.path, proved)
    except LogError as error:
        raise JobError(str(error)) from error
    finally:
        os.close(lock)


def add_vote_command(runs: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `runs vote`."""
    from evals.arena.command import add_options

    text = "vote blindly on a run's answers, and see what the votes say"
    parser = runs.add_parser("vote", help=text, description=text, parents=[where])
    parser.add_argument("run", metavar="RUN", help="a run's id")
    add_options(parser)
    parser.set_defaults(voter=LOCAL)


def vote_command(parsed: argparse.Namespace, store: RunStore) -> int:
    """`ftspace runs vote`: asks until there is nothing more, or q ends it."""
    from evals.arena.command import vote

    run = store.get(parsed.run)
    try:
        vote(argparse.Namespace(**{**vars(parsed), "folder": run.evals}))
    except EvalError as error:
        raise JobError(str(error)) from error
    prove(run)
    return 0


def _asked(run: Run) -> dict[str, tuple[str, ...]]:
    try:
        return {task: sides for task, sides in asked_of(run.evals).sides.items() if sides}
    except LogError as error:
        raise JobError(str(error)) from error


@lru_cache(maxsize=4)
def _filled(folder: Path, sides: tuple[str, ...], voter: str, stamps: tuple[object, ...]) -> _Box:
    """Made anew when a log has changed, as its stamp tells."""
    del stamps
    try:
        ballots = {_token(one): one for one in all_ballots(folder, sides, voter)}
        questions: dict[tuple[str, str], str] = {}
        for task in dict.fromkeys(one.task for one in ballots.values()):
            asked = read_log(folder / task / f"{BASE}.json").samples
            texts = strip_frame([one.prompt for one in asked])
            questions |= {(task, one.id): text for one, text in zip(asked, texts, strict=True)}
    except LogError as error:
        raise JobError(str(error)) from error
    return _Box(ballots, questions)


def _place(ballot: Ballot) -> tuple[Any, str]:
    return ballot.key, ballot.answers


def _token(ballot: Ballot) -> str:
    """Names a ballot and what is asked in it, the same in whichever order the answers stand."""
    return short_hash([*ballot.key, ballot.prompt, sorted((ballot.first_text, ballot.second_text))])
