"""TRL's trainer made to last: it writes checkpoints, goes on from them exactly, keeps the best, outlives a divergence.

Where a checkpoint is taken up, transformers' own loop does it: same order, same place in the epoch, same random
numbers. Ours is what is in the folder, that it is whole, and when it is written.
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers.trainer import TRAINER_STATE_NAME

from evals.errors import one_line
from ftspace.budgets import lost_seconds
from ftspace.disk import is_disk_full
from ftspace.errors import DiskError, DivergedError, JobError, MemoryGoneError
from ftspace.events import Checkpoint as CheckpointWritten
from ftspace.events import Resumed, Warned, read_events
from ftspace.training import checkpoints
from ftspace.training.agreeing import AgreeingTrainer
from ftspace.training.callbacks import StoppedWhileMeasuring
from ftspace.training.carrying import carried
from ftspace.training.checkpoints import TRAINED, Belongs, Checkpoint, Torn
from ftspace.training.course import Course
from ftspace.training.kept import COURSE, Kept, kept_in, number_in, require_room, room_for, scale_rate
from ftspace.training.trained import is_finite, put_back, ranks_of, trained, undisturbed
from ftspace.workers import Job, no_room

EVERY_SECONDS = 600.0
"""Between checkpoints where the config says nothing: ten minutes are what a person may lose."""
ROLLBACKS = 3
"""Returns to a checkpoint in one run, each with half the learning rate of the one before."""
ADVICE = "lower train.learning_rate, or look for broken rows in the dataset"
RETURNS = "returns"
_BUDGETS = ("part_tokens", "validation_part_tokens")
"""What the trainer lowers when memory runs out."""


@dataclass(frozen=True)
class Ending:
    """What a training came to; the model is as the adapter is to be."""

    step: int
    """Whose weights these are."""
    problem: JobError | None = None
    """What ended it before its time."""
    stopped: bool = False
    """Whether it was told to stop before it had reached its end."""
    said: str = ""
    """Why it ended before its last step, where that was to be."""


class LastingTrainer(AgreeingTrainer):
    """SFTTrainer whose training can be cut off at any time, by `last` in place of `train`; `train` alone is TRL's."""

    def last(self, job: Job, course: Course, belongs: Belongs, found: Checkpoint | None) -> Ending:
        """Trains to the end, or until a stop is asked for.

        Args:
            job: whose config says when to write and what to keep; it is told what is done.
            course: told of the steps by the callback that hears of them.
            belongs: written into each checkpoint.
            found: where to go on from; the beginning when None.

        Raises:
            DivergedError: and there is no checkpoint to take the adapter from.
            MemoryGoneError: before anything was learnt.
            DiskError: there is no room for the adapter, or for a checkpoint before anything was learnt.
        """
        self._lasts = True
        self._job, self._course, self._belongs = job, course, belongs
        self._recipe, self._store = job.run.config.train, job.run.checkpoints
        self._returns = self.group.first(number_in(self._store / RETURNS))
        self._newest = 0, 0.0
        self._keep_room()
        measures = self.args.eval_on_start
        self._drop_from(found.step + 1 if found else 0)  # what was passed over would count as newest
        course.lost(self.group.first(lost_seconds(read_events(job.run.events)[0], found.step if found else 0)))
        self.begin_alike()
        if found:
            job.tell(Resumed(step=found.step))
            measures = kept_in(found.path).course.unmeasured
        while True:
            self.args.eval_on_start = measures
            problem = self._go(found)
            if course.broken is None:
                return self._finished(problem)
            self._drop_from(self._doubted())
            with self.group.one_a_machine():
                found = checkpoints.newest(self._store, self._warn)
            found = carried(self.group, self._store, found, writes=job.writes)
            if found is None or self._recipe.on_divergence == "stop" or self._returns == ROLLBACKS:
                return self._diverged(found)
            self._return_to(found)
            measures = False

    def undo_step(self) -> None:
        """Takes back a step that could not be done; to be overridden by who knows what a step has changed."""
        model: Any = self.model
        model.zero_grad()

    def _keep_room(self) -> None:
        """Room for the adapter, kept until it is saved: a disk that fills up meanwhile costs no weights."""
        tokenizer: Any = self.processing_class
        needed = room_for(trained(self.model).values(), len(tokenizer))
        require_room(self._job.run, "the adapter", needed)
        self._job.keep_room(needed)

    def _go(self, found: Checkpoint | None) -> JobError | None:
        """Trains until the end, a stop, a divergence or a lack of room, which is returned when weights can be saved."""
        problem: JobError | None = None
        try:
            self.train(resume_from_checkpoint=str(found.path) if found else None)
        except StoppedWhileMeasuring:
            self._course.unmeasured = True
            problem = None if self._job.discards() else self._try_to_write()
        except Exception as error:
            known = isinstance(error, MemoryGoneError | DiskError)
            if self.state.global_step == 0 or not (known or is_disk_full(error)):
                raise
            # without the traceback, which holds what fills the memory
            problem = type(error)(str(error)) if known else no_room(self._job.run, one_line(error))
        if isinstance(problem, MemoryGoneError):
            self.undo_step()
            if self._newest[0] != self.state.global_step:
                self._try_to_write()
        if self._course.broken is None and not is_finite(self.model):
            self._course.lost_weights(self.state.global_step)
        return problem

    def _try_to_write(self) -> DiskError | None:
        try:
            self._write()
        except DiskError as error:
            return error
        return None

    def _drop_from(self, step: int) -> None:
        if self._job.writes:
            checkpoints.drop_from(self._store, step)

    def _doubted(self) -> int:
        """The first step whose checkpoint is given up after a divergence: the one that gave it, if there is another."""
        first_bad = self._course.first_bad or 0
        only = not any(step < first_bad - 1 for step in self.group.first(checkpoints.steps(self._store)))
        return first_bad if only and self._recipe.on_divergence == "stop" else max(first_bad - 1, 0)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        super()._maybe_log_save_evaluate(*args, **kwargs)
        if self._lasts and self._is_due():
            self._write()

    def _evaluate(self, trial: Any, ignore_keys_for_eval: Any, skip_scheduler: bool = False) -> dict[str, float]:
        """A validation, which draws none of the training's random numbers, and what follows from it."""
        if not self._lasts:
            return super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)
        course, step = self._course, self.state.global_step
        with undisturbed():
            skip = skip_scheduler and (step == 0 or not course.unmeasured)
            try:
                metrics = super()._evaluate(trial, ignore_keys_for_eval, skip)
            except MemoryGoneError as why:
                self._warn(f"{why}; the training goes on without this validation")
                metrics = {"eval_loss": math.nan}
        best = course.validated(step, metrics["eval_loss"], metrics.get("eval_score"))
        if best and self._recipe.keep == "best":
            self._write()
        if course.out_of_patience:
            self.control.should_training_stop = True
            self._warn(f"stopped early at step {step}: {course.waited} validations since {course.told()}")
        return metrics

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        self.meet()
        if self._lasts and self._is_over():
            self.control.should_training_stop = True
            return
        rolls = self._lasts and self._recipe.on_divergence == "rollback"
        if rolls and not self.group.first(checkpoints.steps(self._store)):
            self._write()
        super()._run_epoch(*args, **kwargs)

    def _is_over(self) -> bool:
        """Whether there is nothing more to train; what a resume may find."""
        step, of = self.state.global_step, self.state.max_steps
        return step >= of or self._course.out_of_patience or (step > 0 and self._course.spend(step, of))

    def _is_due(self) -> bool:
        """Whether a checkpoint is to be written after this step; not while the loss looks as if it were diverging."""
        step, (before, at) = self.state.global_step, self._newest
        if step == before or self._course.broken:
            return False
        if self._job.should_stop():
            return not self._job.discards()
        every = self._recipe.checkpoint_steps
        due = step // every > before // every if every else self._course.seconds - at >= EVERY_SECONDS
        return due and not self._course.doubtful

    def _write(self) -> None:
        """A checkpoint of this very moment; none of weights that are no numbers, which ends the training."""
        step = self.state.global_step
        if not is_finite(self.model):
            self._course.lost_weights(step)
            self.control.should_training_stop = True
            return
        if not self._job.writes:
            self._newest = step, self._course.seconds
            return
        began = time.monotonic()
        optimizer: Any = self.optimizer
        states = [one for state in optimizer.state.values() for one in state.values() if hasattr(one, "nbytes")]
        require_room(self._job.run, "a checkpoint", room_for([*trained(self.model).values(), *states]))
        best = self._course.best_step if self._recipe.keep == "best" else None
        try:
            written = checkpoints.write(self._store, step, self._belongs, self._fill, best)
            start = 0 if self._recipe.on_divergence == "rollback" else None
            checkpoints.prune(self._store, self._recipe.save_total_limit, spare=[start])
        except Exception as error:
            if not is_disk_full(error):
                raise
            raise no_room(
                self._job.run, f"the disk filled up while the checkpoint of step {step} was written"
            ) from error
        self._newest = step, self._course.seconds
        took = time.monotonic() - began
        self._job.takes("checkpoint", took)
        self._job.tell(CheckpointWritten(step=step, bytes=written.bytes, seconds=took))

    def _fill(self, folder: Path) -> None:
        """The files of a checkpoint."""
        save_file(trained(self.model), folder / TRAINED)
        self._save_optimizer_and_scheduler(str(folder))
        self._save_scaler(str(folder))
        self._save_rng_state(str(folder))
        replace(self.state, log_history=[]).save_to_json(str(folder / TRAINER_STATE_NAME))
        kept = Kept(
            course=self._course.memory(),
            tokens=int(self._total_train_tokens),
            returns=self._returns,
            budgets={name: getattr(self, name) for name in _BUDGETS if hasattr(self, name)},
            ranks=ranks_of(self.model),
        )
        (folder / COURSE).write_text(kept.model_dump_json(), encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The trained weights; called by `train`."""
        self._take(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """And all that transformers' trainer does not keep; called by `train`."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        kept = kept_in(Path(checkpoint))
        self._course.remember(kept.course)
        self._newest = self.state.global_step, kept.course.seconds
        self._total_train_tokens = kept.tokens
        for name, budget in kept.budgets.items():
            setattr(self, name, min(budget, getattr(self, name, budget)))
        scale_rate(self.optimizer, self.lr_scheduler, 0.5 ** (self._returns - kept.returns))
        self._load_rng_state(checkpoint)  # a validation that is still due may write this checkpoint anew

    def _take(self, folder: Path) -> None:
        put_back(self.model, load_file(folder / TRAINED), kept_in(folder).ranks)

    def _finished(self, problem: JobError | None) -> Ending:
        """The end of a training whose weights are good, with those that were to be kept."""
        step = self._take_wanted()
        if problem:
            return Ending(step, type(problem)(f"{problem}; the adapter is that of step {step}"))
        course = self._course
        if course.spent:
            self._warn(f"{course.spent}; the learning rate fell as for all of them")
        early = self.state.global_step < self.state.max_steps and not (course.out_of_patience or course.spent)
        return Ending(step, stopped=early or course.unmeasured, said=course.spent or "")

    def _take_wanted(self) -> int:
        """The step whose weights are kept, which the model of who writes them now has."""
        step, best = self.state.global_step, self._course.best_step
        if not self._job.writes:
            return step
        found = None if self._recipe.keep == "last" or best in (None, step) else self._whole(best)
        if found is None:
            return step
        self._take(found.path)
        if best == 0:
            self._warn(
                f"no validation was better than the base's own, {self._course.told()}: the adapter is as it began and "
                "changes nothing; lower train.learning_rate, or look at the validation rows"
            )
        return found.step

    def _diverged(self, found: Checkpoint | None) -> Ending:
        """The end of a training that has diverged. Raises DivergedError."""
        said = f"the training diverged: {self._course.broken}"
        if self._returns:
            said += f", after {self._returns} returns to a checkpoint"
        if found is None:
            raise DivergedError(f"{said}; no checkpoint was written before, so no adapter is saved; {ADVICE}")
        best = kept_in(found.path).course.best_step
        if self._recipe.keep == "best" and best is not None:
            found = self._whole(best) or found
        self._take(found.path)
        said += f"; the adapter is that of step {found.step}, from before; {ADVICE}"
        return Ending(found.step, DivergedError(said))

    def _return_to(self, found: Checkpoint) -> None:
        """Counts the return where a resume finds it too, and says so."""
        self._returns += 1
        self._course.take_back(kept_in(found.path).course.seconds)
        if self._job.writes:
            (self._store / RETURNS).write_text(str(self._returns), encoding="utf-8")
        self._warn(
            f"{self._course.broken}: back to step {found.step} with {0.5**self._returns:g} times the learning rate "
            f"(return {self._returns} of at most {ROLLBACKS})"
        )
        self._job.tell(Resumed(step=found.step, reason="rollback"))

    def _whole(self, step: int) -> Checkpoint | None:
        try:
            return checkpoints.read(self._store, step)
        except Torn as why:
            self._warn(f"the best weights, of step {step}, are lost ({why}); the adapter has the newest")
            return None

    def _warn(self, message: str) -> None:
        self._job.tell(Warned(message=message))
