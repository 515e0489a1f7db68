"""The body of `python -m evals judge`: tells what judging will take, does it, and puts it into the folder's results."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evals.errors import TaskError

if TYPE_CHECKING:
    from evals.judge.asking import Estimate
    from evals.judge.judges import Way
    from evals.judge.report import JudgeReport
    from evals.results import Results

_WAYS: dict[str, tuple["Way", ...]] = {"pairwise": ("pairwise",), "rubric": ("rubric",), "both": ("pairwise", "rubric")}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder that `run` wrote")
    parser.add_argument(
        "--judge",
        action="append",
        required=True,
        metavar="JUDGE",
        help="http://host:8000/v1#model, hub:owner/model (Inference Providers), or a model's folder or Hub id to load "
        "here; give it again for another. Tokens: JUDGE_TOKEN, or JUDGE_1_TOKEN, JUDGE_2_TOKEN, ...; for hub: HF_TOKEN",
    )
    parser.add_argument(
        "--ask",
        choices=tuple(_WAYS),
        default="pairwise",
        help="which of two answers is better, in both orders; how good each is, 1 to 10; or both (default pairwise)",
    )
    parser.add_argument(
        "--rubric", type=Path, metavar="FILE", help="criteria and ratings in YAML, instead of the default"
    )
    parser.add_argument("--tasks", metavar="A,B", help="only these tasks")
    parser.add_argument("--sides", default="tuned", metavar="A,B", help="compare these with the base (default tuned)")
    parser.add_argument("--calls", type=int, default=1000, metavar="N", help="ask at most so often (default 1000)")
    parser.add_argument("--price", type=float, metavar="P", help="what a million tokens cost: the cost is told")
    parser.add_argument("--money", type=float, metavar="M", help="spend at most so much; needs --price")
    parser.add_argument("--concurrency", type=int, default=8, metavar="N", help="calls at once (default 8)")
    parser.add_argument("--timeout", type=float, default=120, metavar="S", help="seconds a call may take (default 120)")
    parser.add_argument("--dry-run", action="store_true", help="only tell what it would take")


def judge(options: argparse.Namespace) -> "Results | None":
    """Carry out the command; None for a dry run. Raises EvalError."""
    from evals.endpoint import Limits, Meter
    from evals.judge.judges import parse_judges
    from evals.judge.report import Judging, estimate, judge_folder
    from evals.judge.rubric import load_rubric

    if options.calls < 1 or options.concurrency < 1 or options.timeout <= 0:
        raise TaskError("--calls, --concurrency and --timeout must be above 0")
    judging = Judging(
        folder=options.folder,
        judges=parse_judges(options.judge, os.environ),
        tasks=[name for name in options.tasks.split(",") if name] if options.tasks else None,
        sides=tuple(name for name in options.sides.split(",") if name),
        ways=_WAYS[options.ask],
        rubric=load_rubric(options.rubric),
        budget=Meter(options.calls, money=options.money, price=options.price),
    )
    told = estimate(judging)
    sys.stderr.write(in_words(told, options.calls, options.money) + "\n")
    if options.dry_run:
        return None
    from rich.console import Console
    from rich.progress import Progress, TaskID

    bars: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True)) as shown:

        def progress(name: str, done: int, total: int) -> None:
            if name not in bars:
                bars[name] = shown.add_task(name, total=total)
            shown.update(bars[name], completed=done)

        limits = Limits(concurrency=options.concurrency, timeout=options.timeout)
        report = judge_folder(judging, limits=limits, progress=progress)
    return into_results(options.folder, report)


def into_results(folder: Path, report: "JudgeReport") -> "Results":
    """Compare the folder anew with what the judges said, in place of what an earlier judging said, and write it.

    Raises LogError.
    """
    from evals.compare import compare_folder
    from evals.judge.report import with_judges
    from evals.results import RESULTS_FILE, read_results, write_results
    from evals.table import write_tables

    path = folder / RESULTS_FILE
    results = compare_folder(folder, report.pairs)
    if path.exists():
        before = read_results(path)
        results = results.model_copy(update={"findings": before.findings, "change": before.change})
    results = with_judges(folder, results, report)
    write_results(path, results)
    write_tables(folder, results)
    return results


def in_words(told: "Estimate", limit: int, money: float | None = None) -> str:
    """What judging takes, in a sentence or three."""
    text = f"{told.judgements} verdicts and ratings, {told.known} of them known; {told.calls} calls"
    if told.local:
        text += f" and {told.local} questions to models loaded here"
    if told.calls:
        text += f", about {told.tokens:,} tokens"
        text += f" that cost about {told.cost:.2f}" if told.cost is not None else ", no price given (--price)"
    if told.beyond:
        text += f". {told.beyond} calls are beyond the budget of {limit} and will be missing"
    if told.cost is not None and money is not None and told.cost > money:
        text += f". That is more than {money:g}: what is beyond will be missing"
    return text + "."
