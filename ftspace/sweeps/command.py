"""The command `sweep`: many runs that differ in a few settings, then the table. Parses, calls, prints."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from pydantic_settings import CliSettingsSource

from ftspace import commands
from ftspace.comparing import plain
from ftspace.config import RunConfig, anchor
from ftspace.console import stderr, stdout
from ftspace.devices import this_machine
from ftspace.errors import ConfigError
from ftspace.flags import add_flags
from ftspace.presets import add_preset
from ftspace.runs import RunStore
from ftspace.settings import Settings, go_offline
from ftspace.slots import slots_of
from ftspace.sweeps.grid import ASKED_FROM, Axis, cell_of, cells_of, count, parse_grid
from ftspace.sweeps.store import AxisOf, Entry, Sweep, SweepStore, new_id
from ftspace.words import duration

TRIALS = 20


def add_sweep(parsers: Any, where: argparse.ArgumentParser) -> CliSettingsSource[Any]:
    """Adds the parser of `sweep`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "sweep",
        help="many runs that differ in a few settings, and which of them is best",
        usage="%(prog)s [CONFIG.yaml] --grid FIELD=VALUE,... [FIELD=VALUE,...] [--metric M] [--search optuna "
        "--trials N] [--SECTION.FIELD VALUE ...] | --resume ID | --show ID | --list",
        description="Makes a run for each combination of values and ranks them on the same questions, with intervals "
        "that count how many were looked at, and says when the best cannot be told from the next. With --search "
        "optuna, ranges (1e-5..1e-3) are searched instead: chosen is by the validation loss, bad trials end early, and "
        "the best alone is tested. All are ordinary runs with a tag of their own; Ctrl-C leaves them as they are, and "
        "--resume goes on. Its other flags are those of ftspace run.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    parser.add_argument(
        "--grid",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=VALUES",
        help="a setting and its values: train.learning_rate=1e-4,2e-4; with --search also a range, 1e-5..1e-3",
    )
    parser.add_argument(
        "--metric", default="", metavar="M", help="rank by METRIC, TASK or TASK:METRIC (default: the first of a run)"
    )
    parser.add_argument("--search", choices=["optuna"], default="", help="search in place of trying every combination")
    parser.add_argument("--trials", type=int, metavar="N", help=f"cells that a search makes (default: {TRIALS})")
    parser.add_argument("--yes", action="store_true", help=f"make more than {ASKED_FROM} cells without asking")
    parser.add_argument("--resume", metavar="ID", help="go on with a sweep")
    parser.add_argument("--show", metavar="ID", help="what a sweep has come to so far; begins nothing")
    parser.add_argument("--list", action="store_true", help="the sweeps there are, newest first")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the table")
    add_preset(parser)
    return add_flags(parser)


