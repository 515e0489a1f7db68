"""The command `runs answers`: single questions with both answers, as step 4 shows them, or all of them as a file."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError, JobError
from ftspace.runs import RunStore


def add_answers(runs: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `runs answers`."""
    from evals.plan import BASE, TUNED

    text = "a run's answers one by one, worst first, or all of them as a file"
    parser = runs.add_parser("answers", help=text, description=text, parents=[where])
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument("--task", metavar="TASK", help="the task (default: the first of its table)")
    parser.add_argument("--first", default=BASE, metavar="SIDE", help="whose answers (default base)")
    parser.add_argument("--second", default=TUNED, metavar="SIDE", help="and whose beside them (default tuned)")
    parser.add_argument(
        "--show", default="", metavar="WORDS", help="one of right-to-wrong, wrong-to-right, both-wrong, both-right and "
        "unscored, and behind commas any of differ, judge, contaminated and cut",
    )  # fmt: skip
    parser.add_argument("--find", default="", metavar="TEXT", help="must stand in question or answers")
    parser.add_argument("--category", default="", metavar="NAME", help="only this kind of question")
    parser.add_argument("--count", type=int, default=10, metavar="N", help="at most so many (default 10; 0 is all)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="write all answers of all sides, with prompts and scores, to FILE.csv or FILE.parquet",
    )


def answers(parsed: argparse.Namespace, store: RunStore) -> int:
    """`ftspace runs answers`: prints or writes them; the exit status."""
    from evals.errors import LogError
    from evals.export import to_csv, to_parquet
    from evals.results import read_results
    from ftspace.report.drill import MARKS, OUTCOMES, Wanted, drill_of, tasks_of

    run = store.get(parsed.run)
    try:
        if parsed.out:
            out = Path(parsed.out).expanduser()
            rows = (to_csv if out.suffix == ".csv" else to_parquet)(run.evals, out)
            stderr.print(f"{out} holds {rows:,} answers", markup=False, highlight=False, soft_wrap=True)
            return 0
        if not run.results.exists():
            raise JobError(f"run {run.id} has no results yet; compare it: ftspace runs evaluate {run.id}")
        results = read_results(run.results)
        tasks = tasks_of(results)
        task = parsed.task or next(iter(tasks), "")
        if task not in tasks:
            raise ConfigError(f"--task {task}: the run was asked {', '.join(tasks) or 'nothing'}")
        drill = drill_of(run, results, task, parsed.first, parsed.second)
        wanted = Wanted.of(parsed.show, parsed.find, parsed.category)
        if odd := sorted({*parsed.show.split(",")} - {"", *wanted.show.split(",")}):
            words = ", ".join(one.replace(" ", "-") for one in OUTCOMES)
            raise ConfigError(
                f"--show {','.join(odd)}: give one of {words}, and behind commas any of {', '.join(MARKS)}"
            )
        found = drill.select(wanted)
    except LogError as error:
        raise JobError(str(error)) from error
    shown = [drill.pairs[at] for at in (found[: parsed.count] if parsed.count > 0 else found)]
    said = [
        {
            "id": one.id,
            "change": one.change,
            "question": one.question,
            "expected": one.expected,
            parsed.first: one.first,
            f"{parsed.second} too" if parsed.second == parsed.first else parsed.second: one.second,
            "scores": [_score(one.first_score), _score(one.second_score)],
            "contaminated": one.contaminated,
            "category": one.category or None,
        }
        for one in shown
    ]
    if parsed.json:
        stdout.file.write(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
        return 0
    for one in said:
        stdout.rule(f"{task}, sample {one['id']}: {one['change']}", style="dim")
        for name in list(one)[2:6]:
            stdout.print(f"{name}: {_plain(str(one[name]))}", markup=False, highlight=False, soft_wrap=True)
    stderr.print(f"{len(said):,} of {len(found):,} questions like that, of {len(drill.pairs):,}", highlight=False)
    return 0


def _score(value: float) -> float | None:
    return None if math.isnan(value) else value


def _plain(text: str) -> str:
    """Without the characters by which an answer could move the cursor or change colours."""
    return "".join(one for one in text if one in "\n\t" or one.isprintable())
