"""TRL's trainer made to last: it writes checkpoints, goes on from them exactly, keeps the best, outlives a divergence.

Where a checkpoint is taken up, transformers' own loop does it: same order, same place in the epoch, same random
numbers. Ours is what is in the folder, that it is whole, and when it is written.
"""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file
from transformers.trainer import TRAINER_STATE_NAME
from trl.trainer.sft_trainer import SFTTrainer

from ftspace.errors import DiskError, DivergedError
from ftspace.events import Checkpoint as CheckpointWritten
from ftspace.events import Resumed, Warned
from ftspace.training import checkpoints
from ftspace.training.callbacks import StoppedWhileMeasuring
from ftspace.training.checkpoints import Belongs, Checkpoint, Torn
from ftspace.training.course import Course, Memory
from ftspace.training.trained import Ranks, is_finite, put_back, ranks_of, trained, undisturbed
from ftspace.workers import Job

EVERY_SECONDS = 600.0
"""Between checkpoints where the config says nothing: ten minutes are what a person may lose."""
ROLLBACKS = 3
"""Returns to a checkpoint in one run, each with half the learning rate of the one before."""
ADVICE = "lower train.learning_rate, or look for broken rows in the dataset"
TRAINED, COURSE, RETURNS = "trained.safetensors", "course.json", "returns"
_BUDGETS = ("part_tokens", "validation_part_tokens")
"""What the trainer lowers when memory runs out."""
_SMALL_FILES = 10_000_000
"""Bytes that are more than enough for all in a checkpoint but weights and optimizer."""


class Kept(BaseModel):
    """course.json of a checkpoint: what transformers' trainer does not keep itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    course: Memory
    tokens: int
    returns: int
    """Halvings of the learning rate that the optimizer's state has."""
    budgets: dict[str, int]
    ranks: Ranks | None


@dataclass(frozen=True)
class Ending:
    """What a training came to; the model is as the adapter is to be."""

    step: int
    """Whose weights these are."""
    problem: DivergedError | None = None


