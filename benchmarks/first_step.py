"""From Start to the first training step: with a worker that waits, from a fresh start, and with a fresh `trl sft`.

`python -m benchmarks.first_step [--rounds 3] [--json]`. All three train the bundled base with LoRA on the bundled rows,
16 conversations a step, offline on the CPU, and take turns; the medians count. Nothing is kept from one round to the
next. Ours looks at all rows, splits them and measures the validation loss before the step; TRL does not.

    warm  jobs.start while a worker waits that has its imports done, until the first Step event
    cold  jobs.start without one, and without a supervisor
    trl   the process `trl sft`, until it prints the first step's loss
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from ftspace import jobs
from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.events import Step
from ftspace.launchers.local import WAITING
from ftspace.runs import RunReader, RunStore
from ftspace.settings import ROOT, worker_env
from ftspace.state import TERMINAL

BATCH = 16
PATIENCE = 300.0
STILL_SECONDS = 3.0
"""A waiting worker that has used no processor for so long has its imports done."""


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    rounds: list[dict[str, float]] = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            taken = {
                "trl": _trl(Path(folder, "trl")),
                "cold": _ours(Path(folder, "cold"), warm=False),
                "warm": _ours(Path(folder, "warm"), warm=True),
            }
        rounds.append(taken)
    seconds = {way: statistics.median(one[way] for one in rounds) for way in rounds[0]}
    found = {
        "first_step_ratio": round(seconds["warm"] / seconds["trl"], 3),
        "first_step_ratio_cold": round(seconds["cold"] / seconds["trl"], 3),
        "first_step_seconds": {way: round(value, 2) for way, value in seconds.items()},
    }
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _ours(folder: Path, *, warm: bool) -> float:
    store = RunStore(folder / "runs")
    run = store.create(_config())
    if warm:
        jobs.warm(store, seconds=0, offline=True)
        _until_imported()
    began = time.monotonic()
    jobs.start(run)
    reader = RunReader(run)
    while not any(isinstance(event, Step) for event in reader.refresh()):
        if time.monotonic() - began > PATIENCE or reader.status() in TERMINAL:
            raise SystemExit(f"the run made no step: {run.events.read_text()}")
        time.sleep(0.02)
    seconds = time.monotonic() - began
    jobs.cool(store)
    for _ in jobs.follow(reader):
        pass
    return seconds


def _until_imported() -> None:
    used, since = -1, time.monotonic()
    while used < 1 or time.monotonic() - since < STILL_SECONDS:
        time.sleep(0.5)
        now = _ticks_of_waiting_workers()
        if now != used:
            used, since = now, time.monotonic()


def _ticks_of_waiting_workers() -> int:
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if WAITING.encode() in (process / "cmdline").read_bytes():
                total += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return total


def _config() -> RunConfig:
    changes = {"train": {"max_steps": 1, "batch_size": BATCH}, "eval": {"tasks": []}, "hub": {"offline": True}}
    return parse_config(merge(default_config().model_dump(), changes))


def _trl(folder: Path) -> float:
    dataset = folder / "dataset"
    dataset.mkdir(parents=True)
    with (ROOT / default_config().data.id).open() as source, (dataset / "train.jsonl").open("w") as rows:
        for line in source:  # the base has no chat template, so TRL cannot take the messages as they are
            *asked, said = (message["content"] for message in json.loads(line)["messages"])
            rows.write(json.dumps({"prompt": "\n".join(asked) + "\n", "completion": said}) + "\n")
    flags = {
        "model_name_or_path": ROOT / "assets/base",
        "dataset_name": dataset,
        "output_dir": folder / "out",
        "lora_target_modules": "all-linear",
        "per_device_train_batch_size": BATCH,
        "max_steps": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    began = time.monotonic()
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("trl")), "sft", "--use_peft", "--use_cpu", *words],
        cwd=ROOT,
        env=worker_env(offline=True) | {"HF_DATASETS_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        said = b""
        seconds = None
        assert process.stdout is not None
        while part := os.read(process.stdout.fileno(), 1 << 16):
            said += part
            if seconds is None and b"'loss'" in said:
                seconds = time.monotonic() - began
    if seconds is None or process.returncode:
        raise SystemExit(f"trl sft made no step: {said.decode(errors='replace')[-6000:]}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
