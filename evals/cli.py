"""The command line of `python -m evals`. Heavy imports wait until a command needs them.

A person's mistake is one line on stderr and exit status 2, the program's own failure a traceback and 1.
"""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from evals.commands import Terminated, add_options, run
from evals.errors import EvalError, LogError, Stopped
from evals.judge import command
from evals.redact import hide

if TYPE_CHECKING:
    from evals.results import Results

FORMATS = ("rich", "markdown", "csv", "json")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except Stopped:
        return 130
    except EvalError as error:
        held = [value for name, value in os.environ.items() if name.endswith("TOKEN")]
        sys.stderr.write(f"evals: {hide(str(error), held)}\n")
        return 2
    except KeyboardInterrupt as stop:
        return 143 if isinstance(stop, Terminated) else 130
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="python -m evals", description="Is a tuned model better than its base, and by how much?")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="run | compare | table | judge | vote | import | export | schema"
    )

    asking = commands.add_parser("run", help="evaluate a base model and its tuned self, and compare them")
    add_options(asking)
    asking.set_defaults(command=_run)

    comparing = commands.add_parser("compare", help="compare two logs of one task")
    comparing.add_argument("first", type=Path, metavar="LOG", help="the base's log, or any side's")
    comparing.add_argument(
        "second", type=Path, metavar="LOG", help="the tuned model's log, or any other side's, of this run or another"
    )
    comparing.add_argument("--format", choices=FORMATS, default="rich", help="how to print it (default rich)")
    comparing.set_defaults(command=_compare)

    table = commands.add_parser("table", help="print the results in a folder that `run` wrote, or compare its logs")
    table.add_argument("folder", type=Path, metavar="DIR", help="the folder")
    table.add_argument("--format", choices=FORMATS, default="rich", help="how to print it (default rich)")
    table.add_argument("--again", action="store_true", help="compare the logs anew instead of reading results.json")
    table.set_defaults(command=_table)

    judging = commands.add_parser("judge", help="let models judge the answers in a folder that `run` wrote")
    command.add_options(judging)
    judging.add_argument("--json", action="store_true", help="print the results as one JSON document on stdout")
    judging.set_defaults(command=_judge)

    from evals.arena import command as arena

    arena.add_parser(commands)

    importing = commands.add_parser("import", help="make a log of what LightEval or lm-eval left of an evaluation")
    importing.add_argument(
        "file", type=Path, metavar="FILE", help="details_TASK_DATE.parquet or samples_TASK_DATE.jsonl"
    )
    importing.add_argument("--side", default="base", metavar="NAME", help="whose it is: base (default), tuned, ...")
    importing.add_argument("--out", required=True, type=Path, metavar="DIR", help="the log becomes DIR/TASK/NAME.json")
    importing.set_defaults(command=_import)

    export = commands.add_parser("export", help="write all answers and scores of a folder into one parquet or CSV file")
    export.add_argument("folder", type=Path, metavar="DIR", help="the folder that `run` wrote")
    export.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="such as samples.parquet, or samples.csv"
    )
    export.set_defaults(command=_export)

    describing = commands.add_parser("schema", help="print what the files of an evaluation hold, as Markdown")
    describing.set_defaults(command=_schema)
    return parser


def _run(options: argparse.Namespace) -> None:
    try:
        results = run(options)
    except (KeyboardInterrupt, Stopped):
        sys.stderr.write(
            f"evals: interrupted; finished logs stay in {options.out}, and the same command goes on from them\n"
        )
        raise
    _show(results, "json" if options.json else "rich")


def _compare(options: argparse.Namespace) -> None:
    from evals.compare import compare
    from evals.log import read_log

    _show(compare([read_log(options.first)], [read_log(options.second)]), options.format)


def _table(options: argparse.Namespace) -> None:
    from evals.results import RESULTS_FILE, read_results

    path = options.folder / RESULTS_FILE
    if options.again or not path.exists():
        from evals.compare import compare_folder

        _show(compare_folder(options.folder), options.format)
        return
    _show(read_results(path), options.format)


def _judge(options: argparse.Namespace) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        results = command.judge(options)
    if results is not None:
        _show(results, "json" if options.json else "rich")


def _import(options: argparse.Namespace) -> None:
    from evals.importing import import_log
    from evals.log import write_log

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", options.side):
        raise LogError(f"--side {options.side!r} must be letters, digits, dash and underscore: it names a file")
    log = import_log(options.file, options.side)
    path = options.out / log.spec.task / f"{options.side}.json"
    write_log(path, log)
    sys.stdout.write(f"{path}\n")


def _export(options: argparse.Namespace) -> None:
    from evals.export import to_csv, to_parquet

    write = to_csv if options.out.suffix == ".csv" else to_parquet
    rows = write(options.folder, options.out)
    sys.stdout.write(f"{options.out}: {rows} rows\n")


def _schema(_: argparse.Namespace) -> None:
    from evals.schema import to_markdown

    sys.stdout.write(to_markdown())


def _show(results: "Results", form: str) -> None:
    from evals import table

    if form == "rich":
        from rich.console import Console

        Console().print(table.to_rich(results))
        return
    texts = {
        "json": lambda: results.model_dump_json(indent=1) + "\n",
        "markdown": lambda: table.to_markdown(results),
        "csv": lambda: table.to_csv(results),
    }
    sys.stdout.write(texts[form]())