class LastingTrainer(SFTTrainer):
    """SFTTrainer whose training can be cut off at any time, by `last` in place of `train`; `train` alone is TRL's."""

    _lasts = False

    def last(self, job: Job, course: Course, belongs: Belongs, found: Checkpoint | None) -> Ending:
        """Trains to the end, or until a stop is asked for.

        Args:
            job: whose config says when to write and what to keep; it is told what is done.
            course: told of the steps by the callback that hears of them.
            belongs: written into each checkpoint.
            found: where to go on from; the beginning when None.

        Raises:
            DivergedError: and there is no checkpoint to take the adapter from.
            DiskError: there is no room for a checkpoint.
        """
        self._lasts = True
        self._job, self._course, self._belongs = job, course, belongs
        self._recipe, self._store = job.run.config.train, job.run.checkpoints
        self._returns = _number(self._store / RETURNS)
        self._newest = 0, 0.0
        measures = self.args.eval_on_start
        checkpoints.drop_from(self._store, found.step + 1 if found else 0)  # what was passed over would count as newest
        if found:
            job.tell(Resumed(step=found.step))
            measures = _kept(found.path).course.unmeasured
        while True:
            self.args.eval_on_start = measures
            self._go(found)
            if course.broken is None:
                return self._finished()
            checkpoints.drop_from(self._store, max((course.first_bad or 0) - 1, 0))
            found = checkpoints.newest(self._store, self._warn)
            if found is None or self._recipe.on_divergence == "stop" or self._returns == ROLLBACKS:
                return self._diverged(found)
            self._return_to(found)
            measures = False

    def _go(self, found: Checkpoint | None) -> None:
        """Trains until the end, a stop or a divergence."""
        try:
            self.train(resume_from_checkpoint=str(found.path) if found else None)
        except StoppedWhileMeasuring:
            self._course.unmeasured = True
            self._write()
        if self._course.broken is None and not is_finite(self.model):
            self._course.lost_weights(self.state.global_step)

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
            metrics = super()._evaluate(trial, ignore_keys_for_eval, skip)
        best = course.validated(step, metrics["eval_loss"], metrics.get("eval_score"))
        if best and self._recipe.keep == "best":
            self._write()
        if course.out_of_patience:
            self.control.should_training_stop = True
            self._warn(f"stopped early at step {step}: {course.waited} validations since {course.told()}")
        return metrics

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if self._lasts and (self.state.global_step >= self.state.max_steps or self._course.out_of_patience):
            self.control.should_training_stop = True
            return
        if self._lasts and self._recipe.on_divergence == "rollback" and not checkpoints.steps(self._store):
            self._write()
        super()._run_epoch(*args, **kwargs)

    def _is_due(self) -> bool:
        """Whether a checkpoint is to be written after this step; not while the loss looks as if it were diverging."""
        step, (before, at) = self.state.global_step, self._newest
        if step == before or self._course.broken:
            return False
        if self._job.should_stop():
            return True
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
        began = time.monotonic()
        self._require_space()
        best = self._course.best_step if self._recipe.keep == "best" else None
        written = checkpoints.write(self._store, step, self._belongs, self._fill, best)
        start = 0 if self._recipe.on_divergence == "rollback" else None
        checkpoints.prune(self._store, self._recipe.save_total_limit, spare=[start])
        self._newest = step, self._course.seconds
        self._job.tell(CheckpointWritten(step=step, bytes=written.bytes, seconds=time.monotonic() - began))

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

    def _require_space(self) -> None:
        optimizer: Any = self.optimizer
        tensors = [*trained(self.model).values()]
        for state in optimizer.state.values():
            tensors += [one for one in state.values() if hasattr(one, "nbytes")]
        needed = sum(one.nbytes for one in tensors) + _SMALL_FILES
        free = shutil.disk_usage(self._job.run.path).free
        if free < needed:
            raise DiskError(
                f"a checkpoint needs {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free at {self._store}; free "
                "some space, then go on from the checkpoint before it: ftspace runs resume RUN"
            )

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """The trained weights; called by `train`."""
        self._take(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        """And all that transformers' trainer does not keep; called by `train`."""
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        kept = _kept(Path(checkpoint))
        self._course.remember(kept.course)
        self._newest = self.state.global_step, kept.course.seconds
        self._total_train_tokens = kept.tokens
        for name, budget in kept.budgets.items():
            setattr(self, name, budget)
        self._scale_rate(0.5 ** (self._returns - kept.returns))
        self._load_rng_state(checkpoint)  # a validation that is still due may write this checkpoint anew

    def _scale_rate(self, factor: float) -> None:
        """Multiplies the learning rate of the next step and of all that follow."""
        optimizer: Any = self.optimizer
        for group in optimizer.param_groups:
            group.update({name: group[name] * factor for name in ("lr", "initial_lr") if name in group})
        for name in ("base_lrs", "_last_lr"):
            if hasattr(self.lr_scheduler, name):
                setattr(self.lr_scheduler, name, [rate * factor for rate in getattr(self.lr_scheduler, name)])

    def _take(self, folder: Path) -> None:
        put_back(self.model, load_file(folder / TRAINED), _kept(folder).ranks)

    def _finished(self) -> Ending:
        """The end of a training that went well, with the weights that were to be kept."""
        step, best = self.state.global_step, self._course.best_step
        if self._recipe.keep == "last" or best is None or best == step:
            return Ending(step)
        found = self._whole(best)
        if found is None:
            return Ending(step)
        self._take(found.path)
        if best == 0:
            self._warn(
                f"no validation was better than the base's own, {self._course.told()}: the adapter is as it began and "
                "changes nothing; lower train.learning_rate, or look at the validation rows"
            )
        return Ending(best)

    def _diverged(self, found: Checkpoint | None) -> Ending:
        """The end of a training that has diverged. Raises DivergedError."""
        said = f"the training diverged: {self._course.broken}"
        if self._returns:
            said += f", after {self._returns} returns to a checkpoint"
        if found is None:
            raise DivergedError(f"{said}; no checkpoint was written before, so no adapter is saved; {ADVICE}")
        best = _kept(found.path).course.best_step
        if self._recipe.keep == "best" and best is not None:
            found = self._whole(best) or found
        self._take(found.path)
        said += f"; the adapter is that of step {found.step}, from before; {ADVICE}"
        return Ending(found.step, DivergedError(said))

    def _return_to(self, found: Checkpoint) -> None:
        """Counts the return where a resume finds it too, and says so."""
        self._returns += 1
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


def _kept(folder: Path) -> Kept:
    return Kept.model_validate_json((folder / COURSE).read_bytes())


def _number(path: Path) -> int:
    """The number in a small file; 0 when there is none."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0
