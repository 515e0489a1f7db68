"""The evaluate job: asks all sides the run's tasks and writes the verdict. Knows runs; the asking is `evals`.

Run by a launcher as `python -m ftspace.evaluate RUN_DIR`.
"""

import shutil
import sys
from pathlib import Path

from evals import errors as evals_errors
from evals.judge.report import with_judges
from evals.plain import headline
from evals.run import ask_all, results_of, write_results, write_tables
from ftspace.data.prepare import read_manifest
from ftspace.errors import EvalError, ModelError
from ftspace.events import Asking, EndStatus, Evaluated, Progress, Warned
from ftspace.hub.imports.adopted import prepare_again
from ftspace.judging import judged
from ftspace.plan import asks, plan_of
from ftspace.runs import Run
from ftspace.workers import Job, Stopped, run_job

SCRATCH = ".asking"
"""Folder of a run for what the evaluation needs only as long as it lasts."""


def evaluate(job: Job) -> EndStatus:
    """Compares the run's base with itself plus adapter, and with whom else the config names.

    results.json and the tables appear whole. A run whose only task is an empty test split ends without results, and a
    warning has said so.

    Raises EvalError when a task or a model cannot be used.
    """
    scratch = job.run.path / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        return _evaluate(job, scratch)
    except evals_errors.Stopped as stop:
        raise Stopped from stop
    except evals_errors.ModelError as error:
        raise ModelError(str(error)) from error
    except evals_errors.EvalError as error:
        raise EvalError(str(error)) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _evaluate(job: Job, scratch: Path) -> EndStatus:
    run = job.run
    if read_manifest(run.data) is None:  # of an imported run, whose training was elsewhere
        why_not = prepare_again(run, lambda _rows: job.stop_here())
        if why_not:
            job.tell(Warned(message=why_not))
    plan = plan_of(run, scratch, lambda text: job.tell(Warned(message=text)))
    if plan is None:
        return "finished"
    job.tell(Asking(samples=asks(plan)))
    logs, asked = ask_all(
        plan,
        run.evals,
        progress=lambda task, which, done, total: job.tell(Progress(task=task, which=which, done=done, total=total)),
        should_stop=job.should_stop,
        shared=run.cache / "base",
    )
    report = judged(
        run,
        lambda judge, done, total: job.tell(Progress(task=judge, which="judge", done=done, total=total)),
        job.should_stop,
        lambda text: job.tell(Warned(message=text)),
    )
    results = results_of(logs, asked, report.pairs if report else ())
    if report:
        results = with_judges(run.evals, results, report)
    write_tables(run.path, results)
    write_results(run.results, results)
    job.tell(Evaluated(verdict=headline(results)[0]))
    return "finished"


if __name__ == "__main__":
    sys.exit(run_job(Run(Path(sys.argv[1])), "evaluate", evaluate))
