"""Logs of one or many tasks and sides -> rows, and a verdict in words: what `results.json` holds.

Knows logs and statistics; knows nothing of models. Of files only the folder that an evaluation leaves.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from evals.errors import LogError
from evals.findings import find
from evals.log import EvalLog, EvalSpec, Sample, read_log
from evals.metrics import metric
from evals.pairs import Pairs, check_alike, metric_names, pairs_among, pairs_of, role_of, score
from evals.plan import BASE, TUNED
from evals.results import Asked, Results, Role, SideBySide, read_asked
from evals.rows import mean_of, tabulate
from evals.shown import worst_first
from evals.wording import in_words, sentence

__all__ = ["Pairs", "alone", "asked_of", "check_alike", "compare", "compare_folder", "in_words", "pairs_of", "tabulate"]

ASKED_FILE = "evaluation.json"
SHOWN = 5


def compare(base_logs: Sequence[EvalLog], tuned_logs: Sequence[EvalLog]) -> Results:
    """Compare two models on the tasks both were asked: base and tuned, or any two sides, of one run or of two.

    Pairs in which either has no score are left out and counted.

    Args:
        base_logs: one log a task.
        tuned_logs: of the same tasks, in any order.

    Raises:
        LogError: a task is missing in one set, or two logs differ in something that the scores depend on.
    """
    tuned_by_task = {log.spec.task: log for log in tuned_logs}
    base_tasks = [log.spec.task for log in base_logs]
    odd = sorted(set(base_tasks) ^ set(tuned_by_task))
    if odd or not base_tasks:
        raise LogError(f"task {odd[0]}: only one of the two models was asked it" if odd else "no logs to compare")
    logs = [_told_apart(log, tuned_by_task[log.spec.task]) for log in base_logs]
    rows = tabulate([one for first, second in logs for one in pairs_of(first, second, _reason(first, second))])
    return Results(rows=rows, verdict=sentence(rows), samples=side_by_side(logs))


def compare_folder(folder: Path, extra_pairs: Sequence[Pairs] = ()) -> Results:
    """Compare all that lies in an evaluation's folder, anew.

    Args:
        folder: with `<task>/<side>.json`, and `evaluation.json` where an evaluation ended; without it all logs count.
        extra_pairs: scores that are in no log, such as a judge's; they share the table's adjustment of p.

    Raises:
        LogError: there are no logs, one is damaged, or two are unlike.
    """
    asked = asked_of(folder)
    if not any(asked.sides.values()):
        raise LogError(f"{folder}: there are no logs; name a folder that `python -m evals run` wrote")
    logs = {
        task: {side: read_log(folder / task / f"{side}.json") for side in sides} for task, sides in asked.sides.items()
    }
    return results_of(logs, asked, extra_pairs)


def asked_of(folder: Path) -> Asked:
    """What was asked of whom, by an evaluation's folder: its `evaluation.json`; without one all logs count.

    Logs that lie there besides are left by an evaluation before. Raises LogError if `evaluation.json` is damaged.
    """
    path = folder / ASKED_FILE
    if path.exists():
        return read_asked(path)
    found = sorted((log for log in folder.glob("*/*.json")), key=lambda log: (log.stem not in (BASE, TUNED), log))
    tasks = sorted({log.parent.name for log in found})
    return Asked(sides={task: tuple(log.stem for log in found if log.parent.name == task) for task in tasks})


def results_of(logs: Mapping[str, Mapping[str, EvalLog]], asked: Asked, extra_pairs: Sequence[Pairs] = ()) -> Results:
    """Compare the logs of many tasks and sides.

    Args:
        logs: tasks in order, each with its sides' logs by name.
        asked: what was seen while asking.
        extra_pairs: scores that are in no log.

    Raises:
        LogError: two logs of a task are unlike, or a side's adapter was not the same in all tasks.
    """
    used: dict[str, str | None] = {}
    for side, log in (one for sides in logs.values() for one in sides.items()):
        if used.setdefault(side, log.adapter_hash) != log.adapter_hash:
            raise LogError(f"the tasks of {side} were answered by different adapters; evaluate them again in one go")
    rows = tabulate([*(one for sides in logs.values() for one in pairs_among(sides)), *extra_pairs])
    both = [(sides[BASE], sides[TUNED]) for sides in logs.values() if BASE in sides and TUNED in sides]
    single = [log for sides in logs.values() for log in sides.values()]
    return Results(
        rows=rows,
        verdict=sentence(rows) if rows else alone(single).verdict,
        samples=side_by_side(both),
        findings=worst_first([*asked.findings, *find(rows, single, asked.change)]),
        change=asked.change,
    )


def alone(logs: Sequence[EvalLog]) -> Results:
    """Summarize one model's logs when there is nothing to compare them with: no rows, only words."""
    words: list[str] = []
    for log in logs:
        for one in pairs_of(log, log):
            if one.metric.better == "neither":
                continue
            mean, stderr = mean_of(one, one.first)
            unit = 100 if one.metric.share else 1
            left_out = f", {one.unscored} unscored" if one.unscored else ""
            words.append(
                f"{one.metric.name} {unit * mean:.1f} ± {unit * stderr:.1f} on {one.task} (n = {len(one.first)}"
                f"{left_out})"
            )
    return Results(rows=(), verdict="nothing to compare with: " + "; ".join(words))


def side_by_side(pairs: Sequence[tuple[EvalLog, EvalLog]], count: int = SHOWN) -> tuple[SideBySide, ...]:
    """Return a few samples with both answers, taken from the tasks in turn.

    Which ones depends on a hash of the task and the sample's id, never on the outcome. Tasks with written answers come
    before multiple choice.
    """
    written = [pair for pair in pairs if pair[0].spec.kind != "choice"] or list(pairs)
    queues: list[list[SideBySide]] = []
    for base, tuned in written:
        first = next((name for name in metric_names(base, tuned) if metric(name).of_sums is None), "")
        answers = {sample.id: sample for sample in tuned.samples}
        both = sorted((s for s in base.samples if s.id in answers), key=lambda s: _shuffled(base.spec, s))
        queues.append([_beside(base.spec.task, first, one, answers[one.id]) for one in both[:count]])
    in_turn = [queue[place] for place in range(count) for queue in queues if place < len(queue)]
    return tuple(in_turn[:count])


def _told_apart(first: EvalLog, second: EvalLog) -> tuple[EvalLog, EvalLog]:
    """Two logs whose sides have different names: those of one name are told apart by their adapters."""
    if first.which != second.which:
        return first, second
    named = [f"{log.which} of {log.adapter or log.model or log.spec.base}" for log in (first, second)]
    if named[0] == named[1]:
        named[1] += ", second"
    return first.model_copy(update={"which": named[0]}), second.model_copy(update={"which": named[1]})


def _reason(first: EvalLog, second: EvalLog) -> Role | None:
    """Why two logs that a person named are compared."""
    if first.which == BASE:
        return role_of(second)
    found = {role_of(first), role_of(second)}
    return "reference" if "reference" in found else "prompting" if "prompting" in found else "earlier"


def _shuffled(spec: EvalSpec, sample: Sample) -> str:
    return hashlib.sha256(f"{spec.task_hash}:{sample.id}".encode()).hexdigest()


def _beside(task: str, metric: str, base: Sample, tuned: Sample) -> SideBySide:
    return SideBySide(
        task=task,
        id=base.id,
        prompt=base.prompt,
        expected=" | ".join(base.expected),
        base=base.output,
        tuned=tuned.output,
        base_score=score(base, metric),
        tuned_score=score(tuned, metric),
    )
