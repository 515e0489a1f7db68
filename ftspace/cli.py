"""`python -m ftspace`: the commands that a person types. Parses, calls, prints; decides nothing itself.

Everything but results goes to stderr. Exit status: 0 done, 2 the user can mend it, 1 the program's fault, 130 stopped.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ftspace import (
    __version__,
    asking,
    commands,
    deploying,
    estimation,
    export_command,
    finding,
    labelling,
    merging,
    queue,
    recipes,
    serving,
)
from ftspace.config import anchor, load_config, merge
from ftspace.console import stderr, stdout
from ftspace.disk import is_disk_full
from ftspace.errors import ConfigError, FtspaceError
from ftspace.flags import add_flags, overrides, spell_out, unknown_flags
from ftspace.gc import add_gc, gc
from ftspace.hub.imports import command as import_command
from ftspace.hub.jobs import command as jobs_command
from ftspace.hub.push import command as push_command
from ftspace.outcome import print_failure, print_results, resume, see_through, summary
from ftspace.preflight.command import add_preflight, preflight
from ftspace.presets import add_preset
from ftspace.report.answers_command import add_answers, answers
from ftspace.report.command import add_report, report
from ftspace.runs import RunReader, RunStore
from ftspace.settings import Settings, go_offline, read_settings
from ftspace.sweeps import command as sweeping
from ftspace.voting import add_vote_command, vote_command


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] in (
        ["run"],
        ["preflight"],
        ["inspect"],
        ["prepare"],
        ["curve"],
        ["estimate"],
        ["sweep"],
        ["recipe"],
        ["lr-find"],
    ):
        words = spell_out(words)
    parser, functions = build_parser()
    parsed, unknown = parser.parse_known_args(words)
    try:
        if unknown:
            raise ConfigError(unknown_flags(unknown))
        return functions[parsed.command](parsed, read_settings(getattr(parsed, "data_dir", None)))
    except FtspaceError as error:
        return _refused(str(error))
    except OSError as error:
        if not is_disk_full(error):
            raise
        return _refused(f"{error.filename or 'a file'} cannot be written: {error.strerror}; make room: ftspace runs gc")
    except KeyboardInterrupt:
        return 130


def _refused(why: str) -> int:
    stderr.print(f"error: {why}", style="red", markup=False, highlight=False, soft_wrap=True)
    return 2


def build_parser() -> tuple[argparse.ArgumentParser, dict[str, Callable[[argparse.Namespace, Settings], int]]]:
    """The parser of all commands, and the function behind each."""
    parser = argparse.ArgumentParser(
        prog="ftspace", description="Fine-tune a language model with LoRA and learn whether it got better."
    )
    parser.add_argument("--version", action="version", version=__version__)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--data-dir",
        default=argparse.SUPPRESS,
        help="folder that holds runs (default: FTSPACE_DATA, else `data` in the project)",
    )
    parsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = parsers.add_parser(
        "run",
        help="fine-tune, compare with the base, show the verdict",
        usage="%(prog)s [CONFIG.yaml] [--model M] [--dataset D] [--preset P] [--SECTION.FIELD VALUE ...] [--json]",
        description="Fine-tunes a model, compares it with its base and shows the verdict. Without arguments: the "
        "embedded default. --model M and --dataset D are short for --model.id and --data.id.",
        allow_abbrev=False,
        parents=[where],
    )
    run.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    add_preset(run)
    run.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the table")
    source = add_flags(run)

    look = parsers.add_parser(
        "inspect",
        help="how a dataset is read, how long its rows are, what is trained",
        usage="%(prog)s DATASET [--model M] [--data.FIELD VALUE ...] [--json]",
        description="Reads a dataset as a run would and says how: format, mapping, rows left out, tokens, what is cut "
        "off, what is trained, three rows as the model reads them. --model M is short for --model.id.",
        allow_abbrev=False,
        parents=[where],
    )
    look.add_argument("dataset", metavar="DATASET", help="Hub id of a dataset, or a local file or folder")
    look.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    looked = add_flags(look, "inspect")
    prepared = commands.add_prepare(parsers)
    curve = commands.add_curve(parsers, where)
    swept = sweeping.add_sweep(parsers, where)
    estimated = estimation.add_estimate(parsers, where)
    looked_ahead = add_preflight(parsers, where)
    merging.add_merge(parsers, where)
    export_command.add_export(parsers, where)
    add_report(parsers, where)
    asking.add_ask(parsers, where)
    push_command.add_push(parsers, where)
    import_command.add_import(parsers, where)
    finding.add_find(parsers, where)
    jobs_command.add_flavors(parsers)
    deploying.add_deploy(parsers, where)
    serving.add_serve(parsers, where)
    serving.add_chat(parsers, where)
    recipe = recipes.add_recipe(parsers, where)
    rates = recipes.add_lr_find(parsers, where)

    runs = parsers.add_parser(
        "runs", help="list, show, compare, name, stop, resume and delete runs, and free the disk"
    ).add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in {
        "show": "what became of a run, and its results",
        "config": "the run's config as YAML, ready for `ftspace run`",
        "numbers": "all that a run told of its steps and validations, as CSV",
        "stop": "end a run at its next step, its adapter saved",
        "resume": "go on with a run that was stopped, has failed or was cut off, from its newest checkpoint",
        "evaluate": "compare a trained run once more: base and tuned, as its config says",
        "move": "let a run that waits come earlier or later among yours",
    }.items():
        sub = runs.add_parser(action, help=text, description=text, parents=[where])
        sub.add_argument("run", metavar="RUN", help="a run's id")
        if action == "stop":
            sub.add_argument("--discard", action="store_true", help="keep nothing of it: no adapter, no checkpoints")
        if action == "move":
            sub.add_argument("--by", type=int, required=True, metavar="N", help="places: -1 is one earlier")
        if action in ("show", "resume", "evaluate"):
            sub.add_argument("--json", action="store_true", help="print JSON")
    add_answers(runs, where)
    add_vote_command(runs, where)
    labelling.add_labelling(runs, where)
    add_gc(runs, where)
    text = "what this machine has and lacks: versions, device, memory, Hub"
    doctor = parsers.add_parser("doctor", help=text, description=text, parents=[where])
    doctor.add_argument("--json", action="store_true", help="print JSON")
    return parser, {
        "run": lambda parsed, settings: _run(parsed, overrides(source, parsed), settings),
        "inspect": lambda parsed, _: _inspect(parsed, overrides(looked, parsed)),
        "prepare": lambda parsed, _: commands.prepare(parsed, overrides(prepared, parsed)),
        "curve": lambda parsed, settings: commands.curve(parsed, overrides(curve, parsed), settings),
        "sweep": lambda parsed, settings: sweeping.sweep(parsed, overrides(swept, parsed), settings),
        "estimate": lambda parsed, settings: estimation.estimate(parsed, overrides(estimated, parsed), settings),
        "preflight": lambda parsed, settings: preflight(parsed, overrides(looked_ahead, parsed), settings),
        "merge": merging.merge,
        "export": export_command.export,
        "report": report,
        "ask": asking.ask,
        "push": push_command.push,
        "import": import_command.import_adapter,
        "find": finding.find,
        "flavors": jobs_command.flavors,
        "deploy": deploying.deploy,
        "serve": serving.serve,
        "chat": serving.chat,
        "recipe": lambda parsed, settings: recipes.recipe(parsed, overrides(recipe, parsed), settings),
        "lr-find": lambda parsed, settings: recipes.lr_find(parsed, overrides(rates, parsed), settings),
        "runs": _runs,
        "doctor": _doctor,
    }


def _run(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    config = commands.configured(parsed.config, given, parsed.preset)
    if config.hub.offline:
        go_offline()
    from ftspace import jobs

    config = anchor(config)
    commands.check(config, settings)
    run = jobs.begin(RunStore(settings.runs_dir), config)
    stderr.print(f"run {run.id} in {run.path}", markup=False, highlight=False, soft_wrap=True)
    return see_through(RunReader(run), settings, as_json=parsed.json)


def _inspect(parsed: argparse.Namespace, given: dict[str, Any]) -> int:
    config = load_config(overrides=merge(given, {"data": {"id": parsed.dataset}}))
    if config.hub.offline:
        go_offline()
    from ftspace.data.prepare import preview
    from ftspace.inspection import to_rich
    from ftspace.preflight import find_model

    find_model(config)
    first = preview(config.data)
    stderr.print(f"{config.data.id} is read as {first.format}; counting tokens …", markup=False, highlight=False)
    from ftspace.training.inspect import inspect

    found = inspect(config, _every(20_000))
    if "id" not in given.get("model", {}):
        said = f"tokens are those of {config.model.id}; give --model to count with another model's"
        found = found.model_copy(update={"warnings": [*found.warnings, said]})
    if parsed.json:
        stdout.file.write(found.model_dump_json(indent=2) + "\n")
    else:
        stdout.print(to_rich(found))
    return 0


def _every(rows: int) -> Callable[[int], None]:
    """Says how many rows have been looked at, each time that so many more have."""
    told = 0

    def looked(count: int) -> None:
        nonlocal told
        if count >= told + rows:
            told = count
            stderr.print(f"  {count:,} rows looked at", highlight=False)

    return looked


def _show(parsed: argparse.Namespace, store: RunStore) -> int:
    run = store.get(parsed.run)
    reader = RunReader(run)
    if parsed.json:
        stdout.file.write(json.dumps(summary(run, reader), indent=2) + "\n")
        return 0
    status = reader.status()
    place = next((one for one in queue.waiting(store) if one.run.id == run.id), None)
    said = [end.message for job in run.jobs if (end := reader.state.ended.get(job)) and end.message]
    said = [str(place)] if place else said
    stdout.print(f"run {run.id}: {status}" + (f" ({'; '.join(said)})" if said else ""), markup=False)
    stdout.print(f"model {run.config.model.id}, dataset {run.config.data.id}, folder {run.path}", markup=False)
    if reader.state.prepared and reader.state.steps:
        last = reader.state.steps[-1]
        stdout.print(f"step {last.step} of {reader.state.prepared.total_steps}, loss {last.loss:.3f}", highlight=False)
        stdout.print(commands.diagnosis_line(reader), markup=False, highlight=False)
    print_results(run)
    print_failure(run, reader)
    return 0


def _config(parsed: argparse.Namespace, store: RunStore) -> int:
    stdout.file.write(store.get(parsed.run).config.to_yaml())
    return 0


def _numbers(parsed: argparse.Namespace, store: RunStore) -> int:
    from ftspace.report.history import as_csv

    reader = RunReader(store.get(parsed.run))
    reader.refresh()
    stdout.file.writelines(as_csv(reader.state))
    return 0


def _stop(parsed: argparse.Namespace, store: RunStore) -> int:
    from ftspace import jobs

    run = store.get(parsed.run)
    jobs.stop(run, discard=parsed.discard)
    kept = "nothing of it is kept" if parsed.discard else "with its adapter saved"
    stderr.print(f"run {run.id} stops at its next step, {kept}")
    return 0


def _runs(parsed: argparse.Namespace, settings: Settings) -> int:
    return gc(parsed, settings) if parsed.action == "gc" else _RUNS[parsed.action](parsed, RunStore(settings.runs_dir))


_RUNS: dict[str, Callable[[argparse.Namespace, RunStore], int]] = {
    "show": _show,
    "config": _config,
    "numbers": _numbers,
    "stop": _stop,
    "resume": resume,
    "evaluate": import_command.evaluate,
    "answers": answers,
    "vote": vote_command,
    "move": commands.move,
    **labelling.ACTIONS,
}


def _doctor(parsed: argparse.Namespace, settings: Settings) -> int:
    from ftspace.doctor import examine

    findings = examine(settings)
    if parsed.json:
        lines = [{"level": one.level, "what": one.what, "detail": one.detail} for one in findings]
        stdout.file.write(json.dumps(lines, indent=2) + "\n")
    else:
        table = Table("", "what", "found")
        colours = {"ok": "green", "warning": "yellow", "missing": "red"}
        for one in findings:
            table.add_row(f"[{colours[one.level]}]{one.level}[/]", escape(one.what), escape(one.detail))
        stdout.print(table)
    return 2 if any(one.level == "missing" for one in findings) else 0
