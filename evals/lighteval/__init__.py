"""The only room that knows LightEval, pinned to 0.13.0: its tasks, metrics and result files over our executor.

Importing it costs nothing: LightEval, which takes many seconds, is imported when something is asked for.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.executor import Executor, Progress
    from evals.log import Sample
    from evals.tasks import Task

__all__ = ["named_task", "run_task"]


def named_task(name: str, *, online: bool = True) -> "Task":
    """Return one of LightEval's tasks, or a group of them, with its dataset.

    Args:
        name: `task` or `task|few_shot`; the older `suite|task|few_shot` and `suite|task|few_shot|0` are taken too.
        online: whether the dataset may be fetched from the Hub; without, it must be in the cache.

    Raises:
        TaskError: no such task, a task that can't be asked here, or a dataset that can't be had.
    """
    from evals.lighteval.names import parse_name

    asked, few_shot = parse_name(name)
    from evals.lighteval.documents import load_named

    return load_named(asked, few_shot, online=online)


def run_task(
    task: "Task",
    executor: "Executor",
    which: str,
    out_dir: Path,
    *,
    max_new_tokens: int,
    progress: "Progress | None" = None,
) -> "tuple[Sample, ...]":
    """Ask a model all of a task through LightEval's pipeline and return what it answered, scored.

    Args:
        task: what to ask.
        executor: the model.
        which: adapter off ("base"), on ("tuned"), or another one by its name.
        out_dir: LightEval's own result files go to `out_dir/lighteval`.
        max_new_tokens: the longest answer, in tokens.
        progress: called with (samples done, samples) after each batch.

    Returns:
        Samples in the task's order, each with the task's metrics; a score that can't be had is NaN with a reason. A
        task of written answers also has the likelihood of its first reference answer.

    Raises:
        EvalError: the executor's (no template, stopped), or the result files can't be written.
    """
    from evals.lighteval.pipeline import ask

    return ask(task, executor, which, out_dir, max_new_tokens=max_new_tokens, progress=progress)
