"""The training step against plain TRL, TRL tuned by hand and LLaMA-Factory's way, on one model and the same rows.

`python -m benchmarks.training [--layers 10] [--rounds 2] [--json]`. A model of SmolLM2-135M's shape with random
weights, and chat rows of realistic lengths, about seven tokens in ten of them trained. Every way trains the same rows
for the same number of optimizer steps in a process of its own; the processes take turns, and the best round of each
counts. CPU seconds are of all threads. First the losses of ours are compared with plain TRL's in float32, and the
first step's gradients as each way really computes them.

    trl           TRL's defaults: float32 weights, bf16 autocast, gradient checkpointing, padded batches
    trl_tuned     packed best-fit to 1024, bf16 autocast, no checkpointing
    llamafactory  bf16 weights, gradient checkpointing, logits at every position, padded (its settings, imitated here)
    ours          documents without padding, logits where a token is trained, bf16 weights, float32 adapters

Then the curve of a real run, the time to the first step, what telling costs and how far the estimates are off:
benchmarks.curve, .first_step, .events and .estimate, whose figures are printed with these but for `--step-only`.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("trl", "trl_tuned", "llamafactory", "ours")
BATCH, STEPS, RANK = 8, 3, 16
BESIDE = ("curve", "first_step", "events", "estimate")
SAME_LOSS, SAME_GRADIENT = 2e-3, 0.997


def main() -> int:
    """Runs the benchmark, or one way of it (`--way`)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--step-only", action="store_true", help="the training step alone")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--precise", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--gradient", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        sys.stdout.write(json.dumps(_train(given.way, given.layers, given.precise, given.gradient)) + "\n")
        return 0
    exact = {way: _run(way, given.layers, precise=True) for way in ("trl", "ours")}
    difference = max(abs(a - b) for a, b in zip(exact["trl"]["losses"], exact["ours"]["losses"], strict=True))
    if difference > SAME_LOSS:
        raise SystemExit(f"the losses differ: {exact}")
    with tempfile.TemporaryDirectory() as folder:
        files = {way: Path(folder, f"{way}.npy") for way in ("trl", "ours")}
        rounds = [
            {way: _run(way, given.layers, precise=False, gradient=files.get(way)) for way in WAYS}
            for _ in range(given.rounds)
        ]
        cosine = _cosine(*(np.load(file) for file in files.values()))
    if cosine < SAME_GRADIENT:
        raise SystemExit(f"the gradients differ: their cosine is {cosine}")
    seconds = {way: min(one[way]["seconds"] for one in rounds) for way in WAYS}
    memory = {way: statistics.median(one[way]["memory"] for one in rounds) for way in WAYS}
    found = {
        "speedup_vs_trl": round(seconds["trl"] / seconds["ours"], 2),
        "speedup_vs_trl_tuned": round(seconds["trl_tuned"] / seconds["ours"], 2),
        "speedup_vs_llamafactory_way": round(seconds["llamafactory"] / seconds["ours"], 2),
        "memory_ratio": round(memory["ours"] / memory["trl"], 3),
        "loss_difference": difference,
        "gradient_cosine": round(cosine, 5),
        "cpu_seconds": {way: round(value, 2) for way, value in seconds.items()},
        "peak_over_idle_bytes": memory,
        "tokens": rounds[0]["ours"]["tokens"],
        "supervised_share": round(rounds[0]["ours"]["supervised"] / rounds[0]["ours"]["tokens"], 2),
    }
    if not given.step_only:
        for name in BESIDE:
            found |= _printed([f"benchmarks.{name}", "--json"])
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _cosine(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _run(way: str, layers: int, *, precise: bool, gradient: Path | None = None) -> dict[str, Any]:
    command = ["benchmarks.training", "--way", way, "--layers", str(layers)]
    return _printed(
        [*command, *(["--precise"] if precise else []), *(["--gradient", str(gradient)] if gradient else [])]
    )


def _printed(command: list[str]) -> dict[str, Any]:
    """What a benchmark prints as JSON, run in a process of its own."""
    from ftspace.settings import worker_env

    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=worker_env(offline=True),  # the peers get our allocator's and threads' settings, too
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def make_rows() -> list[dict[str, list[int]]]:
    """Token ids and labels of chat rows: short questions, answers of a long-tailed length, at most 1,024 tokens."""
    chance = random.Random(0)
    rows: list[dict[str, list[int]]] = []
    for _ in range(BATCH * STEPS):
        asked = min(400, 12 + int(chance.expovariate(1 / 60)))
        said = min(1023 - asked, 20 + int(chance.lognormvariate(4.6, 0.8)))
        ids = [chance.randrange(10, 49_000) for _ in range(asked + said)]
        rows.append({"input_ids": ids, "labels": [-100] * asked + ids[asked:]})
    return rows


def smol(layers: int) -> Any:
    """SmolLM2-135M's config, cut to some layers."""
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49_152,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
    )


