"""The body of `python -m evals run`: its options, the plan that they make, and the asking with its progress shown."""

import argparse
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.errors import LogError, TaskError

if TYPE_CHECKING:
    from evals.plan import Other
    from evals.results import Results
    from evals.tasks import Message

TOKEN = "REFERENCE_TOKEN"
"""The environment variable with what a reference model's endpoint asks for."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM): as after Ctrl-C, what is finished stays."""


def add_options(run: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    run.add_argument("--base", required=True, metavar="MODEL", help="a folder or a Hub id")
    run.add_argument(
        "--tuned", metavar="ADAPTER", help="a folder or a Hub id of a PEFT adapter, or a whole tuned model"
    )
    run.add_argument("--out", required=True, type=Path, metavar="DIR", help="where logs, results and tables go")
    asked = run.add_argument_group("what is asked")
    asked.add_argument(
        "--tasks",
        required=True,
        metavar="A,B",
        help="JSONL files, bundled suites (general, instructions) and LightEval's tasks (gsm8k|4), between commas",
    )
    asked.add_argument(
        "--forgetting", metavar="A,B", help="the same, asked for what tuning loses and not for what it gives"
    )
    asked.add_argument("--limit", type=int, metavar="N", help="at most N samples of each task")
    asked.add_argument("--max-new-tokens", type=int, default=64, metavar="N", help="the longest answer (default 64)")
    asked.add_argument("--metrics", metavar="A,B", help="metrics of written answers (default: those that suit a task)")
    asked.add_argument(
        "--embedding-model", metavar="M", help="a local model for semantic similarity (default: without)"
    )
    asked.add_argument(
        "--trained-on",
        type=Path,
        metavar="FILE",
        help="the training rows, a text or a JSON object a line: samples that they repeat are told and set apart",
    )
    sides = run.add_argument_group("who is asked beside base and tuned")
    sides.add_argument("--noise", action="store_true", help="the base again, in other batches: the noise floor")
    sides.add_argument(
        "--shots", type=int, default=0, metavar="N", help="the base with N examples before each question"
    )
    sides.add_argument(
        "--examples",
        type=Path,
        metavar="FILE",
        help='where they are drawn from: JSONL of {"messages": [...]}, each ending with the assistant\'s answer',
    )
    sides.add_argument(
        "--earlier",
        action="append",
        default=[],
        metavar="NAME=ADAPTER",
        help="another adapter of the same base; may be given several times",
    )
    sides.add_argument(
        "--reference",
        metavar="URL#MODEL",
        help=f"a model behind an OpenAI-compatible endpoint, http://host:8000/v1#model; its token is read from {TOKEN}",
    )
    how = run.add_argument_group("how it is asked")
    how.add_argument("--revision", metavar="REV", help="the base's branch, tag or commit on the Hub")
    how.add_argument(
        "--trust-code", metavar="COMMIT", help="commit of the base whose own Python code you have read: it is run"
    )
    how.add_argument("--dtype", default="auto", help="auto (float32 on a CPU), float32, bfloat16 or float16")
    how.add_argument("--quantization", choices=("none", "nf4", "int8"), default="none", help="of all (default none)")
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    how.add_argument("--chat-template", type=Path, metavar="FILE", help="a Jinja template instead of the tokenizer's")
    how.add_argument("--batch-tokens", type=int, default=8192, metavar="N", help="tokens a batch (default 8192)")
    how.add_argument("--seed", type=int, default=0, help="for torch and what is drawn; decoding is greedy (default 0)")
    run.add_argument("--json", action="store_true", help="print the results as one JSON document on stdout")


def run(options: argparse.Namespace) -> "Results":
    """Carry out the command and write results and tables. Raises EvalError, and Terminated on SIGTERM."""
    from evals.plan import Plan
    from evals.tasks import resolve_tasks

    # Before torch is imported: on a busy machine threads that wait by spinning are many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    others = list(_others(options))
    metrics = _listed(options.metrics)
    trained_on = None if options.trained_on is None else _training_texts(options.trained_on)
    template = None if options.chat_template is None else _text(options.chat_template, "the chat template")
    # Libraries that print must not get into what this command prints.
    with contextlib.redirect_stdout(sys.stderr):
        tasks = resolve_tasks(_listed(options.tasks))
        if options.forgetting:
            tasks += resolve_tasks(_listed(options.forgetting), role="forgetting")
        plan = Plan(
            base=options.base,
            adapter=options.tuned,
            tasks=tasks,
            others=others,
            trained_on=trained_on,
            revision=options.revision,
            dtype=options.dtype,
            device=options.device,
            quantization=options.quantization,
            trust_code=options.trust_code,
            chat_template=template,
            max_new_tokens=options.max_new_tokens,
            limit=options.limit,
            batch_tokens=options.batch_tokens,
            metrics=metrics,
            embedding_model=options.embedding_model,
            seed=options.seed,
        )
        return _asked(plan, options.out)


def _asked(plan: Any, out: Path) -> "Results":
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from evals.results import RESULTS_FILE
    from evals.run import evaluate, write_results, write_tables

    bars: dict[tuple[str, str], TaskID] = {}
    with _terminable(), Progress(console=Console(stderr=True)) as shown:

        def progress(task: str, side: str, done: int, total: int) -> None:
            if (task, side) not in bars:
                bars[task, side] = shown.add_task(f"{task}, {side}", total=total)
            shown.update(bars[task, side], completed=done, total=total)

        results = evaluate(plan, out, progress=progress)
        write_results(out / RESULTS_FILE, results)
        write_tables(out, results)
    return results


@contextlib.contextmanager
def _terminable() -> Generator[None]:
    """SIGTERM ends what is at work as Ctrl-C does; every file is whole or not there."""

    def stop(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _others(options: argparse.Namespace) -> "Iterator[Other]":
    from evals.plan import Again, Earlier, Prompted, Reference

    if options.shots:
        yield Prompted(tuple(_drawn(options)))
    for text in options.earlier:
        name, _, adapter = text.partition("=")
        if not name or not adapter:
            raise TaskError(f"--earlier {text}: write NAME=ADAPTER, such as step-40=runs/a/checkpoint-40")
        yield Earlier(name, adapter)
    if options.reference:
        url, _, model = options.reference.partition("#")
        if not url or not model:
            raise TaskError(f"--reference {options.reference}: write URL#MODEL, such as http://host:8000/v1#model")
        yield Reference(url, model, os.environ.get(TOKEN) or None)
    if options.noise:
        yield Again()


def _drawn(options: argparse.Namespace) -> "list[tuple[Message, ...]]":
    """Examples of the file, drawn by the seed and in its order."""
    from pydantic import ValidationError

    from evals.tasks import Message

    if options.examples is None or options.shots < 0:
        raise TaskError("--shots takes a number of examples, and --examples the file that they are drawn from")
    found: list[tuple[Message, ...]] = []
    for where, row in _rows(options.examples):
        try:
            turns = tuple(Message.model_validate(turn) for turn in row["messages"])
        except (ValidationError, KeyError, TypeError) as error:
            raise TaskError(f'{where}: an example is {{"messages": [{{"role", "content"}}, ...]}}') from error
        if len(turns) < 2 or turns[-1].role != "assistant" or not any(turn.role == "user" for turn in turns):
            raise TaskError(f"{where}: an example has a user's turn and ends with the assistant's")
        found.append(turns)
    if len(found) < options.shots:
        raise TaskError(f"{options.examples}: {options.shots} examples are wanted and there are {len(found)}")
    places = random.Random(options.seed).sample(range(len(found)), options.shots)
    return [found[place] for place in sorted(places)]


def _training_texts(path: Path) -> list[str]:
    """One text a row: of a JSON object all that is said in it, of another line the line."""
    if path.suffix in (".jsonl", ".json"):
        return ["\n".join(_said(row)) for _, row in _rows(path)]
    return [line for line in _text(path, "the training rows").splitlines() if line.strip()]


def _said(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            if name != "role":
                yield from _said(one)
    elif isinstance(value, list):
        for one in value:
            yield from _said(one)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_text(path, "the file").split("\n"), start=1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except ValueError as error:
                raise TaskError(f"{path}:{number}: not JSON: {error}") from error


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f"{path}: {what} can't be read: {error}") from error


def _listed(text: str | None) -> Sequence[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]
