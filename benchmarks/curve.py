"""The loss curve of the embedded default, trained as a run trains it and by plain TRL: same rows, order, steps, start.

`python -m benchmarks.curve [--json]`. Both train in float32 with the run's own recipe; TRL pads its batches and takes
its own loss.

    curve_difference   largest difference of a step's loss
    curve_speedup      CPU seconds of TRL, with our settings, over ours: rows of some 25 tokens leave no padding to save
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SAME = 2e-3


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (ours, quick), (trl, slow) = (_losses(Path(folder, kind), plain=kind == "trl") for kind in ("ours", "trl"))
    difference = max(abs(one - other) for one, other in zip(ours, trl, strict=True))
    if difference > SAME:
        raise SystemExit(f"the curves are {difference} apart")
    found = {"curve_difference": difference, "curve_steps": len(ours), "curve_speedup": round(slow / quick, 2)}
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _losses(folder: Path, *, plain: bool) -> tuple[list[float], float]:
    """The loss of each step, and the CPU seconds of all."""
    from transformers import set_seed
    from transformers.trainer_callback import PrinterCallback, ProgressCallback
    from trl.trainer.sft_trainer import SFTTrainer

    from ftspace.config import default_config
    from ftspace.data.prepare import prepare
    from ftspace.runs import RunStore
    from ftspace.training.adapters import attach
    from ftspace.training.arguments import arguments_of
    from ftspace.training.documents import adopt
    from ftspace.training.heads import complete_head
    from ftspace.training.loading import load
    from ftspace.training.recipe import Work, choose, steps_of
    from ftspace.training.rows import training_rows
    from ftspace.training.trainer import DocumentTrainer
    from ftspace.workers import Job

    chosen = default_config()
    config = chosen.model_copy(update={"model": chosen.model.model_copy(update={"dtype": "float32"})})
    job = Job(RunStore(folder / "runs").create(config), "train")
    prepare(config.data, job.run.data)
    set_seed(config.train.seed)
    loaded = load(config)
    rows = training_rows(job, loaded.tokenizer)
    recipe = choose(config, Work(loaded.model.num_parameters(), len(rows.train), rows.mean_tokens, loaded.device))
    steps = steps_of(config, recipe, len(rows.train))
    trainee = attach(config, loaded, rows.train, steps)
    arguments = arguments_of(
        job.run,
        recipe,
        device=loaded.device,
        dtype=trainee.dtype,
        rows=recipe.batch_size,
        validated=False,
        steps=steps,
    )
    common: dict[str, Any] = {
        "model": trainee.model,
        "args": arguments,
        "train_dataset": rows.train,
        "processing_class": loaded.tokenizer,
    }
    if plain:
        trainer = SFTTrainer(**common)
        complete_head(trainee.base)
    else:
        refused = adopt(trainee.base, rows.train.select(range(4)).to_list())
        if refused:
            raise SystemExit(refused)
        trainer = DocumentTrainer(part_tokens=recipe.micro_batch_tokens, **common)
    for chatty in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(chatty)
    began = time.process_time()
    trainer.train()
    return [one["loss"] for one in trainer.state.log_history if "loss" in one], time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
