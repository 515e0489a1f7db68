"""Evaluates a base model and its tuned self on tasks: one load, two sides, a log for each as it finishes.

Imports no torch until asked to evaluate. Knows nothing of jobs or screens; the caller decides where results go.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from evals.compare import alone, compare
from evals.errors import LogError, Stopped
from evals.log import EvalLog, EvalSpec, Results, read_log, write_log, write_results
from evals.plan import Plan
from evals.table import write_tables
from evals.tasks import Task

if TYPE_CHECKING:
    from evals.executor import Executor
    from evals.sides import Side

__all__ = ["evaluate", "write_results", "write_tables"]

Progress = Callable[[str, str, int, int], None]
LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "lighteval")


def evaluate(
    plan: Plan,
    out_dir: Path,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Results:
    """Ask all sides all tasks, from one copy of the weights, and compare them.

    `out_dir/<task>/<side>.json` is written when that part is finished; a log that is there already, of the same spec
    and adapter, is used instead of asking again. LightEval's own files go beside them.

    Args:
        plan: what is asked of whom. Without an adapter only the base is asked, and there are no rows.
        out_dir: where logs go.
        progress: called with (task, side, samples done, samples).
        should_stop: asked before each token; True ends with `Stopped`, and finished logs stay.

    Raises:
        EvalError: in one line, for whatever a person can put right.
    """
    plan.check()
    from evals import models
    from evals.executor import Executor

    base, adapter = plan.base, plan.adapter
    model, tokenizer = models.load_comparison(
        base,
        adapter,
        revision=plan.revision,
        dtype=plan.dtype,
        device=plan.device,
        quantization=plan.quantization,
        trust_code=plan.trust_code,
        seed=plan.seed,
    )
    executor = Executor(
        model, tokenizer, chat_template=plan.chat_template, batch_tokens=plan.batch_tokens, should_stop=should_stop
    )
    base_revision = models.fingerprint(base) or getattr(model.config, "_commit_hash", None) or plan.revision
    versions = {name: version(name) for name in LIBRARIES}
    adapter_hash = None if adapter is None else models.fingerprint(models.adapter_folder(adapter))
    sides: tuple[Side, ...] = ("base",) if adapter is None else ("base", "tuned")
    logs: dict[Side, list[EvalLog]] = {"base": [], "tuned": []}
    for task in (task.head(plan.limit) for task in plan.tasks):
        spec = EvalSpec(
            base=str(base),
            base_revision=base_revision,
            task=task.name,
            task_hash=task.content_hash,
            kind=task.kind,
            n=len(task.samples),
            dtype=executor.dtype,
            quantization=plan.quantization,
            device=executor.device,
            tokenizer_hash=executor.prompter.tokenizer_hash,
            template_hash=None if all(one.raw for one in task.samples) else executor.prompter.template_hash,
            max_new_tokens=task.answer_tokens(plan.max_new_tokens),
            end_ids=executor.end_ids,
            batch_tokens=plan.batch_tokens,
            few_shot=task.few_shot,
            seed=plan.seed,
            versions=versions,
        )
        for which in sides:
            path = out_dir / task.name / f"{which}.json"
            used = (None, None) if which == "base" else (str(adapter), adapter_hash)
            log = _finished(path, spec, used[1])
            if log is None:
                if should_stop is not None and should_stop():
                    raise Stopped("stopped")
                log = _ask(task, spec, executor, which, used, path.parent, progress)
                write_log(path, log)
            elif progress is not None:
                progress(task.name, which, spec.n, spec.n)
            logs[which].append(log)
    return alone(logs["base"]) if adapter is None else compare(logs["base"], logs["tuned"])


def _ask(
    task: Task,
    spec: EvalSpec,
    executor: "Executor",
    which: "Side",
    used: tuple[str | None, str | None],
    out_dir: Path,
    progress: Progress | None,
) -> EvalLog:
    from evals.lighteval import run_task  # slow to import: only when there is something to ask

    def on_batch(done: int, total: int) -> None:
        if progress is not None:
            progress(task.name, which, done, total)

    started, clock = datetime.now(UTC), time.perf_counter()
    on_batch(0, spec.n)
    samples = run_task(task, executor, which, out_dir, max_new_tokens=spec.max_new_tokens, progress=on_batch)
    return EvalLog(
        spec=spec,
        which=which,
        role=task.role,
        adapter=used[0],
        adapter_hash=used[1],
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - clock, 3),
        samples=samples,
    )


def _finished(path: Path, spec: EvalSpec, adapter_hash: str | None) -> EvalLog | None:
    """Return the log at `path` if it answers just this; one that is damaged or of something else is written anew."""
    if not path.exists():
        return None
    try:
        log = read_log(path)
    except LogError:
        return None
    return log if log.spec == spec and log.adapter_hash == adapter_hash else None