def _train(way: str, layers: int, precise: bool, gradient: str | None) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, Trainer, set_seed
    from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from evals.models import load_tokenizer
    from ftspace.settings import ASSETS
    from ftspace.training.documents import adopt
    from ftspace.training.heads import complete_head
    from ftspace.training.trainer import DocumentTrainer

    set_seed(0)
    model: Any = AutoModelForCausalLM.from_config(smol(layers), dtype=torch.float32)
    half = way in ("llamafactory", "ours") and not precise
    if half:
        model = model.to(torch.bfloat16)
    rows = make_rows()
    tokenizer = load_tokenizer(ASSETS / "base")
    packed, ours = way == "trl_tuned", way == "ours"
    passes = sum(len(row["input_ids"]) for row in rows) // 1024 + 1
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=max(1, passes // STEPS) if packed else BATCH,
            max_steps=STEPS if not packed else -1,
            num_train_epochs=1,
            learning_rate=2e-4,
            lr_scheduler_type="constant",
            activation_checkpointing=way in ("trl", "llamafactory"),
            bf16=not precise,
            use_cpu=True,
            train_sampling_strategy="sequential",
            packing=packed,
            max_length=1024 if packed else None,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataset_kwargs=None if packed else {"skip_prepare_dataset": True},
        )
        common: dict[str, Any] = {
            "model": model,
            "args": arguments,
            "train_dataset": Dataset.from_list(rows),
            "processing_class": tokenizer,
            "peft_config": LoraConfig(task_type="CAUSAL_LM", r=RANK, lora_alpha=32, target_modules="all-linear"),
        }
        if ours:
            refused = adopt(model, rows[:4])
            if refused:
                raise SystemExit(refused)
            trainer: Any = DocumentTrainer(part_tokens=1024, **common)
        else:
            trainer = SFTTrainer(**common)
            complete_head(trainer.model.get_base_model())
        if way == "llamafactory":
            trainer.compute_loss = lambda model, inputs, **more: Trainer.compute_loss(trainer, model, inputs, **more)
        for chatty in (PrinterCallback, ProgressCallback):
            trainer.remove_callback(chatty)
        clock = _Clock(TrainerCallback, gradient)
        trainer.add_callback(clock.callback)
        trainer.train()
    return {
        "seconds": clock.seconds,
        "memory": clock.memory,
        "losses": clock.losses,
        "tokens": sum(len(row["input_ids"]) for row in rows),
        "supervised": sum(sum(label != -100 for label in row["labels"]) for row in rows),
    }


class _Clock:
    """CPU seconds from the first step's beginning to the last one's end, the losses, and the peak memory over idle.

    Writes the first step's gradients to the file `gradient`.
    """

    def __init__(self, base: type, gradient: str | None) -> None:
        self.seconds = 0.0
        self.memory = 0
        self.losses: list[float] = []
        outer = self

        class Callback(base):  # pyright: ignore[reportUntypedBaseClass]
            def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
                Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
                outer._idle = _status("VmRSS")
                outer._began = time.process_time()

            def on_train_end(self, *args: Any, **kwargs: Any) -> None:
                outer.seconds = time.process_time() - outer._began
                outer.memory = _status("VmHWM") - outer._idle

            def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if gradient and not state.global_step:
                    trained = [one.grad for one in kwargs["model"].parameters() if one.grad is not None]
                    np.save(gradient, np.concatenate([one.float().flatten().numpy() for one in trained]))

            def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
                if "loss" in logs:
                    outer.losses.append(logs["loss"])

        self._idle, self._began = 0, 0.0
        self.callback = Callback()


def _status(name: str) -> int:
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
