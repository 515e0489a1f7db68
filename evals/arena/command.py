"""`python -m evals vote DIR`: shows two answers at a time, takes a vote for each, and tells what the votes say."""

import argparse
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evals.errors import LogError

if TYPE_CHECKING:
    from evals.arena.tally import Tally
    from evals.arena.votes import Ballot

_CHOICES: dict[str, Literal["first", "second", "tie", "bad"]] = {
    "1": "first", "2": "second", "t": "tie", "0": "tie", "x": "bad",
}  # fmt: skip


def add_parser(commands: Any) -> None:
    """Add `vote` to the commands of `python -m evals`."""
    vote = commands.add_parser("vote", help="vote blindly on the answers in a folder that `run` wrote")
    vote.add_argument("folder", type=Path, metavar="DIR", help="the folder")
    add_options(vote)
    vote.set_defaults(command=run)


def add_options(vote: argparse.ArgumentParser) -> None:
    """Add what can be said of voting, but for where the answers are."""
    vote.add_argument("--sides", default="base,tuned", metavar="A,B", help="whose answers (default base,tuned)")
    vote.add_argument("--voter", default="", metavar="NAME", help="who votes, where several people do")
    vote.add_argument("--task", metavar="TASK", help="only this task's")
    vote.add_argument("--count", type=int, metavar="N", help="at most N votes now")
    vote.add_argument("--report", action="store_true", help="ask nothing, tell what the votes so far say")
    vote.add_argument("--json", action="store_true", help="tell it as one JSON document on stdout")


def run(options: argparse.Namespace) -> None:
    """Carry out the command, and say anew how far the folder's judges are to be believed. Raises EvalError."""
    vote(options)
    if not options.report:
        _prove(options.folder)


def vote(options: argparse.Namespace) -> None:
    """Ask for votes, keep each at once, and tell what all of them say. Raises EvalError."""
    from rich.console import Console

    from evals.arena.tally import tally
    from evals.arena.votes import add_vote, ballots

    stderr = Console(stderr=True, highlight=False)
    if not options.report:
        sides = [side for side in options.sides.split(",") if side]
        if len(sides) < 2 or (options.count is not None and options.count < 1):
            raise LogError("vote needs two sides at least (--sides base,tuned), and a --count of at least 1")
        left = [one for one in ballots(options.folder, sides, options.voter) if options.task in (None, one.task)]
        shown = left[: options.count]
        stderr.print(f"{len(left)} pairs of answers to vote on. Each vote is kept at once; q ends.", markup=False)
        for place, ballot in enumerate(shown, start=1):
            _show(stderr, ballot, f"{place} of {len(shown)}")
            choice = _ask(stderr)
            if choice == "q":
                break
            if choice in _CHOICES:
                add_vote(options.folder, ballot.vote(_CHOICES[choice], options.voter))
    found = tally(options.folder)
    console = Console(highlight=False, soft_wrap=True)
    if options.json:
        console.file.write(found.model_dump_json(indent=1) + "\n")
    else:
        console.print(in_words(found), markup=False)


def _prove(folder: Path) -> None:
    """Say anew in the folder's results how far its judges are to be believed, where it has been judged."""
    from evals.arena.tally import with_proof
    from evals.results import RESULTS_FILE, read_results, write_results
    from evals.table import write_tables

    path = folder / RESULTS_FILE
    results = read_results(path) if path.exists() else None
    if results is not None and results.judges:
        results = with_proof(folder, results)
        write_results(path, results)
        write_tables(folder, results)


def _show(console: Any, ballot: "Ballot", place: str) -> None:
    from rich.panel import Panel
    from rich.text import Text

    console.rule(place)
    console.print(Panel(Text(_plain(ballot.prompt)), title="question", title_align="left"))
    if ballot.expected:
        console.print(Panel(Text(_plain(ballot.expected)), title="expected", title_align="left"))
    for number, text in enumerate((ballot.first_text, ballot.second_text), start=1):
        console.print(Panel(Text(_plain(text)), title=str(number), title_align="left"))


def _ask(console: Any) -> str:
    while True:
        try:
            said = console.input("better: 1, 2, t (tie), x (both bad), s (skip), q (quit)? ").strip().casefold()
        except EOFError:
            return "q"
        if said in (*_CHOICES, "s", "q"):
            return said


def _plain(text: str) -> str:
    """A text without the characters by which a model's answer could move the cursor or change colours."""
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one)[0] != "C")


def in_words(found: "Tally") -> str:
    """What votes say, a line each."""
    if not found.votes:
        return "no votes yet"
    lines = [f"{found.votes} votes" + (f", {found.bad} of them: both are bad" if found.bad else "")]
    lines += [
        f"{one.side} preferred to {one.against}: {100 * one.rate:.0f} % (95 % CI {100 * one.low:.0f} to "
        f"{100 * one.high:.0f}; {one.wins} wins, {one.losses} losses, {one.ties} ties)"
        for one in found.rates
    ]
    lines += [
        f"strength of {one.side}: {one.strength:+.2f} (95 % CI {one.low:+.2f} to {one.high:+.2f})"
        for one in found.players
    ]
    for one in found.judges:
        word = "proven" if one.proven else "unproven"
        lines.append(
            f"judge {one.judge}, {word}: agrees on {100 * one.agreement:.0f} % of {one.n} (kappa {one.kappa:.2f}, 95 % "
            f"CI {one.low:.2f} to {one.high:.2f})"
        )
        lines += [f"  {two.task} {two.id}: people {two.people}, judge {two.judge}" for two in one.differences[:10]]
    return "\n".join(lines)
