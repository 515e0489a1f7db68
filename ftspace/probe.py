"""The first ten steps of a run, made for real in a folder that goes again, and an estimate corrected by them.

Knows jobs and forecasts; the steps are the train job's own. Nothing of it is kept but how fast the machine is.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftspace.config import RunConfig, merge, parse_config
from ftspace.devices import keep_speed, known_speed
from ftspace.errors import JobError
from ftspace.launchers.local import WORKERS
from ftspace.runs import RunReader
from ftspace.scratch import scratch_run
from ftspace.state import RunState
from ftspace.training.forecast import Forecast, Probe

STEPS = 10
_UNSETTLED = 2
"""First steps, which take longer."""
_ONLY_TRAINING: dict[str, Any] = {
    "data": {"validation_fraction": 0, "validation_split": "none"},
    "train": {
        "max_steps": STEPS,
        "samples": 0,
        "best_by": "loss",
        "keep": "last",
        "patience": None,
        "max_minutes": None,
        "max_cost": None,
        "checkpoint_steps": None,
        "on_divergence": "stop",
        "report_to": [],
        "scheduler": "constant",
        "warmup": 0.0,
    },
    "eval": {"tasks": []},
}


def probe(
    config: RunConfig, data_dir: Path, watch: Callable[[RunReader], object], waiting: Callable[[], object]
) -> Probe:
    """Runs the first steps; `watch` shows them until they are over. Raises JobError when they don't get that far.

    They wait until the machine is free, for beside a run they would measure it, too; `waiting` is called before that.
    """
    with tempfile.TemporaryDirectory(prefix="ftspace-probe-") as folder:
        scratch = Path(folder)
        if speed := known_speed(data_dir):
            keep_speed(scratch, speed)
        steps = only_training(config)
        with scratch_run(scratch, steps, WORKERS["train"], data_dir / "runs", waiting) as reader:
            watch(reader)
        status, end = reader.status(), reader.state.end(reader.run.jobs)
        if status != "finished" or not reader.state.steps:
            why = f": {end.message}" if end and end.message else ""
            raise JobError(f"the first steps of the run did not come to their end ({status}){why}")
        if speed := known_speed(scratch):
            keep_speed(data_dir, speed)
        return measured(reader.state)


def only_training(config: RunConfig) -> RunConfig:
    """The config of the first steps: the run's, with nothing measured or kept beside."""
    return parse_config(merge(config.model_dump(), _ONLY_TRAINING))


def measured(state: RunState) -> Probe:
    """What the first steps took."""
    ends = [0.0, *(step.seconds for step in state.steps)]
    tokens = [0, *(step.tokens for step in state.steps)]
    first = min(_UNSETTLED, len(state.steps) - 1)
    pace = statistics.median(
        (ends[place + 1] - ends[place]) / max(1, tokens[place + 1] - tokens[place])
        for place in range(first, len(state.steps))
    )
    begun = state.prepared.time if state.prepared else 0.0
    return Probe(
        steps=len(state.steps),
        peak_memory_bytes=max((step.memory for step in state.steps if step.memory), default=None),
        seconds_a_token=pace,
        start_seconds=round(max(0.0, begun - (state.started_at or begun)), 2),
    )


def corrected(found: Forecast, seen: Probe) -> Forecast:
    """A forecast with what was measured in place of what was estimated of this machine; what was estimated is kept."""
    step = seen.seconds_a_token * found.tokens / found.steps
    ratio = step / found.step_seconds if found.step_seconds else 1.0
    time = {name: round(seconds * ratio, 1) for name, seconds in found.time.items()}
    time["start"] = seen.start_seconds
    peak = found.peak_memory_bytes
    if seen.peak_memory_bytes is not None:
        peak = max(seen.peak_memory_bytes, found.memory["comparison"])
    seconds = round(sum(time.values()), 1)
    here = found.devices[0].model_copy(
        update={"peak_memory_bytes": peak, "seconds": seconds, "fits": peak <= found.devices[0].memory_bytes}
    )
    return found.model_copy(
        update={
            "peak_memory_bytes": peak,
            "seconds": seconds,
            "fits": here.fits,
            "time": time,
            "step_seconds": round(step, 3),
            "devices": [here, *found.devices[1:]],
            "probe": seen,
            "estimated_peak_memory_bytes": found.peak_memory_bytes,
            "estimated_seconds": found.seconds,
        }
    )
