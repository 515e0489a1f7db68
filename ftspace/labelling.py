"""The commands of `runs` that look through runs, name them, delete them and restore them. Decides nothing itself."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.markup import escape
from rich.table import Table

from ftspace import queue
from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError
from ftspace.gallery import SHOWS, SORTS, Entry, Index, Query
from ftspace.labels import read_label, retagged, write_label
from ftspace.outcome import placed
from ftspace.runs import RunStore
from ftspace.trash import DAYS, Trash

_RUN = "a run's id"


def add_labelling(actions: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parsers of these commands."""

    def add(name: str, text: str, more: str = "", **options: Any) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=more or text, parents=[where], **options)

    found = add("list", "all runs, newest first; or those that are looked for")
    found.add_argument(
        "search", nargs="*", metavar="WORD", help="in title, model, dataset, tags, note or id; all must be"
    )
    found.add_argument("--show", choices=list(SHOWS), default="all", help="which (default: all)")
    found.add_argument("--tag", default="", metavar="TAG", help="those with a tag")
    found.add_argument("--sort", choices=list(SORTS), default="newest", help="in which order (default: newest)")
    found.add_argument("--json", action="store_true", help="print JSON")
    one = add("rename", "give a run a title of your own", "Gives a run a title; an empty one takes it away.")
    one.add_argument("run", metavar="RUN", help=_RUN)
    one.add_argument("title", metavar="TITLE", nargs="+", help="words, at most 120 characters")
    one = add(
        "tag",
        "put tags on a run, or take some off",
        "Puts tags on a run and takes others off, and says which it has.",
        usage="%(prog)s [--data-dir DATA_DIR] RUN [+TAG ...] [-TAG ...]",
    )
    one.add_argument("run", metavar="RUN", help=_RUN)
    one.add_argument("tags", nargs=argparse.REMAINDER, metavar="+TAG -TAG", help="+ puts a tag on, - takes one off")
    one = add("note", "write a note on a run", "Writes a note on a run in place of the old one; - reads it from stdin.")
    one.add_argument("run", metavar="RUN", help=_RUN)
    one.add_argument("text", metavar="TEXT", nargs="+", help='at most 5,000 characters; "" takes the note away')
    one = add(
        "delete",
        "delete a run; it can be restored for some days",
        f"Deletes a run. It can be restored for {DAYS:.0f} days, until `runs gc`, or until a new run needs its room.",
    )
    one.add_argument("run", metavar="RUN", help=_RUN)
    one.add_argument("--now", action="store_true", help="remove it and everything in it for good")
    one = add("restore", "have a deleted run back")
    one.add_argument("run", metavar="RUN", help="a deleted run's id")
    several = add(
        "compare",
        "several runs beside each other: who is best at what, and whether that can be told",
        "Compares two to eight runs: each task with the best first, tests between runs that answered the same "
        "questions, and the settings in which they differ. p is adjusted for all tests that are made (Holm).",
    )
    several.add_argument("runs", nargs="+", metavar="RUN", help="the runs' ids")
    several.add_argument("--metric", default="", metavar="NAME", help="score by it (default: each task's first)")
    several.add_argument("--json", action="store_true", help="print one JSON document, the curves with it")
    one = add("deleted", "the runs that can be restored")
    one.add_argument("--json", action="store_true", help="print JSON")


