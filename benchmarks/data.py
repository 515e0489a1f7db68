"""How long a dataset takes to be understood, judged, deduplicated and split, and in what memory.

`python -m benchmarks.data [--rows 100000] [--json]`. Makes conversations of realistic lengths (a median of some 200
words, one row in fifty told twice, one in thirty nearly twice), prepares a tenth of them and all of them, each in a
process of its own, and prints the seconds and the peak of the memory that is not backed by files, of all processes
together. `speedup` is the time of one process over that of all cores, in the same run.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Runs the benchmark, or one preparation of it (`--one`)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        sys.stdout.write(json.dumps(_prepare(given.one, given.workers)) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        whole, tenth = Path(folder) / "whole.jsonl", Path(folder) / "tenth.jsonl"
        make_rows(whole, given.rows)
        with whole.open() as source:
            tenth.write_text("".join(line for line, _ in zip(source, range(given.rows // 10), strict=False)))
        small, large = _measure(tenth, None), _measure(whole, None)
        alone = _measure(whole, 1)
    if sum(large["split"].values()) != given.rows or alone["split"] != large["split"]:
        raise SystemExit(f"the preparation lost rows: {large} {alone}")
    found = {
        "rows": given.rows,
        "seconds": round(large["seconds"], 2),
        "peak_memory_bytes": large["peak"],
        "peak_memory_ratio_10x": round(large["peak"] / small["peak"], 3),
        "rows_per_second": round(given.rows / large["seconds"]),
        "speedup": round(alone["seconds"] / large["seconds"], 2),
        "found": large["found"],
    }
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def make_rows(path: Path, count: int) -> None:
    """Writes conversations of one to three questions, with what a look at the data should find."""
    chance = random.Random(0)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    vocabulary = [
        "".join(chance.choices(letters, weights=range(26, 0, -1), k=chance.randint(2, 9))) for _ in range(30_000)
    ]
    weights = 1 / (np.arange(len(vocabulary)) + 5)
    numbers = np.random.default_rng(0)
    pool: list[int] = []

    def text(words: int) -> str:
        if len(pool) < words:
            pool.extend(numbers.choice(len(vocabulary), size=1_000_000, p=weights / weights.sum()).tolist())
        taken = [vocabulary[pool.pop()] for _ in range(words)]
        return " ".join(taken).capitalize() + "."

    previous: list[dict[str, str]] = []
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            if number % 50 == 49:
                turns = previous
            elif number % 30 == 29:
                turns = [*previous[:-1], {"role": "assistant", "content": previous[-1]["content"] + " Indeed."}]
            else:
                turns = []
                for _ in range(chance.choice((1, 1, 1, 2, 3))):
                    turns.append({"role": "user", "content": text(min(400, 5 + int(chance.expovariate(1 / 30))))})
                    length = min(1500, 20 + int(chance.lognormvariate(4.4, 0.8)))
                    turns.append({"role": "assistant", "content": text(length)})
                if number % 400 == 7:
                    turns[-1]["content"] += " Write to jo.smith@mailbox.org about it."
            file.write(json.dumps({"messages": turns}) + "\n")
            previous = turns


def _measure(path: Path, workers: int | None) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.data", "--one", str(path)]
    command += ["--workers", str(workers)] if workers else []
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    peak = _Peak(psutil.Process(process.pid))
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the preparation of {path} failed")
    return {**json.loads(output), "peak": peak.end()}


def _prepare(path: Path, workers: int | None) -> dict[str, Any]:
    from ftspace.data.prepare import prepare
    from ftspace.sections import DataConfig

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        began = time.perf_counter()
        manifest = prepare(DataConfig(id=str(path)), Path(folder), workers=workers)
        seconds = time.perf_counter() - began
    report = manifest.report
    found = {one.finding: one.rows for one in report.found} if report else {}
    return {"seconds": seconds, "split": manifest.rows, "found": found}


class _Peak:
    """The most memory, not backed by files, that a process and its children have together."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._most = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def end(self) -> int:
        """Stops watching; the peak in bytes."""
        self._over.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self._most = max(self._most, sum(map(_anonymous, family)))


def _anonymous(process: psutil.Process) -> int:
    try:
        memory = process.memory_info()
    except psutil.NoSuchProcess:
        return 0
    return memory.rss - memory.shared


if __name__ == "__main__":
    sys.exit(main())
