"""The process of a learning-rate sweep: the train job itself, with a rate that grows at each step. It saves nothing.

Run as `python -m ftspace.training.sweep RUN_DIR`. The run's max_steps are the steps of the sweep.
"""

import sys
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ftspace.events import EndStatus
from ftspace.runs import Run
from ftspace.training.lr_find import LOWEST, exploded, rate_at
from ftspace.training.worker import train
from ftspace.workers import Job, run_job


class Swept(Exception):
    """The sweep is over: what was trained is of no use."""


class SweepCallback(TrainerCallback):
    """Raises the rate with each step, and ends the training when the loss explodes."""

    def __init__(self) -> None:
        """No step was made yet."""
        self._losses: list[float] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Lets the schedule, constant until now, grow."""
        schedule = kwargs["lr_scheduler"]
        steps = state.max_steps
        schedule.lr_lambdas = [lambda step: rate_at(step, steps) / LOWEST] * len(schedule.lr_lambdas)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Looks at the loss of the step."""
        if logs and "loss" in logs:
            self._losses.append(logs["loss"])
            control.should_training_stop |= exploded(self._losses)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ends the job before anything is saved. Raises Swept."""
        raise Swept


def sweep(job: Job) -> EndStatus:
    """Makes the steps; each is told as an event, with its rate and its loss."""
    try:
        return train(job, callbacks=[SweepCallback()])
    except Swept:
        return "cancelled" if job.should_stop() else "finished"


if __name__ == "__main__":
    sys.exit(run_job(Run(Path(sys.argv[1])), "train", sweep))
