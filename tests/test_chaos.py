"""What the chaos benchmark counts can be other than nothing; and, where asked for, some rounds of it."""

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.chaos import processes
from benchmarks.chaos.plan import (
    ASKED,
    CHECKPOINT_STEPS,
    PHASES,
    STEPS,
    TRAINED,
    VICTIMS,
    begun,
    config,
    durations,
    plan,
)
from benchmarks.chaos.wholeness import outcome, torn
from ftspace.events import EventLog, Finished, Started, Step, Validation, Warned, read_events
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT
from ftspace.training import checkpoints

MINE = checkpoints.Belongs(config={}, data="d")


def some_run(store: RunStore) -> Run:
    """As one that is finished, with what is in no way torn."""
    run = store.create(config())
    tell(
        run,
        Started(job="train", pid=1),
        Validation(step=0, loss=2.0),
        a_step(1),
        Finished(job="train", status="finished"),
    )
    checkpoints.write(run.checkpoints, CHECKPOINT_STEPS, MINE, lambda folder: fill(folder / "trained.safetensors"))
    run.adapter.mkdir()
    fill(run.adapter / "adapter_model.safetensors")
    (run.adapter / "adapter_config.json").write_text("{}")
    return run


def tell(run: Run, *events: Started | Finished | Step | Validation | Warned) -> None:
    log = EventLog(run.events)
    for event in events:
        log.append(event)
    log.close()


def a_step(number: int) -> Step:
    return Step(step=number, epoch=0.1, loss=1.0, learning_rate=1e-4, tokens=10, seconds=0.5)


def fill(file: Path) -> None:
    head = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


DAMAGES: dict[str, Callable[[Run], object]] = {
    "no end": lambda run: append(run.events, '{"v":1'),
    "torn lines after 1 kills": lambda run: append(run.events, '{"v":1\n{"v":1\n'),
    "is no event": lambda run: append(run.events, '{"v":1}\n'),
    "two wrote at once": lambda run: append(run.events, run.events.read_text().splitlines()[0] + "\n"),
    "trained.safetensors is not what was written": lambda run: cut(run.checkpoints / "step-000003/trained.safetensors"),
    "adapter_model.safetensors: ": lambda run: cut(run.adapter / "adapter_model.safetensors"),
    "has no weights": lambda run: (run.adapter / "adapter_model.safetensors").unlink(),
    "is no JSON": lambda run: (run.path / "results.json").write_text('{"rows"'),
    "step-000006: left behind": lambda run: (run.checkpoints / ".new-step-000006").mkdir(),
    ".old-adapter: left behind": lambda run: (run.path / ".old-adapter").mkdir(),
    "ticket.json: left behind": lambda run: (run.path / "ticket.json").write_text("{}"),
    ".gone-x: left behind": lambda run: (run.path.parent / ".gone-x").mkdir(),
}


@pytest.mark.parametrize("found", DAMAGES)
def test_what_is_torn_or_left_behind_is_found(store: RunStore, found: str) -> None:
    run = some_run(store)
    assert torn(run, 1, over=True) == []
    DAMAGES[found](run)
    (said,) = [what for what in torn(run, 1, over=True) if found in what]
    at_rest = torn(run, 1, over=False)
    assert (said in at_rest) == ("left behind" not in found and "no end" not in found)


def test_a_line_that_a_kill_tore_is_no_damage(store: RunStore) -> None:
    run = some_run(store)
    append(run.events, '{"v":1,"seq"')
    assert torn(run, 1, over=False) == []
    tell(run, Finished(job="train", status="finished"))
    assert torn(run, 1, over=True) == []


def test_what_came_out_otherwise_is_named(store: RunStore) -> None:
    first, second = some_run(store), some_run(store)
    assert outcome(first).unlike(outcome(second)) == []
    append(second.adapter / "adapter_config.json", "\n")
    tell(second, Started(job="train", pid=2), Validation(step=1, loss=2.5))
    assert outcome(first).unlike(outcome(second)) == ["adapter", "validations"]


def test_who_is_left_is_found_and_can_be_ended(store: RunStore) -> None:
    data_dir = store.runs_dir.parent
    run = some_run(store)
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with run.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marked = subprocess.Popen(sleep, env={"FTSPACE_DATA": str(data_dir)}, pass_fds=[lock.fileno()])
        inside = subprocess.Popen(sleep, cwd=run.path, env={}, start_new_session=True)
    try:
        left = processes.patiently(lambda: processes.orphans(data_dir, None)[1:], 5) or ["one alone"]
        assert len(left) == 1 and len(processes.orphans(data_dir, None)) == 2
        assert len(processes.orphans(data_dir, marked.pid)) == 1
        assert processes.held_locks(store.runs_dir, supervised=False) == [f"lock {run.lock}"]
        (found,) = processes.of_data_dir(data_dir)
        assert found.pid == marked.pid and found.holds(run.lock) and found.role is None
        assert processes.kill(found)
        marked.wait(5)
        assert not processes.lives(found) and not processes.kill(found)
    finally:
        for one in (marked, inside):
            one.kill()
            one.wait()
    assert processes.orphans(data_dir, None) == []
    assert processes.held_locks(store.runs_dir, supervised=False) == []


def test_fifty_rounds_kill_everybody_in_every_phase_and_can_be_had_again() -> None:
    plans = [plan(7, number) for number in range(50)]
    firsts = {(one.blows[0].phase, one.blows[0].victims) for one in plans}
    assert firsts >= {(phase, victims) for phase in TRAINED for victims in VICTIMS}
    assert {victims for phase, victims in firsts if phase in ASKED} == set(VICTIMS)
    assert plans == [plan(7, number) for number in range(50)] != [plan(8, number) for number in range(50)]
    assert 0 < sum(len(one.blows) > 1 for one in plans) < 25 and 10 < sum(one.auto_resume for one in plans) < 40


def test_each_phase_is_seen_to_begin(store: RunStore) -> None:
    run = store.create(config(evaluated=True))
    began = time.time()
    seen: dict[str, int] = {}
    blows = {one.blows[0].phase: one.blows[0] for one in (plan(0, number) for number in range(14))}
    last = Validation(step=STEPS, loss=1.0)
    ends = (Finished(job="train", status="finished"), Started(job="evaluate", pid=2))
    steps = [a_step(number) for number in range(1, STEPS + 1)]
    told = [Started(job="train", pid=1), *steps, last, *ends, Finished(job="evaluate", status="finished")]
    for count, event in enumerate(told, start=1):
        tell(run, event)
        events = read_events(run.events)[0]
        for phase, blow in blows.items():
            if begun(blow, events, writing=True):
                seen.setdefault(phase, count)
    assert set(seen) == set(PHASES) - ({"checkpoint"} if blows["checkpoint"].nth else set())
    assert seen["preparing"] == 1 < seen["training"] <= STEPS < seen["saving"] < seen["between"] < seen["evaluating"]
    lasts = durations(read_events(run.events)[0], began)
    assert set(lasts) == set(PHASES) and all(seconds >= 0 for seconds in lasts.values()) and lasts["evaluating"] > 0


@pytest.mark.chaos
def test_some_rounds_lose_nothing() -> None:
    command = [sys.executable, "-m", "benchmarks.chaos", "--rounds", "6", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    counted = {name: found[name] for name in ("rounds", "lost", "orphans", "torn", "different")}
    assert counted == {"rounds": 6, "lost": 0, "orphans": 0, "torn": 0, "different": 0}, done.stderr
    assert done.returncode == 0
