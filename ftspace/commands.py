"""The commands `prepare` and `curve`, and what they share with `run`. Parses, calls, prints; decides nothing itself."""

import argparse
import contextlib
import dataclasses
import json
import shlex
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from pydantic_settings import CliSettingsSource
from rich.markup import escape
from rich.table import Table

from ftspace import queue
from ftspace.config import RunConfig, anchor, load_config, merge
from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError, FtspaceError, HubError, JobError
from ftspace.flags import add_flags
from ftspace.presets import laid_over
from ftspace.runs import RunReader, RunStore
from ftspace.settings import DEFAULT_CONFIG, Settings, go_offline, resolve_local

if TYPE_CHECKING:
    from ftspace.curve import Point

FRACTIONS = "0.1,0.25,0.5,1"
PROGRAM_FAULTS = frozenset({"error", "lost_process"})
"""Reasons of a failed run that the user cannot mend."""


def add_prepare(parsers: Any) -> CliSettingsSource[Any]:
    """Adds the parser of `prepare`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "prepare",
        help="save the split that a run would train on, and push it to the Hub when asked",
        usage="%(prog)s DATASET --out FOLDER [--format jsonl|parquet] [--push USER/NAME] [--data.FIELD VALUE ...]",
        description="Reads a dataset as a run would, splits it, and writes train, validation and test with a dataset "
        "card and a manifest into a new folder, which `datasets`, TRL and ftspace read. With --push it goes to the Hub "
        "too: privately unless --public is given, in one commit, read back and compared. The token is that of "
        "HF_TOKEN or `hf auth login`.",
        allow_abbrev=False,
    )
    parser.add_argument("dataset", metavar="DATASET", help="Hub id of a dataset, or a local file or folder")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a new or empty folder to write")
    parser.add_argument("--format", default="jsonl", choices=["jsonl", "parquet"], help="of the files (default: jsonl)")
    parser.add_argument("--push", metavar="USER/NAME", help="dataset repository on the Hub to push to, made if needed")
    parser.add_argument(
        "--public", action="store_true", help="let everybody read it; refused when the source is private or gated"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    return add_flags(parser, "prepare")


def add_curve(parsers: Any, where: argparse.ArgumentParser) -> CliSettingsSource[Any]:
    """Adds the parser of `curve`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "curve",
        help="would more data help: runs on growing shares of the training rows",
        usage="%(prog)s [CONFIG.yaml] [--fractions 0.1,0.25,0.5,1] [--SECTION.FIELD VALUE ...] [--json]",
        description="Makes one run for each share of the training rows, one after another, and says what the last "
        "step up gained on the same test samples. All are ordinary runs: ftspace runs lists them. A run that fails is "
        "named and the others go on; Ctrl-C stops the one at work and makes no more. Its other flags are those of "
        "ftspace run.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    parser.add_argument(
        "--fractions", default=FRACTIONS, metavar="F,F,...", help=f"shares of the training rows (default: {FRACTIONS})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the table")
    return add_flags(parser)


def configured(path: str | None, given: dict[str, Any], preset: str | None = None) -> RunConfig:
    """The config of a YAML file, a preset and flags, the later over the earlier.

    The embedded default where neither names a model or a dataset.
    """
    own_choice = "id" in given.get("model", {}) or "id" in given.get("data", {})
    source = path or (None if own_choice else DEFAULT_CONFIG)
    config = load_config(source, given)
    return config if preset is None else load_config(source, merge(laid_over(preset, config), given))


def check(config: RunConfig, settings: Settings) -> None:
    """Looks at model, dataset and tasks before a run is made, and says what a person should know. FtspaceError."""
    from ftspace import preflight

    stderr.print("checking the model, the dataset and the tasks …")
    _warn(preflight.check(config, settings.runs_dir).warnings)


