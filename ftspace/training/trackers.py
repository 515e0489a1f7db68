"""Trackers that get a run's curves beside its own events. Knows how each is told where to write; starts none.

What they need installed is looked for before a run is made: see preflight/.
"""

from typing import Any

from transformers import TrainerCallback

from ftspace.runs import Run

PROJECT = "ftspace"


def tracking(run: Run, *, tracked: bool = True) -> dict[str, Any]:
    """The trainer's arguments for the trackers that it starts by itself. None of them may make a Space."""
    named = [name for name in run.config.train.report_to if tracked and name != "tensorboard"]
    return {
        "report_to": named or "none",
        "run_name": run.id,
        "project": PROJECT,
        "trackio_space_id": None,
        "trackio_static_space_id": False,
    }


def callbacks_of(run: Run) -> list[TrainerCallback]:
    """TensorBoard's, writing into the run's folder: the trainer would take the folder of the checkpoints."""
    if "tensorboard" not in run.config.train.report_to:
        return []
    from transformers.integrations.integration_utils import TensorBoardCallback

    callback = TensorBoardCallback()
    callback.logging_dir = str(run.path / "tensorboard")  # where it opens a writer each time a training begins
    return [callback]
