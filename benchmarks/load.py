"""What open pages cost: the time of a tick, what it takes from the training, and how fast long histories are read.

`python -m benchmarks.load [--sessions 200] [--seconds 30] [--rounds 8] [--quick] [--json]`. The real app serves a real
training of the bundled model, while a process (benchmarks/pages.py) plays so many open pages. Stretches with and
without them alternate, and each is compared with its neighbours; pages are loaded before the first. It needs a machine
where nobody else is at work.

    sessions           pages open at once
    p50_ms, p95_ms     time of a tick: from asking for news to having the whole answer
    errors             ticks that failed, or showed a step that had been outdated for more than 3 s
    behind_p95_ms      for how long what a tick showed was no longer the newest step
    app_cpu            share of one core that the app took while it was watched
    training_slowdown  share of the tokens a second that the training loses to the pages: the median over the rounds
    open_100k_ms       a run of 100,000 steps: opened and its view made, in a fresh process
    tick_100k_ms       its next view, after ten more steps; the slowest of ten
    list_1000_ms       the status and verdict of 1,000 runs, in a fresh process
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftspace import jobs
from ftspace.config import RunConfig, default_config, merge, parse_config
from ftspace.events import Evaluated, Event, EventLog, Finished, Prepared, Started, Step, Validation
from ftspace.listing import Listed, listed
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import ROOT, worker_env
from ftspace.state import TERMINAL
from ftspace.ui.live.following import Follower

OUTDATED_SECONDS = 3.0
PATIENCE = 300.0
SETTLING = 3.0
"""Seconds of a stretch that are not measured: pages come and go."""


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of a stretch")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="five pages for a few seconds, and short histories")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--reading", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.reading:
        sys.stdout.write(json.dumps(_read(given.reading)))
        return 0
    if given.quick:
        given.sessions, given.seconds, given.rounds = 5, SETTLING + 3, 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = _load(Path(folder, "app"), given.sessions, given.seconds, given.rounds)
        found |= _reading(Path(folder, "reading"), *((1_000, 20) if given.quick else (100_000, 1_000)))
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _load(data_dir: Path, sessions: int, seconds: float, rounds: int) -> dict[str, Any]:
    """The figures of a training that is watched."""
    run = RunStore(data_dir / "runs").create(_config())
    port, app = _app(data_dir)
    pages = None
    try:
        jobs.start(run)
        _until_it_trains(run)
        words = [sys.executable, "-m", "benchmarks.pages", str(port), run.id, str(sessions)]
        pages = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert pages.stdin is not None
        assert pages.stdout is not None
        if pages.stdout.readline() != "ready\n":
            raise SystemExit(f"the pages did not open; the app said: {(data_dir / 'app.log').read_text()}")
        quiet, watched, told = [_stretch(seconds)], list[tuple[float, float]](), list[dict[str, Any]]()
        used: list[float] = []
        for _ in range(rounds):
            began, before = time.time(), _processor_seconds(app.pid)
            pages.stdin.write(f"{seconds}\n")
            pages.stdin.flush()
            told.append(json.loads(pages.stdout.readline()))
            watched.append((began, time.time()))
            used.append((_processor_seconds(app.pid) - before) / (time.time() - began))
            quiet.append(_stretch(seconds))
        steps = _steps(run)
    finally:
        if pages:
            pages.kill()
            pages.wait()
        app.kill()
        app.wait()
        with suppress(Exception):
            jobs.stop(run)
    while run.is_alive():
        time.sleep(0.2)
    speeds = [_speed(steps, stretch) for stretch in quiet]
    ratios = [
        _speed(steps, stretch) / statistics.mean(speeds[place : place + 2]) for place, stretch in enumerate(watched)
    ]
    taken = sorted(one for stretch in told for one in stretch["milliseconds"])
    shown = [one for stretch in told for one in stretch["shown"]]
    behind = sorted(_behind(steps, at, step) for at, step in shown)
    failed = [one for stretch in told for one in stretch["errors"]]
    for words in dict.fromkeys(failed):
        sys.stderr.write(f"{words}\n")
    return {
        "sessions": sessions,
        "ticks": len(taken),
        "ticks_with_news": sum(stretch["fresh"] for stretch in told),
        "p50_ms": round(_share(taken, 0.5), 1),
        "p95_ms": round(_share(taken, 0.95), 1),
        "errors": len(failed) + sum(one > OUTDATED_SECONDS for one in behind),
        "behind_p95_ms": round(1000 * _share(behind, 0.95)),
        "app_cpu": round(statistics.median(used), 3),
        "training_slowdown": round(1 - statistics.median(ratios), 4),
        "tokens_per_second": round(statistics.median(speeds)),
    }


def _app(data_dir: Path) -> tuple[int, subprocess.Popen[bytes]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    env = worker_env(offline=True) | {"FTSPACE_WARM": "0"}
    with (data_dir / "app.log").open("ab") as log:
        app = subprocess.Popen(
            [sys.executable, "app.py", "--data-dir", str(data_dir), "--port", str(port)],
            cwd=ROOT, env=env, stdout=log, stderr=log,
        )  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.monotonic()
    while True:
        with suppress(OSError), opener.open(f"http://127.0.0.1:{port}/", timeout=5):
            return port, app
        if app.poll() is not None or time.monotonic() - began > PATIENCE:
            raise SystemExit(f"the app does not answer: {(data_dir / 'app.log').read_text()}")
        time.sleep(0.2)


def _config() -> RunConfig:
    """A training that goes on for longer than the benchmark, and does nothing else."""
    train = {"max_steps": 1_000_000, "validation_steps": 1_000_000, "samples": 0, "checkpoint_steps": 1_000_000}
    changes = {"train": train | {"device": "cpu"}, "eval": {"tasks": []}, "hub": {"offline": True}}
    return parse_config(merge(default_config().model_dump(), changes))


def _until_it_trains(run: Run) -> None:
    reader, began = RunReader(run), time.monotonic()
    while len(reader.state.steps) < 5:
        if time.monotonic() - began > PATIENCE or reader.status() in TERMINAL:
            raise SystemExit(f"the run made no steps: {run.log.read_text()}")
        time.sleep(0.2)
        reader.refresh()


def _stretch(seconds: float) -> tuple[float, float]:
    began = time.time()
    time.sleep(seconds)
    return began, time.time()


def _steps(run: Run) -> list[Step]:
    reader = RunReader(run)
    reader.refresh()
    return reader.state.steps


def _speed(steps: Sequence[Step], stretch: tuple[float, float]) -> float:
    """Tokens a second in a stretch, without its first seconds."""
    inside = [step for step in steps if stretch[0] + SETTLING <= step.time <= stretch[1]]
    if len(inside) < 2:
        raise SystemExit("a stretch held no two steps: give it more --seconds")
    return (inside[-1].tokens - inside[0].tokens) / (inside[-1].time - inside[0].time)


def _behind(steps: Sequence[Step], at: float, shown: int) -> float:
    """For how many seconds there had been a newer step at that time than the one that was shown."""
    place = bisect_right(steps, shown, key=lambda step: step.step)
    return max(0.0, at - steps[place].time) if place < len(steps) else 0.0


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _share(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def _reading(folder: Path, steps: int, runs: int) -> dict[str, Any]:
    """The figures of long histories, read by a process of its own."""
    long, many = RunStore(folder / "long" / "runs"), RunStore(folder / "many" / "runs")
    _write(long.create(default_config()), _history(steps, over=False))
    over, ended_early = _history(60, over=True), _history(60, over=False)
    for place in range(runs):
        _write(many.create(default_config()), over if place % 10 else ended_early)
    words = [sys.executable, "-m", "benchmarks.load", "--reading", str(folder)]
    done = subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _read(folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    found = listed(RunStore(folder / "many" / "runs"))
    list_seconds = time.perf_counter() - began
    assert all(isinstance(one, Listed) for one in found)
    (run,) = RunStore(folder / "long" / "runs").list()
    began = time.perf_counter()
    follower = Follower(run, lambda _: None)
    follower.look()
    open_seconds = time.perf_counter() - began
    log = EventLog(run.events)
    ticks: list[float] = []
    for tick in range(10):
        newest = [_step(1_000_000 + 10 * tick + more) for more in range(10)]
        for step in newest:
            log.append(step)
        follower.void()
        began = time.perf_counter()
        made = follower.look()
        ticks.append(time.perf_counter() - began)
        assert f"at step {newest[-1].step:,}" in made.html
    figures = {"open_100k_ms": open_seconds, "tick_100k_ms": max(ticks), "list_1000_ms": list_seconds}
    return {name: round(1000 * seconds, 1) for name, seconds in figures.items()}


def _write(run: Run, told: Sequence[Event]) -> None:
    run.events.write_text("".join(event.model_dump_json() + "\n" for event in told), encoding="utf-8")


def _history(steps: int, *, over: bool) -> list[Event]:
    told: list[Event] = [
        Started(job="train", pid=1, versions={"torch": "2"}),
        Prepared(
            rows={"train": 1545}, format="messages", total_steps=2 * steps, trainable_parameters=300_000,
            parameters=3_700_000, device="cpu", dtype="float32", predicted_bytes=10**9,
        ),
    ]  # fmt: skip
    for number in range(1, steps + 1):
        told.append(_step(number))
        if number % 500 == 0:
            told.append(Validation(step=number, loss=2 + 300 / (number + 100), token_accuracy=0.5))
    if over:
        told += [Finished(job="train", status="finished"), Started(job="evaluate", pid=2)]
        told += [Evaluated(verdict="better on heldout"), Finished(job="evaluate", status="finished")]
    return told


def _step(number: int) -> Step:
    noise = (number * 7919 % 1000) / 2000
    return Step(
        step=number, epoch=number / 5000, loss=2 + noise + 300 / (number + 100), learning_rate=1e-4, grad_norm=0.5,
        tokens=250 * number, seconds=0.2 * number, token_accuracy=0.5, memory=10**9 + number, time=1e9 + number,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
