"""Two processes that train together, against one process and a bare script below torchrun: a part of scaling.py.

Each way is a process group of its own and trains the same run: a model of SmolLM2's shape, cut to a few layers, in
float32, on conversations of realistic lengths, in batches of 8. The ways take turns; a time is the sum of the wall
seconds of the steps after the first two, each the best of all rounds.

    two_process_efficiency  seconds of one process with one thread, over twice those of two processes with one each
    against_two_threads     seconds of one process with two threads, over those of two processes with one each
    loss_difference         the largest difference of a step's loss between one process and two
    launcher_overhead       by how much two processes take longer than below a bare torchrun, which tells nothing and
                            stops for nobody
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.training import smol

ROOT = Path(__file__).resolve().parent.parent
LAYERS, STEPS, UNSETTLED, BATCH = 4, 12, 2, 8
WAYS = ("one_thread", "two_threads", "two_processes", "bare")


def measure(rounds: int) -> dict[str, Any]:
    """The figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _make_base(folder / "base")
        _make_rows(folder / "rows.jsonl")
        seconds: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        losses: dict[str, list[float]] = {}
        for number in range(rounds):
            for way in WAYS if number % 2 == 0 else reversed(WAYS):
                took, losses[way] = _run(way, folder)
                seconds[way].append(took)
    least = {way: sum(map(min, zip(*found, strict=True))) for way, found in seconds.items()}
    two = least["two_processes"]
    return {
        "two_process_efficiency": round(least["one_thread"] / (2 * two), 3),
        "against_two_threads": round(least["two_threads"] / two, 3),
        "loss_difference": max(abs(a - b) for a, b in zip(losses["one_thread"], losses["two_processes"], strict=True)),
        "launcher_overhead": round(two / least["bare"] - 1, 4),
        "seconds": {way: [round(sum(one), 2) for one in found] for way, found in seconds.items()},
    }


def _run(way: str, folder: Path) -> tuple[list[float], list[float]]:
    """Wall seconds of each settled step, and the losses of all."""
    from ftspace.config import parse_config
    from ftspace.events import Step, read_events
    from ftspace.launchers.local import WORKERS, launch, launch_several
    from ftspace.runs import RunStore
    from ftspace.settings import worker_env

    several = way in ("two_processes", "bare")
    config = parse_config(
        {
            "model": {"id": str(folder / "base"), "dtype": "float32"},
            "data": {"id": str(folder / "rows.jsonl"), "validation_fraction": 0, "test_fraction": 0},
            "lora": {"dropout": 0.0},
            "train": {"max_steps": STEPS, "batch_size": BATCH, "device": "cpu", "samples": 0, "keep": "last"},
            "eval": {"tasks": []},
            "launch": {"processes": 2 if several else 1},
        }
    )
    run = RunStore(folder / "runs").create(config)
    env = worker_env(offline=True) | {"OMP_NUM_THREADS": "2" if way == "two_threads" else "1"}
    if way == "bare":
        return _bare(run.path, env)
    if several:
        process = launch_several(run, locks=[], env=env)
    else:
        process = launch(run.path, WORKERS["train"], locks=[], env=env)
    if process.wait():
        raise SystemExit(run.log.read_text())
    told = [event for event in read_events(run.events)[0] if isinstance(event, Step)]
    return _settled([event.seconds for event in told]), [event.loss for event in told]


def _settled(ends: list[float]) -> list[float]:
    return [end - begin for begin, end in pairwise(ends[UNSETTLED - 1 :])]


def _bare(run: Path, env: dict[str, str]) -> tuple[list[float], list[float]]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--local-addr=127.0.0.1"]
    command = [sys.executable, *torchrun, "-m", "benchmarks.together", str(run)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return _settled(found["ends"]), found["losses"]


def _train_bare(folder: Path) -> None:
    """The same steps, below any torchrun: no job, no events, no checkpoints, nobody who can stop it."""
    import torch
    from transformers import TrainerCallback, set_seed
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    from ftspace.data.prepare import prepare
    from ftspace.runs import Run
    from ftspace.settings import take_rank
    from ftspace.training.adapters import attach
    from ftspace.training.arguments import arguments_of
    from ftspace.training.documents import adopt
    from ftspace.training.group import Group
    from ftspace.training.loading import load
    from ftspace.training.recipe import Work, choose
    from ftspace.training.rows import supervised_rows
    from ftspace.training.trainer import DocumentTrainer

    ends: list[float] = []
    losses: list[float] = []

    class Clock(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if "loss" in (logs or {}):
                ends.append(time.monotonic())
                losses.append(logs["loss"])

    rank = take_rank()
    assert rank, "below torchrun"
    group, run = Group(rank), Run(folder)
    with group.one_a_machine():
        if rank.rank == 0:
            prepare(run.config.data, run.data, lambda _: None)
    set_seed(run.config.train.seed)
    loaded = load(run.config)
    with group.one_a_machine():
        rows = supervised_rows(loaded.tokenizer, run.data, "train", run.config.train.max_length).dataset
    mean = sum(map(len, rows["input_ids"])) / len(rows)
    recipe = choose(run.config, Work(loaded.model.num_parameters(), len(rows), mean, "cpu"))
    trainee = attach(run.config, loaded, rows, STEPS, None)
    adopt(trainee.base, rows.select(range(4)).to_list())
    trainer = DocumentTrainer(
        part_tokens=recipe.micro_batch_tokens,
        model=trainee.model,
        args=arguments_of(run, recipe, device="cpu", dtype=torch.float32, rows=BATCH, validated=False, steps=STEPS),
        train_dataset=rows,
        processing_class=loaded.tokenizer,
        callbacks=[Clock()],
    )
    trainer.group = group
    for chatty in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(chatty)
    trainer.train()
    group.leave()
    if rank.rank == 0:
        sys.stdout.write("\n" + json.dumps({"ends": ends, "losses": losses}) + "\n")


def _make_base(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, set_seed

    from evals.models import load_tokenizer
    from ftspace.settings import ASSETS

    set_seed(0)
    tokenizer = load_tokenizer(ASSETS / "base")
    config = smol(LAYERS)
    config.vocab_size = len(tokenizer)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _make_rows(path: Path) -> None:
    """Conversations of 20 to 400 words, most of them short."""
    chance = random.Random(0)
    words = [
        "the",
        "harvest",
        "is",
        "late",
        "this",
        "year",
        "and",
        "the",
        "river",
        "stands",
        "high",
        "above",
        "all",
        "fields",
        "where",
        "oats",
        "were",
        "sown",
    ]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(STEPS * BATCH):
            asked, said = 10 + int(chance.expovariate(1 / 20)), min(300, 10 + int(chance.lognormvariate(4, 0.7)))
            turns = [("user", asked), ("assistant", said)]
            talk = [{"role": role, "content": " ".join(chance.choices(words, k=count))} for role, count in turns]
            file.write(json.dumps({"messages": talk}) + "\n")


if __name__ == "__main__":
    _train_bare(Path(sys.argv[1]))