def watch(reader: RunReader, *, diagnosed: bool = True) -> bool:
    """Shows a run until it is over; whether a Ctrl-C ended it. The first one stops the run, a second one lets it be."""
    from ftspace import jobs
    from ftspace.console import show

    stopped = False

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped or reader.run.stop_flag.exists():
            raise SystemExit(130)
        stopped = True
        with contextlib.suppress(JobError):  # it ended by itself just now
            jobs.stop(reader.run)
        saved = ", the adapter will be saved" if diagnosed else ""
        stderr.print(f"stopping at the next step{saved} (Ctrl-C again: don't wait)")

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        show(jobs.follow(reader, waits=_placed(reader)), stderr, lambda: diagnosis_line(reader) if diagnosed else "")
    finally:
        signal.signal(signal.SIGINT, previous)
    return stopped


def _placed(reader: RunReader) -> Callable[[], None]:
    """Says which place in the queue a run has, each time that it has another."""
    told = 0

    def say() -> None:
        nonlocal told
        line = queue.waiting(RunStore(reader.run.path.parent))
        mine = next((one for one in line if one.run.id == reader.run.id), None)
        if mine and mine.place != told:
            told = mine.place
            stderr.print(f"waiting for the machine: {mine}", highlight=False)

    return say


def move(parsed: argparse.Namespace, store: RunStore) -> int:
    """`ftspace runs move`: another place in the queue."""
    run = store.get(parsed.run)
    queue.move(run, parsed.by)
    mine = next((one for one in queue.waiting(store) if one.run.id == run.id), None)
    stderr.print(f"run {run.id}: {mine}" if mine else f"run {run.id} begins", highlight=False)
    return 0


def say_busy() -> None:
    """Says that a command waits until no run has the machine."""
    stderr.print("waiting for the machine: a run is at work")


def diagnosis(reader: RunReader) -> dict[str, Any] | None:
    """What the curves of a run say, for JSON; None before its first step."""
    from ftspace.training.diagnosis import diagnose

    return dataclasses.asdict(diagnose(reader.state, reader.run.config)) if reader.state.steps else None


def diagnosis_line(reader: RunReader) -> str:
    """What the curves of a run say, in a line; "" before its first step."""
    from ftspace.training.diagnosis import diagnose

    return str(diagnose(reader.state, reader.run.config)) if reader.state.steps else ""


def prepare(parsed: argparse.Namespace, given: dict[str, Any]) -> int:
    """`ftspace prepare`: the prepared split as a folder, and on the Hub when asked."""
    config = load_config(overrides=merge(given, {"data": {"id": parsed.dataset}}))
    if parsed.public and not parsed.push:
        raise ConfigError("--public says how to push; name the repository with --push USER/NAME")
    if config.hub.offline:
        go_offline()
    from ftspace.data.export import check_folder, export
    from ftspace.hub.dataset import check_target, push, source_of
    from ftspace.hub.push.line import Ears

    folder = Path(parsed.out)
    check_folder(folder)
    source = source_of(config.data)
    target = check_target(parsed.push, source, public=parsed.public) if parsed.push else None
    data = config.data.model_copy(update={"revision": source.revision})
    manifest = export(data, folder, source, parsed.format, repo_id=parsed.push)
    _warn(manifest.warnings)
    stderr.print(f"prepared in {folder}", markup=False, highlight=False, soft_wrap=True)
    pushed = None
    if target:
        stderr.print(f"pushing to {target.repo_id} …", markup=False, highlight=False)
        try:
            pushed = push(folder, target, Ears(warn=lambda said: _warn([said])))
        except HubError as error:
            how = "" if target.public else " --private"
            later = f"hf upload {target.repo_id} {shlex.quote(str(folder))} . --repo-type dataset{how}"
            raise HubError(f"{error}. All is kept in {folder}, which can also be pushed with: {later}") from error
    if parsed.json:
        found = {
            "folder": str(folder),
            "rows": manifest.rows,
            "dropped": manifest.dropped,
            "removed": manifest.removed,
            "unused": manifest.unused,
            "revision": manifest.revision,
            "license": source.terms.get("license"),
            "content_hash": manifest.content_hash,
            "pushed": dataclasses.asdict(pushed) if pushed else None,
        }
        stdout.file.write(json.dumps(found, indent=2) + "\n")
        return 0
    table = Table("split", "rows")
    for split, count in manifest.rows.items():
        table.add_row(split, str(count))
    for reason, count in (*manifest.dropped.items(), *manifest.removed.items()):
        table.add_row(escape(f"left out: {reason}"), str(count))
    if manifest.unused:
        table.add_row(f"left out: beyond a fraction of {config.data.fraction:g}", str(manifest.unused))
    stdout.print(table)
    if pushed:
        who = "only its owner can" if pushed.private else "everybody can"
        stderr.print(f"pushed to {pushed.url}: {who} read it", markup=False, highlight=False, soft_wrap=True)
    return 0