def _list(parsed: argparse.Namespace, store: RunStore) -> int:
    query = Query(" ".join(parsed.search), parsed.show, parsed.tag, parsed.sort)
    runs = store.list()
    found, _ = Index().find(runs, query, len(runs))
    places = {one.run.id: one for one in queue.waiting(store)}
    for one in found:
        if one.status is None:
            said = f"run {one.run.id} cannot be read; delete it: ftspace runs delete {one.run.id}"
            stderr.print(f"warning: {said}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    sound = [one for one in found if one.status is not None]
    if parsed.json:
        lines = [{**_as_json(one), **placed(places.get(one.run.id))} for one in sound]
        stdout.file.write(json.dumps(lines, indent=2) + "\n")
        return 0
    if not found:
        none = (
            "no run is like that; all: ftspace runs list" if runs else "there are no runs yet; start one: ftspace run"
        )
        stderr.print(f"{store.runs_dir}: {none}", markup=False, highlight=False, soft_wrap=True)
        return 0
    table = Table()
    table.add_column("run", no_wrap=True, min_width=28)
    table.add_column("status", no_wrap=True)
    for name in ("title", "tags", "verdict"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=None if name == "verdict" else 40)
    for one in sound:
        status = f"{one.status}, {places[one.run.id]}" if one.run.id in places else str(one.status)
        verdict = one.words if one.status == "finished" else ""
        table.add_row(one.run.id, status, *map(escape, (one.title, ", ".join(one.label.tags), verdict)))
    stdout.print(table)
    return 0


def _as_json(one: Entry) -> dict[str, Any]:
    config = one.run.config
    return {
        "run_id": one.run.id,
        "status": one.status,
        "verdict": one.verdict,
        "outcome": one.outcome,
        "title": one.title,
        "model": config.model.id,
        "dataset": config.data.id,
        "tags": list(one.label.tags),
        "note": one.label.note,
        "seconds": one.seconds,
        "pushed": one.pushed,
    }


def _rename(parsed: argparse.Namespace, store: RunStore) -> int:
    run = store.get(parsed.run)
    kept = write_label(run, read_label(run).model_copy(update={"title": " ".join(parsed.title)}))
    said = f"is called {kept.title}" if kept.title else "has no title of its own any more"
    stderr.print(f"run {run.id} {said}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _tag(parsed: argparse.Namespace, store: RunStore) -> int:
    run = store.get(parsed.run)
    words: list[str] = parsed.tags
    if odd := next((one for one in words if one[:1] not in ("+", "-") or one.startswith("--")), None):
        hint = (
            "other options stand before the run" if odd.startswith("--") else f"+{odd} puts it on, -{odd} takes it off"
        )
        raise ConfigError(f"{odd}: {hint}")
    label = retagged(
        read_label(run), [one[1:] for one in words if one[0] == "+"], [one[1:] for one in words if one[0] == "-"]
    )
    kept = write_label(run, label) if words else label
    stdout.print(", ".join(kept.tags) or "no tags", markup=False, highlight=False, soft_wrap=True)
    return 0


def _note(parsed: argparse.Namespace, store: RunStore) -> int:
    run = store.get(parsed.run)
    text = sys.stdin.read() if parsed.text == ["-"] else " ".join(parsed.text)
    kept = write_label(run, read_label(run).model_copy(update={"note": text}))
    stderr.print(f"the note of run {run.id} has {len(kept.note):,} characters", highlight=False)
    return 0


def _delete(parsed: argparse.Namespace, store: RunStore) -> int:
    if parsed.now:
        store.delete(parsed.run)
        stderr.print(f"run {parsed.run} is deleted for good", highlight=False)
        return 0
    bin_ = Trash(store)
    bin_.put(parsed.run)
    bin_.expire()
    say = f"run {parsed.run} is deleted; have it back within {DAYS:.0f} days: ftspace runs restore {parsed.run}"
    stderr.print(say, highlight=False, soft_wrap=True)
    return 0


def _restore(parsed: argparse.Namespace, store: RunStore) -> int:
    run = Trash(store).restore(parsed.run)
    stderr.print(f"run {run.id} is back: ftspace runs show {run.id}", highlight=False, soft_wrap=True)
    return 0


def _deleted(parsed: argparse.Namespace, store: RunStore) -> int:
    found = Trash(store).list()
    if parsed.json:
        lines = [
            {"run_id": one.id, "title": one.name, "deleted": one.time, "days_left": one.days_left} for one in found
        ]
        stdout.file.write(json.dumps(lines, indent=2) + "\n")
        return 0
    if not found:
        stderr.print("nothing is deleted that could be restored")
        return 0
    table = Table("run", "title", "deleted", "days left")
    for one in found:
        day = time.strftime("%d %b %Y, %H:%M", time.localtime(one.time))
        table.add_row(one.id, escape(one.name), day, f"{max(0.0, one.days_left):.0f}")
    stdout.print(table)
    return 0


def _compare(parsed: argparse.Namespace, store: RunStore) -> int:
    from ftspace.comparing import compare  # numpy with it

    return compare(parsed, store)


ACTIONS: dict[str, Callable[[argparse.Namespace, RunStore], int]] = {
    "list": _list,
    "rename": _rename,
    "tag": _tag,
    "note": _note,
    "delete": _delete,
    "restore": _restore,
    "deleted": _deleted,
    "compare": _compare,
}
"""The function behind each command."""
