"""The command `ask`: one question or many, answered by base and tuned beside each other. Parses, calls, prints."""

import argparse
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from ftspace import queue
from ftspace.access import OWNER
from ftspace.answering import REFERENCE, Answer, Answering, How, conversation, differing, verdict
from ftspace.chats import new_pad
from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError
from ftspace.inference.client import InferenceClient, Reference, reference_named
from ftspace.questions import PromptSets, Question, kept_back, lines, of_task, read_file
from ftspace.runs import Run, RunStore, is_run_id
from ftspace.serving import add_manner
from ftspace.settings import Settings, reference_token
from ftspace.words import side_name

_SETS = {"kept-back": "the rows kept back from training", "general": "bundled", "instructions": "bundled"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_ask(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `ask`."""
    parser = parsers.add_parser(
        "ask",
        help="put questions to base and tuned, beside each other",
        usage='%(prog)s RUN ["question"] [--file FILE] [--set NAME] [--sides base,tuned] [--json]',
        description="Asks base and tuned (and checkpoints, other runs on the same base, or a reference) the same "
        "questions with the same settings, all at the same time, and says what differs and who is right.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument("question", nargs="?", help="a question")
    parser.add_argument("--file", metavar="FILE", help="questions: one a line, or .jsonl rows as in a task's file")
    parser.add_argument(
        "--set", metavar="NAME", help="a set kept in the app, or kept-back, general, instructions; else a task's file"
    )
    parser.add_argument("--keep", metavar="NAME", help="keep the questions as a set of this name")
    parser.add_argument(
        "--sides",
        default="base,tuned",
        help="who is asked: base, tuned, checkpoint-N, ids of other runs on the same base (default: %(default)s)",
    )
    add_manner(parser)
    parser.add_argument("--max-tokens", type=int, help="longest answer (default: the run's eval.max_new_tokens)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def ask(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace ask`: the exit status, 0 when every question was answered by all."""
    store = RunStore(settings.runs_dir)
    run = store.get(parsed.run)
    sets = PromptSets(settings.data_dir / "prompts" / OWNER.folder)
    questions = _questions(parsed, run, sets)
    if parsed.keep:
        stderr.print(f"kept as {sets.keep(parsed.keep, questions)}", markup=False, highlight=False)
    chosen = run.config
    how = How(
        system=parsed.system if parsed.system is not None else chosen.data.system or "",
        max_tokens=parsed.max_tokens or chosen.eval.max_new_tokens,
        temperature=parsed.temperature,
        top_p=parsed.top_p,
        seed=parsed.seed,
    )
    models = InferenceClient(partial(queue.at_work, store))
    sides, also = _sides(parsed.sides, run, store, models)
    reference = reference_named(parsed.reference, reference_token()) if parsed.reference else None
    sides += [REFERENCE] if reference else []
    stderr.print("loading the models …", highlight=False)
    rows: list[tuple[Question, Mapping[str, Answer]]] = []
    pad, names, trouble = new_pad(run, OWNER.name, "many"), {side: side_name(side) for side in sides}, ""
    try:
        models.open(run, also=also)
        for question in questions:
            answers = _answered(models, run, question, sides, how, reference)
            rows.append((question, answers))
            trouble = pad.keep(question.question, answers, names, asdict(how), accepted=question.answers)
            if not parsed.json:
                _print(question, answers, how)
    finally:
        models.stop()
    if trouble:
        stderr.print(trouble, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if parsed.json:
        stdout.file.write(json.dumps([_document(*row) for row in rows], indent=2, ensure_ascii=False) + "\n")
    return 1 if any(answer.failed for _, answers in rows for answer in answers.values()) else 0


def _questions(parsed: argparse.Namespace, run: Run, sets: PromptSets) -> list[Question]:
    found = lines(parsed.question) if parsed.question and "\n" not in parsed.question else []
    if parsed.question and not found:
        found = [Question(question=parsed.question)]
    if parsed.file:
        found += read_file(Path(parsed.file).expanduser())
    if parsed.set:
        kept = parsed.set not in _SETS and not parsed.set.endswith(".jsonl")
        if parsed.set == "kept-back":
            found += kept_back(run, OWNER)
        else:
            found += sets.read(parsed.set) if kept else of_task(parsed.set)
    if not found:
        raise ConfigError('there is nothing to ask; give a question: ftspace ask RUN "question", or --file, or --set')
    return found


def _sides(named: str, run: Run, store: RunStore, models: InferenceClient) -> tuple[list[str], list[Run]]:
    there = models.sides(run)
    found = [name.strip() for name in named.split(",") if name.strip()]
    also = [store.get(name) for name in found if is_run_id(name)]
    if wrong := next((name for name in found if name not in there and not is_run_id(name)), None):
        raise ConfigError(f"--sides: there is no side {wrong}; there are {', '.join(there) or 'none: no adapter yet'}")
    return list(dict.fromkeys(found)), also


def _answered(
    models: InferenceClient, run: Run, question: Question, sides: Sequence[str], how: How, reference: Reference | None
) -> Mapping[str, Answer]:
    system = question.system or how.system
    messages = {side: conversation([], side, system, question.question) for side in sides}
    work = Answering(models, run, messages, how, reference)
    for _ in work.follow():
        pass
    return work.answers


def _print(question: Question, answers: Mapping[str, Answer], how: How) -> None:
    def say(text: str, style: str = "") -> None:
        stdout.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    say(question.question, "bold")
    for side, answer in answers.items():
        notes = [f"cut off at {how.max_tokens} tokens"] * answer.cut + [answer.failed] * bool(answer.failed)
        say(f"  {side_name(side)}: {answer.text.strip() or '(no text)'}" + "".join(f" [{note}]" for note in notes))
    if question.expected:
        say(f"  Expected: {question.expected}")
    said = verdict(question, answers)
    more = differing(answers) if said == "differs" else ""
    say(f"  {said}{f': {more}' if more else ''}\n", "dim")


def _document(question: Question, answers: Mapping[str, Answer]) -> dict[str, Any]:
    def told(answer: Answer) -> dict[str, Any]:
        return {
            "text": answer.text,
            "first_word_seconds": answer.first,
            "words_a_second": answer.rate,
            "cut_off": answer.cut,
            "failed": answer.failed or None,
            "right": question.is_right(answer.text),
        }

    return {
        "question": question.question,
        "expected": question.expected or None,
        "answers": {side: told(answer) for side, answer in answers.items()},
        "verdict": verdict(question, answers),
    }


def to_csv(rows: Sequence[tuple[Question, Mapping[str, Answer]]], sides: Sequence[str]) -> str:
    """Questions and answers as CSV; no text begins as a spreadsheet's formula does."""
    found = [["question", "expected", *sides, "verdict"]]
    for question, answers in rows:
        texts = [answers[side].text or answers[side].failed for side in sides]
        found.append([question.question, question.expected, *texts, verdict(question, answers)])
    out = io.StringIO()
    harmless = [[f"'{text}" if text.startswith(_FORMULA) else text for text in row] for row in found]
    csv.writer(out, lineterminator="\n").writerows(harmless)
    return out.getvalue()
