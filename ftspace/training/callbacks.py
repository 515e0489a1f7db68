"""What the trainer tells while it trains, and when it stops. Knows the job, not the model."""

import math
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ftspace.errors import DivergedError
from ftspace.events import Prepared, Step, Validation
from ftspace.training.memory import peak_bytes
from ftspace.workers import Job


class StoppedWhileMeasuring(Exception):
    """A stop was asked for in the middle of a validation, which can be long; what was trained can be saved."""


class EventCallback(TrainerCallback):
    """Turns the trainer's logs into events; stops it at a step's end when asked to, or when the loss is no number."""

    def __init__(self, job: Job, prepared: Prepared) -> None:
        """`prepared` is told when the training begins, with the number of steps that the trainer found."""
        self._job = job
        self._prepared = prepared
        self._began = time.monotonic()
        self.diverged: DivergedError | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Tells that all is ready, and starts the clock."""
        self._job.tell(self._prepared.model_copy(update={"total_steps": state.max_steps}))
        self._began = time.monotonic()

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
                    seconds=time.monotonic() - self._began,
                    token_accuracy=logs.get("mean_token_accuracy"),
                    memory=peak_bytes(),
                )
            )
            self._watch(state, control, logs)
        if "eval_loss" in logs:
            self._job.tell(
                Validation(
                    step=state.global_step,
                    loss=logs["eval_loss"],
                    token_accuracy=logs.get("eval_mean_token_accuracy"),
                    score=logs.get("eval_score"),
                )
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Looks whether somebody asked for a stop."""
        if self._job.should_stop():
            control.should_training_stop = True

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Looks in a validation too. Raises StoppedWhileMeasuring."""
        if self._job.should_stop():
            raise StoppedWhileMeasuring

    def _watch(self, state: TrainerState, control: TrainerControl, logs: dict[str, float]) -> None:
        values = {name: logs[name] for name in ("loss", "grad_norm") if name in logs}
        broken = next((name for name, value in values.items() if not math.isfinite(value)), None)
        if broken is not None:
            control.should_training_stop = True
            self.diverged = DivergedError(
                f"the training diverged: {broken} became {values[broken]} at step {state.global_step}; lower "
                "train.learning_rate, or look for broken rows in the dataset"
            )
