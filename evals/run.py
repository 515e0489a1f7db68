"""Evaluates a base model, its tuned self and other sides on tasks: one load, a log for each part as it finishes.

Imports no torch until asked to evaluate. Knows nothing of jobs or screens; the caller decides where results go.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from evals.asking import Asker, Progress
from evals.cache import ANSWERS_FILE, open_cache
from evals.compare import ASKED_FILE, results_of
from evals.contamination import mark
from evals.errors import EvalError, Stopped
from evals.log import EvalLog
from evals.plan import BASE, TUNED, Other, Plan
from evals.results import Asked, Change, Finding, Results, Tone, write_asked, write_results
from evals.shared import SharedLogs
from evals.table import write_tables
from evals.tasks import Task

__all__ = ["Progress", "ask_all", "evaluate", "results_of", "write_results", "write_tables"]


def evaluate(
    plan: Plan,
    out_dir: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Results:
    """Ask all sides all tasks, as `ask_all` does, and compare them."""
    return results_of(*ask_all(plan, out_dir, progress=progress, should_stop=should_stop))


def ask_all(
    plan: Plan,
    out_dir: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    shared: Path | None = None,
) -> tuple[dict[str, dict[str, EvalLog]], Asked]:
    """Ask all sides all tasks, from one copy of the weights: the logs by task and side, and what was seen.

    `out_dir/<task>/<side>.json` is written when that part is finished; a log that is there already, of the same spec,
    adapter and examples, is used instead of asking again. LightEval's own files go beside them. What was asked in all
    is in `out_dir/evaluation.json`, so that the folder can be compared anew (`compare.compare_folder`).

    Base and tuned must answer; another side that can't be asked, or no further, is left out, and a finding says so.

    Args:
        plan: what is asked of whom. Without an adapter and other sides only the base is asked, and there are no rows.
        out_dir: where logs go.
        progress: called with (task, side, samples done, samples).
        should_stop: asked before each token; True ends with `Stopped`, and finished logs stay.
        shared: a folder in which evaluations keep for each other what the base without an adapter answered.

    Raises:
        EvalError: in one line, for whatever a person can put right.
    """
    plan.check()
    tasks = [task.head(plan.limit) for task in plan.tasks]
    if plan.trained_on is not None:
        tasks = mark(tasks, plan.trained_on)
    with suppress(OSError):  # a place that can't be written is told when the first log is
        (out_dir / ASKED_FILE).unlink()  # it tells of logs that may be of another adapter
    asker = _loaded(plan, out_dir, progress, should_stop)
    asker.shared = SharedLogs(shared) if shared is not None else None
    sides: dict[str, Other | None] = {BASE: None, **({} if plan.adapter is None else {TUNED: None})}
    sides |= {other.name: other for other in plan.others}
    logs: dict[str, dict[str, EvalLog]] = {}
    unasked: dict[tuple[str, str], list[str]] = {}
    for task in tasks:
        logs[task.name] = {}
        for side, other in list(sides.items()):
            try:
                log = asker.ask(task, side, other, logs[task.name].get(BASE))
            except Stopped:
                raise
            except EvalError as error:
                if other is None:
                    raise
                del sides[side]
                asker.findings.append(_not_asked(side, "warning", f"asked no further than {task.name}: {error}"))
                continue
            if isinstance(log, EvalLog):
                logs[task.name][side] = log
            elif log is not None:
                unasked.setdefault((side, log), []).append(task.name)
    asker.findings += [
        _not_asked(side, "note", f"not asked {', '.join(tasks)}: {reason}") for (side, reason), tasks in unasked.items()
    ]
    asked = Asked(
        sides={task: tuple(found) for task, found in logs.items()},
        findings=tuple(asker.findings),
        change=None if plan.adapter is None else _change(tasks, logs, asker),
    )
    write_asked(out_dir / ASKED_FILE, asked)
    return logs, asked


def _loaded(plan: Plan, out_dir: Path, progress: Progress | None, should_stop: Callable[[], bool] | None) -> Asker:
    from evals import models
    from evals.executor import Executor
    from evals.places import adapter_folder, commit_of, fingerprint, read_at
    from evals.scorers.embedding import Embedder

    embedder = None if plan.embedding_model is None else Embedder(plan.embedding_model, device=plan.device)
    model, tokenizer = models.load_comparison(
        plan.base,
        plan.adapter,
        revision=plan.revision,
        dtype=plan.dtype,
        device=plan.device,
        quantization=plan.quantization,
        trust_code=plan.trust_code,
        seed=plan.seed,
    )
    executor = Executor(
        model,
        tokenizer,
        chat_template=plan.chat_template,
        batch_tokens=plan.batch_tokens,
        should_stop=should_stop,
        cache=open_cache(out_dir / ANSWERS_FILE),
    )
    folder = adapter_folder(plan.adapter) if plan.adapter is not None else None
    revision = read_at(plan.base, folder, plan.revision or plan.trust_code)
    revision = fingerprint(plan.base) or commit_of(plan.base, revision) or revision
    return Asker(
        plan=plan,
        out_dir=out_dir,
        executor=executor,
        base_revision=revision,
        progress=progress,
        should_stop=should_stop,
        embedder=embedder,
    )


def _change(tasks: Sequence[Task], logs: Mapping[str, Mapping[str, EvalLog]], asker: Asker) -> Change:
    from evals.change import change_of

    base, tuned = ([logs[task.name][side] for task in tasks] for side in (BASE, TUNED))
    return change_of(tasks, base, tuned, asker.executor)


def _not_asked(side: str, tone: Tone, what: str) -> Finding:
    return Finding(kind="side not asked", tone=tone, message=f"{side}: {what}")
