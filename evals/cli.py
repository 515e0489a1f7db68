"""The command line of `python -m evals`: run, compare, table. Heavy imports wait until a command needs them.

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

from evals.errors import EvalError, LogError, Stopped
from evals.redact import hide

if TYPE_CHECKING:
    from evals.log import Results

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
    except KeyboardInterrupt:
        sys.stderr.write("evals: interrupted; finished logs stay, and the same command goes on from them\n")
        return 130
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="python -m evals", description="Is a tuned model better than its base, and by how much?")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="run | compare | table | vote | import | export"
    )

    run = commands.add_parser("run", help="evaluate a base model and its tuned self, and compare them")
    run.add_argument("--base", required=True, metavar="MODEL", help="a folder or a Hub id")
    run.add_argument(
        "--tuned", metavar="ADAPTER", help="a folder or a Hub id of a PEFT adapter, or a whole tuned model"
    )
    run.add_argument("--tasks", required=True, metavar="A.jsonl,B.jsonl", help="task files, separated by commas")
    run.add_argument("--out", required=True, type=Path, metavar="DIR", help="where logs, results and tables go")
    run.add_argument("--limit", type=int, metavar="N", help="at most N samples of each task")
    run.add_argument("--revision", metavar="REV", help="the base's branch, tag or commit on the Hub")
    run.add_argument(
        "--trust-code", metavar="COMMIT", help="commit of the base whose own Python code you have read: it is run"
    )
    run.add_argument("--dtype", default="auto", help="auto (float32 on a CPU), float32, bfloat16 or float16")
    run.add_argument("--quantization", choices=("none", "nf4", "int8"), default="none", help="of both (default none)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    run.add_argument("--chat-template", type=Path, metavar="FILE", help="a Jinja template instead of the tokenizer's")
    run.add_argument("--max-new-tokens", type=int, default=64, metavar="N", help="the longest answer (default 64)")
    run.add_argument("--batch-tokens", type=int, default=8192, metavar="N", help="tokens a batch (default 8192)")
    run.add_argument("--seed", type=int, default=0, help="for torch; decoding is greedy (default 0)")
    run.add_argument("--json", action="store_true", help="print the results as one JSON document on stdout")
    run.set_defaults(command=_run)

    comparing = commands.add_parser("compare", help="compare two logs of one task")
    comparing.add_argument("first", type=Path, metavar="LOG", help="the base's log")
    comparing.add_argument("second", type=Path, metavar="LOG", help="the tuned model's log")
    comparing.add_argument("--format", choices=FORMATS, default="rich", help="how to print it (default rich)")
    comparing.set_defaults(command=_compare)

    table = commands.add_parser("table", help="print the results in a folder that `run` wrote")
    table.add_argument("folder", type=Path, metavar="DIR", help="the folder")
    table.add_argument("--format", choices=FORMATS, default="rich", help="how to print it (default rich)")
    table.set_defaults(command=_table)

    from evals.arena import command as arena

    arena.add_parser(commands)

    importing = commands.add_parser("import", help="make a log of what LightEval or lm-eval left of an evaluation")
    importing.add_argument(
        "file", type=Path, metavar="FILE", help="details_TASK_DATE.parquet or samples_TASK_DATE.jsonl"
    )
    importing.add_argument("--side", default="base", metavar="NAME", help="whose it is: base (default), tuned, ...")
    importing.add_argument("--out", required=True, type=Path, metavar="DIR", help="the log becomes DIR/TASK/NAME.json")
    importing.set_defaults(command=_import)

    export = commands.add_parser("export", help="write all answers and scores of a folder into one parquet file")
    export.add_argument("folder", type=Path, metavar="DIR", help="the folder that `run` wrote")
    export.add_argument("--out", required=True, type=Path, metavar="FILE", help="such as samples.parquet")
    export.set_defaults(command=_export)
    return parser


def _run(options: argparse.Namespace) -> None:
    from evals.tasks import load_tasks

    # Before torch is imported: on a busy machine threads that wait by spinning are many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tasks = load_tasks([Path(name) for name in options.tasks.split(",") if name])
    template: str | None = None
    if options.chat_template is not None:
        try:
            template = options.chat_template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LogError(f"{options.chat_template}: the chat template can't be read: {error}") from error
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from evals.plan import Plan
    from evals.run import evaluate, write_results, write_tables

    bars: dict[tuple[str, str], TaskID] = {}
    # Libraries that print must not get into what this command prints.
    with contextlib.redirect_stdout(sys.stderr), Progress(console=Console(stderr=True)) as shown:

        def progress(task: str, which: str, done: int, total: int) -> None:
            if (task, which) not in bars:
                bars[task, which] = shown.add_task(f"{task}, {which}", total=total)
            shown.update(bars[task, which], completed=done)

        plan = Plan(
            base=options.base,
            adapter=options.tuned,
            tasks=tasks,
            revision=options.revision,
            dtype=options.dtype,
            device=options.device,
            quantization=options.quantization,
            trust_code=options.trust_code,
            chat_template=template,
            max_new_tokens=options.max_new_tokens,
            limit=options.limit,
            batch_tokens=options.batch_tokens,
            seed=options.seed,
        )
        results = evaluate(plan, options.out, progress=progress)
        write_results(options.out / "results.json", results)
        write_tables(options.out, results)
    _show(results, "json" if options.json else "rich")


def _compare(options: argparse.Namespace) -> None:
    from evals.compare import compare
    from evals.log import read_log

    _show(compare([read_log(options.first)], [read_log(options.second)]), options.format)


def _table(options: argparse.Namespace) -> None:
    from evals.log import read_results

    path = options.folder / "results.json"
    if not path.exists():
        raise LogError(f"{options.folder}: there is no results.json: name a folder that `python -m evals run` finished")
    _show(read_results(path), options.format)


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
    from evals.export import to_parquet

    rows = to_parquet(options.folder, options.out)
    sys.stdout.write(f"{options.out}: {rows} rows\n")


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
