"""The evaluate job: asks base and tuned the run's tasks and writes the verdict. Knows runs; the asking is `evals`.

Run by a launcher as `python -m ftspace.evaluate RUN_DIR`.
"""

import sys
from contextlib import suppress
from pathlib import Path

from evals import errors as evals_errors
from evals.plan import Plan
from evals.run import evaluate as compare_models
from evals.run import write_results, write_tables
from evals.tasks import Task, load_tasks
from ftspace.data.messages import uses_tools
from ftspace.data.prepare import PreparedRow, read_rows
from ftspace.errors import EvalError, ModelError
from ftspace.events import EndStatus, Evaluated, Progress, Warned
from ftspace.preflight import HELDOUT, task_paths
from ftspace.runs import Run
from ftspace.sections import ModelConfig
from ftspace.settings import resolve_local
from ftspace.tokenizer import template_of_model
from ftspace.workers import Job, Stopped, run_job


def evaluate(job: Job) -> EndStatus:
    """Compares the run's base with itself plus adapter; results.json and the tables appear whole.

    A run whose only task is an empty test split ends without results, and a warning has said so.

    Raises EvalError when a task or a model cannot be used.
    """
    run, config = job.run, job.run.config
    try:
        tasks = _tasks(job)
        if not tasks:
            return "finished"
        plan = Plan(
            base=resolve_local(config.model.id) or config.model.id,
            adapter=run.adapter,
            tasks=tasks,
            revision=config.model.revision,
            dtype=config.model.dtype,
            device=config.train.device,
            quantization=config.model.quantization,
            trust_code=config.model.trust_code,
            max_new_tokens=config.eval.max_new_tokens,
            limit=config.eval.max_samples,
            batch_tokens=config.eval.batch_tokens,
            seed=config.eval.seed,
        )
        results = compare_models(
            plan,
            run.evals,
            progress=lambda task, which, done, total: job.tell(
                Progress(task=task, which=which, done=done, total=total)
            ),
            should_stop=job.should_stop,
        )
        write_tables(run.path, results)
        write_results(run.results, results)
    except evals_errors.Stopped as stop:
        raise Stopped from stop
    except evals_errors.ModelError as error:
        raise ModelError(str(error)) from error
    except evals_errors.EvalError as error:
        raise EvalError(str(error)) from error
    job.tell(Evaluated(verdict=results.verdict))
    return "finished"


def _tasks(job: Job) -> list[Task]:
    run, config = job.run, job.run.config
    tasks = load_tasks(task_paths(config))
    if HELDOUT in config.eval.tasks:
        held = list(read_rows(run.data, "test"))
        rows = [row for row in held if not uses_tools(row.messages)]
        if len(rows) < len(held):
            job.tell(Warned(message=f"{len(held) - len(rows)} held-out conversations use tools and are not asked"))
        taken = _taken_by_template(run, rows)
        if len(taken) < len(rows):
            said = f"{len(rows) - len(taken)} held-out conversations are refused by the chat template and not asked"
            job.tell(Warned(message=said))
        if taken:
            repeated = {place for place, row in enumerate(taken) if row.overlap}
            tasks.insert(0, Task.from_messages(HELDOUT, [row.messages for row in taken], repeated))
        else:
            job.tell(
                Warned(message="the test split has nothing to ask, so heldout is not asked; raise data.test_fraction")
            )
    return tasks


def _taken_by_template(run: Run, rows: list[PreparedRow]) -> list[PreparedRow]:
    """The rows whose question the adapter's template can write: as in training, one odd row ends no run."""
    template, _ = template_of_model(ModelConfig(id=str(run.adapter)))
    taken: list[PreparedRow] = []
    for row in rows:
        with suppress(ModelError):
            template.render(row.messages[:-1], add_generation_prompt=True)
            taken.append(row)
    return taken


if __name__ == "__main__":
    sys.exit(run_job(Run(Path(sys.argv[1])), "evaluate", evaluate))