def sweep(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    """`ftspace sweep`: 0 when every cell finished, or was ended early by the search."""
    sweeps = SweepStore(settings.data_dir)
    ways = [bool(parsed.grid), bool(parsed.resume), bool(parsed.show), parsed.list]
    if sum(ways) != 1:
        raise ConfigError("give one of --grid, --resume, --show and --list; see: ftspace sweep --help")
    if parsed.list:
        return _list(sweeps, as_json=parsed.json)
    if parsed.show:
        return _report(sweeps.get(parsed.show), settings, as_json=parsed.json)
    if parsed.resume:
        found = sweeps.get(parsed.resume)
        if found.base.hub.offline:
            go_offline()
    else:
        found = _planned(parsed, given, settings)
        sweeps.save(found)
    stderr.print(f"sweep {found.id}; its runs have the tag {found.tag}", highlight=False)
    return _drive(sweeps, found, settings, as_json=parsed.json)


def _planned(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> Sweep:
    """The sweep that was asked for, looked at before anything is begun. Raises FtspaceError."""
    config = anchor(commands.configured(parsed.config, given, parsed.preset))
    axes = parse_grid(parsed.grid, search=bool(parsed.search))
    if parsed.trials is not None and not parsed.search:
        raise ConfigError("--trials is for a search; add --search optuna, or leave it out")
    _check_base(config, search=bool(parsed.search), metric=parsed.metric)
    trials, entries = _cells(parsed, config, axes)
    if config.hub.offline:
        go_offline()
    commands.check(config, settings)
    config = commands.pinned(config)
    _say_time(config, axes, trials, entries, settings)
    return Sweep(
        id=new_id(),
        base=config,
        axes=tuple(AxisOf(**asdict(one)) for one in axes),
        metric=parsed.metric,
        search=parsed.search,
        trials=trials,
        cells=tuple(entries),
    )


def _check_base(config: RunConfig, *, search: bool, metric: str) -> None:
    """Raises ConfigError for a config that a sweep cannot be made of."""
    from ftspace.sweeps.collect import check_metric

    if config.hub.push:
        raise ConfigError("hub.push would push every cell to one place; leave it out, and push the best: ftspace push")
    if not config.eval.tasks and not search:
        raise ConfigError("eval.tasks is empty, so there is nothing to compare the cells by; name a task")
    if metric and search:
        raise ConfigError("--metric ranks a grid; a search goes by the validation loss (or train.best_by score)")
    if metric:
        check_metric(metric, config)


def _cells(parsed: argparse.Namespace, config: RunConfig, axes: list[Axis]) -> tuple[int, list[Entry]]:
    """How many cells a search makes, 0 for a grid, and the cells of a grid."""
    if parsed.search:
        from ftspace.sweeps.search import check_search

        trials = TRIALS if parsed.trials is None else parsed.trials
        check_search(config, axes, trials)
        _ask(trials, yes=parsed.yes)
        return trials, []
    if any(axis.is_range for axis in axes):
        raise ConfigError("a range is searched; add --search optuna")
    _ask(count(axes), yes=parsed.yes)
    return 0, [Entry(name=cell.name, values=cell.values) for cell in cells_of(config, axes)]


def _ask(cells: int, *, yes: bool) -> None:
    """Has many cells confirmed. Raises ConfigError where they are not."""
    if cells <= ASKED_FROM or yes:
        return
    said = f"that makes {cells:,} runs"
    if sys.stdin.isatty():
        stderr.print(f"{said}; make them all? [y/N] ", end="", markup=False, highlight=False)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise ConfigError(f"{said}, and you said no; nothing was begun")
    raise ConfigError(f"{said}; say that you mean it with --yes, or give fewer values")


def _say_time(config: RunConfig, axes: list[Axis], trials: int, entries: list[Entry], settings: Settings) -> None:
    """Says what the sweep will take."""
    from ftspace.sweeps.foresee import foresee

    some = [one.values for one in entries] or [{axis.field: _middle(axis) for axis in axes}]
    cells = trials or len(entries)
    here = this_machine(settings.data_dir, device=config.train.device)
    found = foresee(config, [cell_of(config, one).config for one in some], cells, here)
    if found.seconds is None or found.each is None:
        stderr.print(f"{cells} cells; how long they take is not known: {found.why}", markup=False, highlight=False)
        return
    slots = len(slots_of(settings.runs_dir))
    said = f"{cells} cells of about {duration(found.each)} each on {here.name}: at most {duration(found.seconds)}"
    said += f", {slots} at a time" if slots > 1 else ""
    stderr.print(f"{said}; what is asked of the base is asked once", markup=False, highlight=False, soft_wrap=True)
    if not found.fits:
        stderr.print("warning: not every cell fits into memory; see: ftspace estimate", style="yellow")


def _middle(axis: Axis) -> Any:
    if not axis.is_range:
        return axis.values[0]
    middle = (axis.low * axis.high) ** 0.5 if axis.is_log else (axis.low + axis.high) / 2
    return round(middle) if axis.whole else middle


def _drive(sweeps: SweepStore, found: Sweep, settings: Settings, *, as_json: bool) -> int:
    """Sees the sweep through, then says what it came to; 130 when a Ctrl-C ended it."""
    from ftspace.sweeps.drive import Driver, Listed

    def say(text: str) -> None:
        stderr.print(text, markup=False, highlight=False, soft_wrap=True)

    try:
        with sweeps.driving(found.id):
            if found.search:
                from ftspace.sweeps.search import JOURNAL, Searcher

                at_once = len(slots_of(settings.runs_dir))
                searcher = Searcher(found, sweeps.beside(found.id, JOURNAL), at_once)
                driver = Driver(sweeps, found, settings, searcher, say)
                driver.go()
                driver.test(searcher.best(driver.sweep))
            else:
                driver = Driver(sweeps, found, settings, Listed(), say)
                driver.go()
    except KeyboardInterrupt:
        where = "" if settings.data_dir == _usual(settings) else f" --data-dir {settings.data_dir}"
        say(f"the runs that were begun go on; the rest of the sweep: ftspace sweep --resume {found.id}{where}")
        say(f"end them with: ftspace runs list --tag {found.tag}, then ftspace runs stop RUN")
        return 130
    return _report(driver.sweep, settings, as_json=as_json)


def _usual(settings: Settings) -> Any:
    from ftspace.settings import read_settings

    return read_settings().data_dir


def _report(found: Sweep, settings: Settings, *, as_json: bool) -> int:
    """Prints what the sweep has come to."""
    from ftspace.sweeps.report import document, to_rich

    store = RunStore(settings.runs_dir)
    told, status = document(found, store)
    if as_json:
        stdout.file.write(json.dumps(plain(told), indent=2) + "\n")
    else:
        stdout.print(to_rich(told))
    return status


def _list(sweeps: SweepStore, *, as_json: bool) -> int:
    found = [sweeps.get(one) for one in sweeps.list()]
    if as_json:
        lines = [{"sweep": one.id, "tag": one.tag, "cells": one.trials or len(one.cells)} for one in found]
        stdout.file.write(json.dumps(lines, indent=2) + "\n")
        return 0
    if not found:
        stderr.print("there are no sweeps yet; start one: ftspace sweep --grid train.learning_rate=1e-4,2e-4")
    for one in found:
        what = ", ".join(axis.field for axis in one.axes)
        stdout.print(f"{one.id}  {one.trials or len(one.cells)} cells of {what}", markup=False, highlight=False)
    return 0
