"""The command `runs compare`: several runs beside each other, as tables or JSON. Decides nothing itself."""

import argparse
import json
import math
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from evals.wording import amount
from ftspace.console import stderr, stdout
from ftspace.runs import RunStore
from ftspace.several import Board, Several, compare_runs


def compare(parsed: argparse.Namespace, store: RunStore) -> int:
    """`ftspace runs compare`."""
    found = compare_runs([store.get(one) for one in dict.fromkeys(parsed.runs)], parsed.metric)
    if parsed.json:
        stdout.file.write(json.dumps(plain(asdict(found)), indent=2) + "\n")
        return 0
    for one in found.unfair:
        stderr.print(f"note: {one}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    for one in found.runs:
        stdout.print(f"{one.letter}  {one.id}  {one.title}", markup=False, highlight=False, soft_wrap=True)
    for board in found.boards:
        stdout.print(_table(board))
        stdout.print(board.words, markup=False, highlight=False, soft_wrap=True)
    stdout.print(_settings(found) if found.differences else "Their settings are the same.")
    return 0


def _table(board: Board) -> Table:
    lower = ", lower is better" if board.better == "lower" else ""
    table = Table(title=escape(f"{board.task}, {board.metric}{lower}"), title_justify="left")
    for heading in ("run", "score", "against its base", "best against it"):
        table.add_column(heading)
    duels = {(one.letter, one.against): one for one in board.duels}
    share, best = board.share, board.places[0].letter
    for one in board.places:
        if one.why:
            table.add_row(one.letter, escape(one.why), "", "")
            continue
        duel = duels.get((best, one.letter))
        tested = "" if duel is None else duel.why
        if duel is not None and not duel.why:
            ends = _ends(duel.low, duel.high, share, "+")
            tested = f"{amount(duel.delta, share, '+')} ({ends}), p {duel.p:.3f}: {duel.verdict}"
        score = f"{amount(one.score, share)} ({_ends(one.low, one.high, share)}), n = {one.n}"
        gain = f"{amount(one.delta, share, '+')} ({_ends(one.delta_low, one.delta_high, share, '+')}): {one.verdict}"
        table.add_row(one.letter, score, gain, escape(tested))
    return table


def _ends(low: float, high: float, share: bool, sign: str = "") -> str:
    return "no interval" if math.isnan(low) else f"{amount(low, share, sign)} to {amount(high, share, sign)}"


def _settings(found: Several) -> Table:
    table = Table(title="settings that differ", title_justify="left")
    for heading in ("setting", *(one.letter for one in found.runs)):
        table.add_column(heading, overflow="fold")
    for one in found.differences:
        table.add_row(one.field, *map(escape, one.values))
    return table


def plain(value: Any) -> Any:
    """With nothing in it that JSON has no word for."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case _:
            return value
