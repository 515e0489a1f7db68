"""What the trainer tells while it trains, and when it stops. Knows the job, not the model."""

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ftspace.events import Prepared, Step, Validation
from ftspace.training.course import Course
from ftspace.training.memory import peak_bytes
from ftspace.workers import Job


class StoppedWhileMeasuring(Exception):
    """A stop was asked for in the middle of a validation, which can be long; what was trained can be saved."""


class EventCallback(TrainerCallback):
    """Turns the trainer's logs into events; stops it at a step's end when it must."""

    def __init__(self, job: Job, prepared: Prepared, course: Course) -> None:
        """`prepared` is told when the training begins, with the number of steps that the trainer found."""
        self._job = job
        self._prepared: Prepared | None = prepared
        self._course = course
        self._at = 0.0
        """When the newest step began, on the monotonic clock."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tells that all is ready, once, and starts the clock."""
        if self._prepared:
            self._job.tell(self._prepared.model_copy(update={"total_steps": state.max_steps}))
            self._prepared = None
        self._course.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """One event a step, and one a validation."""
        logs = logs or {}
        if "loss" in logs:
            self._job.tell(
                Step(
                    step=state.global_step,
                    epoch=logs.get("epoch", 0.0),
                    loss=logs["loss"],
                    learning_rate=logs["learning_rate"],
                    grad_norm=logs.get("grad_norm"),
                    tokens=int(logs.get("num_tokens", 0)),
                    seconds=self._course.seconds,
                    token_accuracy=logs.get("mean_token_accuracy"),
                    memory=peak_bytes(),
                )
            )
            self._course.watch(state.global_step, logs["loss"], logs.get("grad_norm"))
            if self._course.broken:
                control.should_training_stop, control.should_evaluate = True, False
        if "eval_loss" in logs:
            self._job.tell(
                Validation(
                    step=state.global_step,
                    loss=logs["eval_loss"],
                    token_accuracy=logs.get("eval_mean_token_accuracy"),
                    score=logs.get("eval_score"),
                )
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Looks at the clock."""
        self._at = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Looks whether somebody asked for a stop, or the budget is used up, after which the last step is measured."""
        self._job.takes("step", time.monotonic() - self._at)
        if self._job.should_stop():
            control.should_training_stop = True
        elif self._course.spend(state.global_step, state.max_steps):
            control.should_training_stop = True
            control.should_evaluate = args.eval_strategy != "no"

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Looks in a validation too. Raises StoppedWhileMeasuring."""
        if self._job.should_stop():
            raise StoppedWhileMeasuring
