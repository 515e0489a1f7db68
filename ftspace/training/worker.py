"""The train job, from a run's config to its adapter: one script, read from top to bottom.

Run by a launcher as `python -m ftspace.training.worker RUN_DIR`. Knows nothing of queues, screens or the Hub's pages.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftspace.access import Visitor
from ftspace.budgets import budget_of
from ftspace.errors import DiskError
from ftspace.events import AdapterSaved, EndStatus, Prepared, Preparing, Warned
from ftspace.runs import Run, RunStore
from ftspace.settings import take_rank
from ftspace.starting import weights_of
from ftspace.training import checkpoints, folders
from ftspace.training.alone import Alone
from ftspace.training.carrying import carried
from ftspace.training.course import Course
from ftspace.training.ready import import_for
from ftspace.training.saving import save_adapter
from ftspace.workers import Job, Stopped, run_job

SECONDS = 1.0
"""At least so long lies between two words about the preparation."""


def train(job: Job, *, callbacks: Sequence[Any] = (), group: Alone | None = None) -> EndStatus:
    """Fine-tunes the run's base on the run's dataset, from its newest checkpoint on; the adapter appears when whole.

    `callbacks` are given to the trainer beside its own. `group` are the processes that do it together: each goes
    through all of this, and does its share of each step.
    Raises FtspaceError when the data or the model cannot be used, or the training diverges.
    """
    run, config, group = job.run, job.run.config, group or Alone()
    budget = budget_of(config.train)
    with group.one_a_machine():
        folders.restore(run.adapter)
        manifest = checkpoints.prepared(job, looker(job))
        belongs, found = checkpoints.take_up(job)
    group.same("the config or the prepared rows", belongs.model_dump_json())
    found = carried(group, run.checkpoints, found, writes=job.writes)
    visitor = Visitor(run.access.owner, may_start=False)
    start = None if found else weights_of(config, RunStore(run.path.parent), visitor)
    job.stop_here()

    import_for(train)
    from transformers import set_seed
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    from ftspace.training import stepping, trackers
    from ftspace.training.adapters import attach, full_precision
    from ftspace.training.arguments import arguments_of
    from ftspace.training.callbacks import EventCallback
    from ftspace.training.documents import adopt
    from ftspace.training.heads import complete_head
    from ftspace.training.loading import load
    from ftspace.training.noise import add_noise
    from ftspace.training.padded import PaddedTrainer
    from ftspace.training.predict import foresee, machine
    from ftspace.training.recipe import Work, choose, steps_of
    from ftspace.training.rows import training_rows
    from ftspace.training.samples import Samples
    from ftspace.training.sharding import may_divide
    from ftspace.training.shards import Shards
    from ftspace.training.trainer import DocumentTrainer
    from ftspace.training.undivided import Undivided

    with group.one_a_machine():
        here = machine(run)
    set_seed(config.train.seed)
    loaded = load(config, later=may_divide(config, group.size))
    tokenizer = loaded.tokenizer
    job.stop_here()
    with group.one_a_machine():
        rows = training_rows(job, tokenizer)
    work = Work(
        parameters=loaded.model.num_parameters(),
        rows=len(rows.train),
        mean_tokens=rows.mean_tokens,
        device=loaded.device,
        memory=loaded.memory,
    )
    chosen = choose(config, work)
    foreseen = group.first(
        foresee(run, chosen, rows.train, manifest.rows, len(loaded.untrained), here, processes=group.size)
    )
    setup = checkpoints.Setup(
        recipe=foreseen.recipe,
        device=loaded.device,
        dtype=str(loaded.model.dtype),
        tokens=checkpoints.digest_of(rows.train, rows.validation),
    )
    group.same("the rows in tokens, or the number format of the weights,", setup.model_dump_json(exclude={"device"}))
    belongs, recipe = checkpoints.made_with(job, belongs, found, setup)
    steps = steps_of(config, recipe, len(rows.train))
    shard = foreseen.shard
    if not shard.value:
        loaded.settle()
    trainee = attach(config, loaded, rows.train, steps, start)
    model, base = trainee.model, trainee.base
    for warning in trainee.warnings:
        job.tell(Warned(message=warning))
    pace = Shards(base, group, loaded.place or base.device) if shard.value else Undivided()
    if shard.value and not shard.given:
        said = f"the base's weights are divided over the {group.size} processes: {shard.why}"
        also = "; the comparison holds all of them in one process" if config.eval.tasks else ""
        job.tell(Warned(message=said + also))
    attention = base.config._attn_implementation
    packs = config.train.packing and trainee.documents
    unfit = adopt(base, rows.train.select(range(min(4, len(rows.train)))).to_list()) if packs else None
    padding = bool(unfit) or not packs
    group.same("the ways to lay out a batch", padding)
    if unfit:
        job.tell(Warned(message=f"{config.model.id} is trained on padded batches, which takes longer: {unfit}"))
    padded = _rows_a_pass(recipe.batch_size, recipe.micro_batch_tokens // config.train.max_length)
    arguments = arguments_of(
        run,
        recipe,
        device=loaded.device,
        dtype=trainee.dtype,
        rows=padded if padding else recipe.batch_size,
        validated=len(rows.validation) > 0,
        steps=steps,
        tracked=group.is_first,
    )
    trainer_class = PaddedTrainer if padding else DocumentTrainer
    with full_precision(model):
        trainer = trainer_class(
            part_tokens=recipe.micro_batch_tokens,
            model=model,
            args=arguments,
            train_dataset=rows.train,
            eval_dataset=rows.validation if len(rows.validation) else None,
            processing_class=tokenizer,
            optimizers=stepping.optimizers_of(config, model, arguments),
            callbacks=[*stepping.callbacks_of(model), *(trackers.callbacks_of(run) if group.is_first else [])],
        )
    trainer.group, trainer.pace = group, pace
    if config.train.neftune_alpha is not None:
        add_noise(model, base.get_input_embeddings(), config.train.neftune_alpha)
    for chatty in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(chatty)
    if padding:
        complete_head(base)
    trainer.warn = lambda message: job.tell(Warned(message=message))
    trainer.samples = Samples(
        job,
        model,
        tokenizer,
        attention=attention,
        rows=manifest.rows["validation"],
        most_tokens=recipe.micro_batch_tokens,
    )
    trainable, parameters = trainee.parameters()
    course = Course(by_score=config.train.best_by == "score", patience=config.train.patience, budget=budget)
    events = EventCallback(
        job,
        Prepared(
            rows={**manifest.rows, "train": len(rows.train)},
            dropped=manifest.dropped | manifest.removed | rows.dropped,
            format=manifest.format,
            total_steps=0,
            trainable_parameters=trainable,
            parameters=parameters,
            device=loaded.device,
            hardware=loaded.hardware,
            processes=group.size,
            dtype=str(model.dtype).removeprefix("torch."),
            recipe=asdict(recipe) | ({} if group.alone else {"shard": shard.value}),
            **foreseen.told,
        ),
        course,
    )
    for callback in (events, *callbacks):
        trainer.add_callback(callback)
    job.stop_here()
    ending = trainer.last(job, course, belongs, found)
    discards = job.discards()
    if discards:
        group.leave()
    if discards or (ending.stopped and job.leaves()):
        raise Stopped
    if config.train.keep == "best" and course.best is None and not (ending.problem or job.should_stop()):
        job.tell(Warned(message="no validation gave a number to go by: the adapter has the last weights, not the best"))

    def fill(folder: Path) -> None:
        trainee.save(folder)
        tokenizer.save_pretrained(folder)

    if job.writes:
        size = save_adapter(job, fill)
        job.tell(AdapterSaved(step=ending.step, bytes=size))
    if not isinstance(ending.problem, DiskError):  # which the others know nothing of
        group.leave()
    if ending.problem:
        raise ending.problem
    job.said = ending.said
    return "cancelled" if ending.stopped else "finished"


def _rows_a_pass(batch: int, most: int) -> int:
    """The largest divisor of a step's conversations that is no more than `most`."""
    return max(size for size in range(1, batch + 1) if batch % size == 0 and size <= max(most, 1))


def looker(job: Job) -> Callable[[int], None]:
    """Tells now and then how many rows have been looked at, and ends the look when a stop is asked for."""
    told = time.monotonic()

    def looked(rows: int) -> None:
        nonlocal told
        job.stop_here()
        if time.monotonic() - told > SECONDS:
            told = time.monotonic()
            job.tell(Preparing(rows=rows))

    return looked


def main(run: Run) -> int:
    """The exit status of the job, or of this process's part in it where torchrun has started several."""
    rank = take_rank()
    if rank is None:
        return run_job(run, "train", train)
    from ftspace.training.part import take_part

    return take_part(run, rank, train)


if __name__ == "__main__":
    sys.exit(main(Run(Path(sys.argv[1]))))