def curve(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    """`ftspace curve`: a run for each share of the training rows, one after another, then the table."""
    config = anchor(configured(parsed.config, given))
    if config.data.fraction != 1:
        raise ConfigError("data.fraction is what the curve itself sets; name the shares with --fractions")
    if not config.eval.tasks:
        raise ConfigError("eval.tasks is empty, so there is nothing to compare the runs by; name a task")
    if config.hub.offline:
        go_offline()
    from ftspace.curve import Point, learning_curve, parse_fractions, percent, to_rich

    fractions = parse_fractions(parsed.fractions)
    check(config, settings)
    config = pinned(config)
    store = RunStore(settings.runs_dir)
    points: list[Point] = []
    stopped = False
    for number, fraction in enumerate(fractions, start=1):
        if stopped:
            points.append(Point(fraction, "not run"))
            continue
        stderr.print(f"[bold]run {number} of {len(fractions)}[/]: {percent(fraction)} of the training rows")
        try:
            point, stopped = _one(store, config, fraction)
        except FtspaceError as error:
            point = Point(fraction, "not run", problem=str(error))
        if point.problem:
            stderr.print(f"error: {point.problem}", style="red", markup=False, highlight=False, soft_wrap=True)
        points.append(point)
    found = learning_curve(points)
    if parsed.json:
        stdout.file.write(found.model_dump_json(indent=2) + "\n")
    else:
        stdout.print(to_rich(found))
    if stopped:
        return 130
    if any(point.fault for point in points):
        return 1
    return 0 if all(point.status == "finished" and not point.problem for point in points) else 2


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        stderr.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def pinned(config: RunConfig) -> RunConfig:
    """The config at the commits that model and dataset have now, for all runs of a curve or a sweep."""
    from ftspace.hub.finding.find import commit_of

    data, model = config.data, config.model
    if resolve_local(data.id) is None:
        data = data.model_copy(update={"revision": commit_of("dataset", data.id, data.revision) or data.revision})
    if resolve_local(model.id) is None:
        model = model.model_copy(update={"revision": commit_of("model", model.id, model.revision) or model.revision})
    return config.model_copy(update={"data": data, "model": model})


def _one(store: RunStore, config: RunConfig, fraction: float) -> "tuple[Point, bool]":
    """Makes the run of one share and waits for it; whether a Ctrl-C ended it."""
    from evals.errors import LogError
    from evals.log import read_log
    from ftspace import jobs
    from ftspace.curve import Point

    data = config.data.model_copy(update={"fraction": fraction})
    run = jobs.begin(store, config.model_copy(update={"data": data}))
    stderr.print(f"run {run.id} in {run.path}", markup=False, highlight=False, soft_wrap=True)
    reader = RunReader(run)
    stopped = watch(reader)
    status, end = reader.status(), reader.state.end(run.jobs)
    rows = reader.state.prepared.rows.get("train") if reader.state.prepared else None
    point = Point(fraction, status, run.id, rows)
    if status == "failed" and end is not None:
        point = dataclasses.replace(point, problem=end.message, fault=end.reason in PROGRAM_FAULTS)
    elif status == "interrupted":
        said = "the run's processes are gone and did not say why; see worker.log"
        point = dataclasses.replace(point, problem=said, fault=True)
    elif status == "finished":
        try:
            tuned = {path.parent.name: read_log(path) for path in sorted(run.evals.glob("*/tuned.json"))}
            point = dataclasses.replace(point, tuned=tuned)
        except LogError as error:
            point = dataclasses.replace(point, problem=str(error))
    return point, stopped
