"""What a sweep has come to, as a document for JSON and as tables for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from evals.errors import LogError
from evals.results import read_results
from evals.wording import amount
from ftspace.commands import PROGRAM_FAULTS
from ftspace.errors import FtspaceError
from ftspace.runs import RunReader, RunStore
from ftspace.sweeps.collect import outcomes, stand
from ftspace.sweeps.searched import searched
from ftspace.sweeps.standing import Outcome, Place
from ftspace.sweeps.store import Sweep

_BAD = ("failed", "interrupted", "cancelled", "gone")


def document(sweep: Sweep, store: RunStore) -> tuple[dict[str, Any], int]:
    """All there is to say of a sweep, and the status that a command ends with for it."""
    head = {"sweep": sweep.id, "tag": sweep.tag, "search": sweep.search or None}
    if sweep.search:
        best = _chosen(sweep)
        verdict, why_not = _tested(sweep, store)
        found = searched(outcomes(sweep, store), best, verdict, why_not, by_score=sweep.base.train.best_by == "score")
        cells: Sequence[Outcome | Place] = found.trials
        told = {"best": found.best, "winner": sweep.winner, "words": list(found.words)}
        listed = [
            {"name": one.name, "run": one.run, "status": one.status, "problem": one.problem, "loss": one.loss}
            for one in found.trials
        ]
    else:
        table = stand(sweep, store)
        cells = table.places
        told = {name: value for name, value in asdict(table).items() if name != "places"}
        listed = [asdict(one) for one in table.places]
    return head | told | {"cells": listed}, _status(cells, store)


def to_rich(told: Mapping[str, Any]) -> RenderableType:
    """A document for a terminal."""
    table = _trials(told["cells"]) if told["search"] else _places(told)
    return Group(table, *(Text(one) for one in told["words"]), Text(f"runs: ftspace runs list --tag {told['tag']}"))


def _chosen(sweep: Sweep) -> str | None:
    """The name of the cell that a search chose."""
    return next((one.name for one in sweep.cells if one.best), None)


def _tested(sweep: Sweep, store: RunStore) -> tuple[str, str]:
    """What the comparison of a search's best cell came to, and why there is none."""
    if sweep.winner is None:
        return "", "eval.tasks is empty" if not sweep.base.eval.tasks else "the search is not over"
    try:
        return read_results(store.get(sweep.winner).results).verdict, ""
    except (LogError, FtspaceError) as error:
        return "", str(error)


def _status(cells: Sequence[Outcome | Place], store: RunStore) -> int:
    odd = [one for one in cells if one.status in _BAD]
    if any(_fault(one.run, store) for one in odd):
        return 1
    return 2 if odd else 0


def _fault(run_id: str | None, store: RunStore) -> bool:
    """Whether the program is to blame for what became of a run."""
    try:
        run = store.get(run_id or "")
        reader = RunReader(run)
        status, end = reader.status(), reader.state.end(run.jobs)
    except FtspaceError:
        return False
    return status == "interrupted" or (end is not None and end.reason in PROGRAM_FAULTS)


def _places(told: Mapping[str, Any]) -> Table:
    share = told["share"]
    lower = ", lower is better" if told["better"] == "lower" else ""
    table = Table(title=escape(f"{told['task']}, {told['metric']}{lower}"), title_justify="left")
    for heading in ("cell", "score, 95 % interval", "the best against it, corrected", "validation loss", "run"):
        table.add_column(heading, overflow="fold")
    for place, one in enumerate(told["cells"]):
        loss = "" if one["loss"] != one["loss"] else f"{one['loss']:.3f}"
        if one["n"] == 0:
            why = escape(f"{one['status']}: {one['problem']}")
            table.add_row(escape(one["name"]), why, "", loss, one["run"] or "–")
            continue
        score = f"{amount(one['score'], share)} ({_ends(one['low'], one['high'], share)}), n = {one['n']}"
        tested = "" if place == 0 else _against(one, share)
        table.add_row(escape(one["name"]), score, escape(tested), loss, one["run"] or "–")
    return table


def _against(one: Mapping[str, Any], share: bool) -> str:
    if one["why"]:
        return one["why"]
    ends = _ends(one["behind_low"], one["behind_high"], share, "+")
    return f"{amount(one['behind'], share, '+')} ({ends}), p {one['p']:.3f}: {one['verdict']}"


def _ends(low: float, high: float, share: bool, sign: str = "") -> str:
    return "no interval" if low != low else f"{amount(low, share, sign)} to {amount(high, share, sign)}"


def _trials(cells: Sequence[Mapping[str, Any]]) -> Table:
    table = Table()
    for heading in ("trial", "validation loss", "status", "run"):
        table.add_column(heading, overflow="fold")
    for one in cells:
        loss = "–" if one["loss"] != one["loss"] else f"{one['loss']:.4f}"
        said = one["status"] + (f": {one['problem']}" if one["problem"] else "")
        table.add_row(escape(one["name"]), loss, escape(said), one["run"] or "–")
    return table
