"""What a sweep's runs have come to, read from their folders, and by which metric of which task they are ranked."""

import math
from collections.abc import Sequence
from pathlib import PurePosixPath

from evals.errors import LogError
from evals.log import EvalLog, read_log
from evals.metrics import METRICS
from evals.plan import BASE, TUNED
from evals.results import read_results
from evals.wording import headlines
from ftspace.config import RunConfig
from ftspace.errors import ConfigError, FtspaceError
from ftspace.runs import Run, RunReader, RunStore
from ftspace.state import RunState
from ftspace.sweeps.standing import Outcome, Standing, standing
from ftspace.sweeps.store import Entry, Sweep

NOT_BEGUN = "not begun"


def check_metric(text: str, config: RunConfig) -> None:
    """Raises ConfigError for a metric to rank by that cells cannot have: METRIC, TASK or TASK:METRIC."""
    named = task_names(config)
    task, metric = _split(text, named)
    if task and task not in named:
        raise ConfigError(f"--metric {text}: no task {task} is asked; there are {', '.join(named) or 'none'}")
    if metric and metric not in METRICS and not task:
        raise ConfigError(
            f"--metric {text} is neither a task ({', '.join(named) or 'none is asked'}) nor a metric "
            f"({', '.join(METRICS)}); TASK:METRIC names both"
        )


def task_names(config: RunConfig) -> list[str]:
    """The tasks that are asked for what tuning gains, as their logs call them."""
    return [_task(name) for name in config.eval.tasks]


def outcomes(sweep: Sweep, store: RunStore, task: str = "") -> list[Outcome]:
    """What became of each cell, with its answers to a task."""
    return [_outcome(entry, store, task) for entry in sweep.cells]


def stand(sweep: Sweep, store: RunStore) -> Standing:
    """The cells of a grid beside each other."""
    task, metric = _measure(sweep, store)
    return standing(outcomes(sweep, store, task), task, metric)


def kept_loss(run: Run, state: RunState) -> float:
    """The validation loss of the weights that a run kept; NaN where nothing was measured after its first step."""
    told = [one.loss for one in state.validations if one.step > 0 and math.isfinite(one.loss)]
    if not told:
        return math.nan
    return min(told) if run.config.train.keep == "best" else told[-1]


def kept_score(run: Run, state: RunState) -> float:
    """The same of how well the sample questions were answered."""
    told = [one.score for one in state.validations if one.step > 0 and one.score is not None]
    if not told:
        return math.nan
    return max(told) if run.config.train.keep == "best" else told[-1]


def _outcome(entry: Entry, store: RunStore, task: str) -> Outcome:
    if entry.run is None:
        status = "failed" if entry.problem else NOT_BEGUN
        return Outcome(entry.name, None, status, entry.problem)
    try:
        run = store.get(entry.run)
        reader = RunReader(run)
        status, loss = reader.status(), kept_loss(run, reader.state)
    except FtspaceError as error:
        return Outcome(entry.name, entry.run, "gone", entry.problem or str(error))
    end = reader.state.end(run.jobs)
    if entry.pruned:
        return Outcome(entry.name, run.id, "pruned", entry.pruned, loss)
    tuned, base = (_log(run, task, side) for side in (TUNED, BASE)) if status == "finished" and task else (None, None)
    if status == "finished":
        problem = "" if tuned or not task else f"it has no answers to {task}"
    else:
        problem = (end.message if end else "") or status
    return Outcome(entry.name, run.id, status, problem, loss, tuned, base)


def _log(run: Run, task: str, side: str) -> EvalLog | None:
    try:
        return read_log(run.evals / task / f"{side}.json")
    except LogError:
        return None


def _measure(sweep: Sweep, store: RunStore) -> tuple[str, str]:
    """By which metric of which task the cells are ranked."""
    task, metric = _split(sweep.metric, task_names(sweep.base))
    if task and metric:
        return task, metric
    for row in _first_rows(sweep, store):
        if task in ("", row[0]) and metric in ("", row[1]):
            return row
    return task or next(iter(task_names(sweep.base)), ""), metric or "exact_match"


def _first_rows(sweep: Sweep, store: RunStore) -> Sequence[tuple[str, str]]:
    """Task and metric of the rows of the first cell that has any, those that stand first in its table first."""
    for entry in sweep.cells:
        try:
            found = read_results(store.get(entry.run or "").results)
        except (LogError, FtspaceError):
            continue
        lead = [(row.task, row.metric) for row in headlines(found.rows, "gain")]
        return [*lead, *((row.task, row.metric) for row in found.rows if row.role in ("gain", "forgetting"))]
    return []


def _split(text: str, tasks: Sequence[str]) -> tuple[str, str]:
    """Task and metric of what was typed; "" for what it leaves open."""
    task, colon, metric = text.rpartition(":")
    if colon:
        return task, metric
    return (metric, "") if metric in tasks else ("", metric)


def _task(name: str) -> str:
    return PurePosixPath(name).stem if name.endswith((".json", ".jsonl")) else name
