"""The train job, from a run's config to its adapter: one script, read from top to bottom.

Run by a launcher as `python -m ftspace.training.worker RUN_DIR`. Knows nothing of queues, screens or the Hub's pages.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from ftspace.chat import install_template
from ftspace.data.prepare import prepare
from ftspace.data.split import Split
from ftspace.errors import DatasetError, ModelError
from ftspace.events import AdapterSaved, EndStatus, Prepared, Preparing, Warned
from ftspace.runs import Run
from ftspace.settings import resolve_local
from ftspace.workers import Job, run_job

SECONDS = 1.0
"""At least so long lies between two words about the preparation."""


def train(job: Job) -> EndStatus:
    """Fine-tunes the run's base on the run's dataset; the adapter folder appears when it is whole.

    Raises FtspaceError when the data or the model cannot be used, or the training diverges.
    """
    run, config = job.run, job.run.config
    recipe = config.train
    manifest = prepare(config.data, run.data, _looker(job))
    for warning in manifest.warnings:
        job.tell(Warned(message=warning))
    job.stop_here()

    import torch
    from peft import LoraConfig
    from peft.utils.error import PeftError
    from transformers import set_seed
    from transformers.trainer_callback import PrinterCallback, ProgressCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from evals.errors import EvalError
    from evals.models import load_base, load_tokenizer
    from ftspace.training.callbacks import EventCallback, StoppedWhileMeasuring
    from ftspace.training.documents import adopt
    from ftspace.training.heads import complete_head, token_rows
    from ftspace.training.rows import SupervisedRows, supervised_rows
    from ftspace.training.trainer import DocumentTrainer

    set_seed(recipe.seed)
    base = str(resolve_local(config.model.id) or config.model.id)
    try:
        tokenizer = load_tokenizer(base, config.model.revision)
        untrained_tokens = install_template(tokenizer, config.model.chat_template)
        model: Any = load_base(
            base,
            revision=config.model.revision,
            dtype=config.model.dtype,
            device=recipe.device,
            tokenizer=tokenizer,
        )
    except EvalError as error:
        raise ModelError(str(error)) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    job.stop_here()

    length = recipe.max_length
    tokens: dict[Split, SupervisedRows] = {
        split: supervised_rows(
            tokenizer, run.data, split, length, recipe.truncation_side, cache=run.cache / "tokens", check=job.stop_here
        )
        for split in ("train", "validation")
    }
    train_rows, validation_rows = tokens["train"].dataset, tokens["validation"].dataset
    unusable, tally = tokens["train"].lost, tokens["train"].tally
    for warning in tally.warnings():
        job.tell(Warned(message=warning))
    refused = sum(tally.refused.values())
    if not len(train_rows) and refused > unusable:
        raise ModelError(tally.refused.most_common(1)[0][0])
    if not len(train_rows):
        raise DatasetError(
            f"in all {unusable} training rows the answer is cut off: they are cut after {length} tokens; "
            "raise train.max_length"
        )
    if unusable:
        job.tell(Warned(message=f"{unusable} rows are left out: train.max_length cuts their answer off"))
    device = model.device.type
    part_tokens = recipe.micro_batch_tokens or (1024 if device == "cpu" else 8192)
    unfit = adopt(model, train_rows.select(range(min(4, len(train_rows)))).to_list())
    if unfit:
        job.tell(Warned(message=f"{config.model.id} is trained on padded batches, which takes longer: {unfit}"))
    micro_batch = _rows_a_pass(recipe.batch_size, part_tokens // length) if unfit else recipe.batch_size
    trainer_class = SFTTrainer if unfit else partial(DocumentTrainer, part_tokens=part_tokens)
    arguments = SFTConfig(
        output_dir=str(run.path / "checkpoints"),
        per_device_train_batch_size=micro_batch,
        per_device_eval_batch_size=micro_batch,
        gradient_accumulation_steps=recipe.batch_size // micro_batch,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.scheduler,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        activation_checkpointing=recipe.gradient_checkpointing,
        bf16=device in ("cuda", "cpu") and model.dtype == torch.bfloat16,
        use_cpu=device == "cpu",
        seed=recipe.seed,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if len(validation_rows) else "no",
        eval_steps=recipe.validation_steps,
        eval_on_start=bool(len(validation_rows)),
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=device == "cuda",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    adapter = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora.r,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=config.lora.target_modules,
        trainable_token_indices=token_rows(model, untrained_tokens),
    )
    try:
        trainer: SFTTrainer = trainer_class(
            model=model,
            args=arguments,
            train_dataset=train_rows,
            eval_dataset=validation_rows if len(validation_rows) else None,
            processing_class=tokenizer,
            peft_config=adapter,
        )
    except PeftError as error:
        raise ModelError(f"lora.target_modules: the adapter does not fit the model: {error}") from error
    for chatty in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(chatty)
    tuned: Any = trainer.model
    if unfit:
        complete_head(tuned.get_base_model())
    trainable, parameters = tuned.get_nb_trainable_parameters()
    events = EventCallback(
        job,
        Prepared(
            rows={**manifest.rows, "train": len(train_rows)},
            dropped=manifest.dropped
            | manifest.removed
            | ({"answer cut off": unusable} if unusable else {})
            | ({"refused by the chat template": refused} if refused else {}),
            format=manifest.format,
            total_steps=0,
            trainable_parameters=trainable,
            parameters=parameters,
            device=device,
            dtype=str(model.dtype).removeprefix("torch."),
        ),
    )
    trainer.add_callback(events)
    job.stop_here()
    with suppress(StoppedWhileMeasuring):
        trainer.train()
    if events.diverged:
        raise events.diverged

    building = run.path / ".adapter-building"
    tuned.save_pretrained(building, save_embedding_layers=False)
    tokenizer.save_pretrained(building)
    size = sum(file.stat().st_size for file in building.iterdir())
    building.rename(run.adapter)
    job.tell(AdapterSaved(step=trainer.state.global_step, bytes=size))
    return "cancelled" if job.should_stop() else "finished"


def _rows_a_pass(batch: int, most: int) -> int:
    """The largest divisor of a step's conversations that is no more than `most`."""
    return max(size for size in range(1, batch + 1) if batch % size == 0 and size <= max(most, 1))


def _looker(job: Job) -> Callable[[int], None]:
    """Tells now and then how many rows have been looked at, and ends the look when a stop is asked for."""
    told = time.monotonic()

    def looked(rows: int) -> None:
        nonlocal told
        job.stop_here()
        if time.monotonic() - told > SECONDS:
            told = time.monotonic()
            job.tell(Preparing(rows=rows))

    return looked


if __name__ == "__main__":
    sys.exit(run_job(Run(Path(sys.argv[1])), "train", train))
