"""What telling costs: the events of a training and the answers to its sample questions, against its steps.

`python -m benchmarks.events [--layers 4] [--steps 24] [--json]`. One process trains a model of SmolLM2-135M's shape,
cut to a few layers, on chat rows of realistic lengths; steps and generation both grow with the layers. All figures are
CPU seconds of all threads, and medians, so that a busy neighbour blurs them little.

    event_overhead  what one interval between two validations spends on telling (an event a step with its peak memory
                    and the look at the stop flag, the sample questions at its end), over what its steps take; and
                    the time of a checkpoint over the ten minutes between two of them
    switched        the same steps with and without their events by turns: the difference, which no list of parts can
                    forget anything of, but which is as noisy as a step
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.training import make_rows, smol

TIMES = 300


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=24, help="steps that are timed")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = _measure(Path(folder), given.layers, given.steps)
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _measure(folder: Path, layers: int, steps: int) -> dict[str, float]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, TrainerControl, set_seed
    from transformers.trainer_callback import PrinterCallback, ProgressCallback
    from trl.trainer.sft_config import SFTConfig

    from evals.models import load_tokenizer
    from ftspace.chat import install_template
    from ftspace.config import parse_config
    from ftspace.events import Checkpoint, Prepared, read_events
    from ftspace.runs import RunStore
    from ftspace.settings import ASSETS
    from ftspace.training.callbacks import EventCallback
    from ftspace.training.checkpoints import Belongs
    from ftspace.training.course import Course
    from ftspace.training.documents import adopt
    from ftspace.training.lasting import EVERY_SECONDS
    from ftspace.training.samples import Samples
    from ftspace.training.trainer import DocumentTrainer
    from ftspace.workers import Job

    set_seed(0)
    config = parse_config({"train": {"checkpoint_steps": steps}})
    job = Job(RunStore(folder / "runs").create(config), "train")
    job.run.data.mkdir()
    talk = [{"role": "user", "content": "What is left of the harvest? " * 4}, {"role": "assistant", "content": "Oats"}]
    (job.run.data / "validation.jsonl").write_text((json.dumps({"messages": talk}) + "\n") * config.train.samples)
    model: Any = AutoModelForCausalLM.from_config(smol(layers), dtype=torch.bfloat16)
    attention = model.config._attn_implementation
    rows = make_rows()[:16]
    refused = adopt(model, rows[:4])
    if refused:
        raise SystemExit(refused)
    tokenizer = load_tokenizer(ASSETS / "base")
    install_template(tokenizer)
    trainer = DocumentTrainer(
        part_tokens=1024,
        model=model,
        args=SFTConfig(
            output_dir=str(folder / "out"),
            per_device_train_batch_size=len(rows),  # every step trains the same rows: their order plays no part
            max_steps=steps + 2,
            lr_scheduler_type="constant",
            activation_checkpointing=False,
            bf16=True,
            use_cpu=True,
            max_length=None,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules="all-linear"),
    )
    prepared = Prepared(
        rows={}, format="messages", total_steps=steps, trainable_parameters=1, parameters=1, device="cpu", dtype="bf16"
    )
    course = Course(by_score=False, patience=None)
    events = _Switched(EventCallback, job, prepared, course)
    for chatty in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(chatty)
    trainer.add_callback(events.callback)
    trainer.last(job, course, Belongs(config={}, data=""), None)
    (written,) = (event for event in read_events(job.run.events)[0] if isinstance(event, Checkpoint))

    logs = next(log for log in trainer.state.log_history if "loss" in log)
    state, control, arguments = trainer.state, TrainerControl(), trainer.args
    teller = EventCallback(job, prepared, course)
    tell = _cpu_seconds(lambda: teller.on_log(arguments, state, control, logs=dict(logs)))
    look = _cpu_seconds(lambda: teller.on_step_end(arguments, state, control))
    samples = Samples(job, trainer.model, tokenizer, attention=attention, rows=config.train.samples, most_tokens=1024)
    asked = [_cpu_seconds(lambda: samples.ask(0), times=1) for _ in range(3)][1:]
    mute, told = (statistics.median(events.seconds[loud]) for loud in (False, True))
    interval = config.train.validation_steps
    return {
        "event_overhead": (tell + look) / mute
        + statistics.median(asked) / (interval * mute)
        + written.seconds / EVERY_SECONDS,
        "switched": told / mute - 1,
        "step_seconds": mute,
        "event_seconds": tell + look,
        "checkpoint_seconds": written.seconds,
        "samples_seconds": statistics.median(asked),
        "samples": config.train.samples,
        "longest_answer": config.eval.max_new_tokens,
        "validation_steps": interval,
    }


def _cpu_seconds(work: Callable[[], object], times: int = TIMES) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


class _Switched:
    """The run's own callback, heard at every second step, and how long the steps of both kinds take."""

    def __init__(self, base: type, *given: Any) -> None:
        self.seconds: dict[bool, list[float]] = {True: [], False: []}
        outer = self

        class Callback(base):  # pyright: ignore[reportUntypedBaseClass]
            began = 0.0

            def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
                now = time.process_time()
                if state.global_step > 1:  # the first is no step like the others
                    outer.seconds[state.global_step % 2 == 1].append(now - self.began)
                self.began = now

            def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
                if state.global_step % 2:
                    super().on_step_end(args, state, control, **more)

            def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
                if state.global_step % 2:
                    super().on_log(args, state, control, **more)

        self.callback = Callback(*given)


if __name__ == "__main__":
    sys.exit(main())
