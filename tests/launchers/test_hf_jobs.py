"""Runs as jobs of the Hub: one for real, from the command line to the verdict, and every way in which one goes wrong.

The loopback Hub runs each job's command as a process of this machine (tests/loopback_hub/jobs.py).
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from huggingface_hub import HfApi

from ftspace.config import merge, parse_config
from ftspace.events import (
    AdapterSaved,
    Event,
    Finished,
    Prepared,
    Resumed,
    Started,
    Step,
    Submitted,
    Warned,
    read_events,
)
from ftspace.hub.jobs import storage
from ftspace.hub.jobs.record import HubJob, read_job
from ftspace.hub.jobs.words import said
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS, ROOT
from ftspace.state import fold
from tests.loopback_hub import WRITER_TOKEN, Fault, LoopbackHub, Scope, Token, User, serve
from tests.loopback_hub.jobs import Job
from tests.test_supervisor import supervisors

T = TypeVar("T")
E = TypeVar("E", bound=Event)
ROWS, STEPS = 120, 120
QUICK = {
    "train.max_steps": STEPS, "train.batch_size": 8, "train.learning_rate": 0.001, "train.samples": 0,
    "train.validation_steps": STEPS, "train.checkpoint_steps": STEPS, "eval.max_samples": 8, "eval.max_new_tokens": 8,
    "eval.tasks": '["heldout"]', "eval.forgetting": "[]",
}  # fmt: skip
JOB: dict[str, Any] = {"launch": {"launcher": "hf-jobs", "flavor": "cpu-basic", "timeout_minutes": 40}}
NO_JOBS = "hf_writesButRunsNothing"


def environment(address: str, folder: Path, token: str | None = WRITER_TOKEN) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(folder / "hf"), "FTSPACE_DATA": str(folder / "data")}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return env | ({"HF_TOKEN": token} if token else {})


def until(look: Callable[[], T], seconds: float = 90) -> T:
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)
    return found


def submits(hub: LoopbackHub) -> int:
    return sum(one.method == "POST" and one.path == "/api/jobs/me" for one in hub.requests)


@dataclass(frozen=True)
class Done:
    """A run that was a job of the Hub, twice, seen to its end."""

    hub: LoopbackHub
    folder: Path
    run: Run
    stopped_at: int | None
    """The step of the checkpoint that the first job left."""
    document: dict[str, Any]
    """What the resume printed on stdout."""
    stderr: str
    """Of the first command."""

    @property
    def there(self) -> Path:
        """The run's folder in the repository."""
        return self.hub.root / "datasets" / "me" / "ftspace-runs" / self.run.id


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """A run that has it all, and finishes.

    While its job waits at the Hub all that looks after it here is killed. Its log is cut off, twice, as it comes. It is
    stopped in mid-training, and resumed by a job of which the Hub gives no log at all.
    """
    folder = tmp_path_factory.mktemp("hub-jobs")
    hub, rows, store = LoopbackHub(folder / "hub"), folder / "rows.jsonl", RunStore(folder / "data" / "runs")
    with (ASSETS / "datasets" / "people.jsonl").open() as lines:
        rows.write_text("".join(next(lines) for _ in range(ROWS)))
    hub.jobs.hold()
    with serve(hub) as address:
        env = environment(address, folder)
        words = ["--launcher", "hf-jobs", "--flavor", "cpu-basic", "--dataset", str(rows), "--model", "assets/base"]
        words += [word for name, value in QUICK.items() for word in (f"--{name}", str(value))]
        process = command(env, "run", *words)
        try:
            until(lambda: process.poll() is not None or (store.list() and told(store.list()[0], Submitted)))
            assert process.poll() is None, process.communicate()
            rows.unlink()  # the job has its own
            run = store.list()[0]
            for pid in (*supervisors(store), told(run, Started)[-1].pid):
                os.kill(pid, signal.SIGKILL)
            until(lambda: len(told(run, Started)) > 1)
            hub.faults.append(Fault("short", "GET", r"/logs$", after=2_000, times=2))
            hub.jobs.let_go()
            until(lambda: process.poll() is not None or told(run, Step))
            run.stop_flag.touch()
            _, first = process.communicate(timeout=240)
            assert process.returncode == 130, first + printed(hub)
            stopped_at = run.checkpoint
            hub.faults = [*hub.faults, Fault("status", "GET", r"/logs$", status=503, times=None)]
            process = command(env, "runs", "resume", run.id, "--json")
            document, said = process.communicate(timeout=240)
            assert process.returncode == 0, said + printed(hub)
            yield Done(hub, folder, run, stopped_at, json.loads(document), first)
        finally:
            process.kill()
            hub.jobs.close()


def command(env: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    asked = [sys.executable, "-m", "ftspace", *words]
    return subprocess.Popen(asked, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def printed(hub: LoopbackHub) -> str:
    return "\n".join(text for _, text in hub.jobs.newest().lines[-30:])


def told(run: Run, kind: type[E]) -> list[E]:
    return [event for event in read_events(run.events)[0] if isinstance(event, kind)]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_the_job_made_is_here_as_it_made_it(done: Done) -> None:
    assert done.document["status"] == "finished" and {row["task"] for row in done.document["rows"]} == {"heldout"}
    made = json.loads((done.there / "run" / "files.json").read_text())["files"]
    weights = "adapter/adapter_model.safetensors"
    assert made[weights] == sha256(done.there / "run" / weights) == sha256(done.run.path / weights)
    assert {"results.json", "data/manifest.json", "evals/heldout/tuned.json"} < set(made)
    others = [name for name in made if not name.endswith("adapter_config.json")]
    assert [name for name in others if sha256(done.run.path / name) != made[name]] == []
    assert any(name.startswith(f"checkpoints/step-{STEPS:06d}/") for name in made)
    base = json.loads((done.run.adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert base == str(ASSETS / "base")


def test_its_events_are_the_jobs_in_their_order_as_if_it_had_run_here(done: Done) -> None:
    events, there = read_events(done.run.events)[0], read_events(done.there / "run" / "told.jsonl")[0]
    theirs = [(event.type, event.time) for event in there]
    ours = [(event.type, event.time) for event in events]
    assert [one for one in ours if one in set(theirs)] == theirs, "all that the second job had, of the first one's too"
    assert [event.seq for event in events] == list(range(len(events)))
    assert [type(event) for event in events[:5]] == [Started, Submitted, Warned, Started, Started]
    steps = [event.step for event in events if isinstance(event, Step)]
    (again,) = told(done.run, Resumed)
    assert done.stopped_at == again.step and 0 < again.step < STEPS
    assert steps == [*range(1, again.step + 1), *range(again.step + 1, STEPS + 1)]
    ended = [(event.job, event.status) for event in events if isinstance(event, Finished)]
    assert ended == [("train", "cancelled"), ("train", "finished"), ("evaluate", "finished")]
    assert told(done.run, Prepared)[0].rows["train"] > 80


def test_each_job_was_submitted_once_with_its_own_time_and_no_more_than_the_token(done: Done) -> None:
    record, first, second = read_job(done.run), *done.hub.jobs.jobs.values()
    assert submits(done.hub) == 2 and done.hub.faults[0].befell == 2
    assert record is not None and record.over and (record.id, record.attempt) == (second.id, 2)
    assert first.stage == second.stage == "COMPLETED"
    spec = first.spec
    assert spec["secrets"] == {"HF_TOKEN": WRITER_TOKEN} and spec["flavor"] == "cpu-basic"
    assert spec["timeoutSeconds"] == 60 * record.minutes >= 1800
    assert spec["dockerImage"] == "python:3.12" and WRITER_TOKEN not in json.dumps(spec["command"])
    said = " ".join(done.stderr.split())
    assert "was cut off; the run goes on by itself" in said and f"/jobs/me/{first.id}" in said
    repository = done.hub.store.repo("datasets", "me", "ftspace-runs")
    assert repository.private
    kept = [path for place in (done.run.path, repository.folder) for path in place.rglob("*") if path.is_file()]
    assert [path for path in kept if WRITER_TOKEN.encode() in path.read_bytes()] == []


# What goes wrong. Each of these follows a run without a supervisor, as it would start the process.


@dataclass
class Ground:
    """A Hub whose jobs wait in the queue, and one run."""

    hub: LoopbackHub
    address: str
    folder: Path
    run: Run
    begun: "list[subprocess.Popen[bytes]]"

    def follow(self, token: str | None = WRITER_TOKEN) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "ftspace.launchers.hf_jobs", str(self.run.path)]
        with self.run.log.open("ab") as log:
            env = environment(self.address, self.folder, token)
            self.begun.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
        return self.begun[-1]

    def submitted(self, attempt: int = 1) -> Job:
        """The job, once this run's follower knows that it is submitted."""
        found = until(lambda: (job := read_job(self.run)) and job.attempt == attempt and job.id)
        return self.hub.jobs.jobs[str(found)]

    def ends(self, process: "subprocess.Popen[bytes]") -> Finished:
        process.wait(60)
        end = fold(read_events(self.run.events)[0]).end(self.run.jobs)
        assert end is not None, self.run.log.read_text()
        return end


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    hub = LoopbackHub(tmp_path / "hub")
    hub.tokens[NO_JOBS] = Token("me", "fineGrained", (Scope("me", ("repo.content.read", "repo.write")),))
    hub.jobs.hold()
    config = parse_config(merge({"model": {"id": "assets/base"}, "data": {"id": "assets/datasets/people.jsonl"}}, JOB))
    run = RunStore(tmp_path / "data" / "runs").create(config)
    with serve(hub) as address:
        found = Ground(hub, address, tmp_path, run, [])
        yield found
        for process in found.begun:
            process.kill()
            process.wait()
        hub.jobs.close()


def flavored(run: Run, flavor: str) -> None:
    config = run.config.model_copy(update={"launch": run.config.launch.model_copy(update={"flavor": flavor})})
    (run.path / "config.json").write_text(config.model_dump_json())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("credit", r"out of credit.*add some.*billing, then resume the run"),
        ("scope", r"the token may not run jobs there.*the right to start jobs.*scopes jobs"),
        ("flavor", r"the Hub has no a10g-smal; did you mean a10g-small"),
        ("token", r"there is no token to run a Hub job with; set HF_TOKEN"),
    ],
)
def test_a_job_that_cannot_be_is_refused_in_a_line(ground: Ground, wrong: str, said: str) -> None:
    if wrong == "credit":
        ground.hub.users["me"] = User(pays=False)
    if wrong == "flavor":
        flavored(ground.run, "a10g-smal")
    process = ground.follow({"scope": NO_JOBS, "token": None}.get(wrong, WRITER_TOKEN))
    end = ground.ends(process)
    assert (end.job, end.status, process.returncode) == ("train", "failed", 2)
    assert re.search(said, end.message) and not ground.hub.jobs.jobs
    assert end.reason == ("config" if wrong == "flavor" else "hub")
    assert "Traceback" not in ground.run.log.read_text()


def test_an_answer_that_was_lost_makes_no_second_job(ground: Ground) -> None:
    ground.hub.faults.append(Fault("lost", "POST", r"^/api/jobs/me$"))
    ground.hub.faults += [Fault("status", "GET", r"^/api/jobs/me/\w+/logs$", status=404)]
    ground.hub.faults += [Fault("status", "GET", r"^/api/jobs/me/[0-9a-f]{24}$", status=404)]
    process = ground.follow()
    job = ground.submitted()
    assert len(ground.hub.jobs.jobs) == 1 and ground.hub.faults[0].befell == 1
    until(lambda: ground.hub.faults[1].befell and ground.hub.faults[2].befell)
    ground.hub.jobs.end(job, "ERROR", "Job timeout")
    end = ground.ends(process)
    assert (end.status, end.reason) == ("failed", "time_limit")
    assert "the job used up its 40 minutes (launch.timeout_minutes)" in end.message and "runs resume" in end.message


def test_a_job_that_is_cancelled_or_lost_leaves_a_run_that_goes_on_with_another(ground: Ground) -> None:
    process = ground.follow()
    ground.hub.jobs.end(ground.submitted(), "CANCELED")
    end = ground.ends(process)
    assert (end.status, end.reason, process.returncode) == ("failed", "lost_process", 1)
    assert "the job was cancelled at the Hub, and not by this run" in end.message and "runs resume" in end.message
    process = ground.follow()
    ground.hub.jobs.lose(ground.submitted(2))
    end = ground.ends(process)
    assert "the Hub does not know the job any more" in end.message and end.reason == "lost_process"
    process = ground.follow()
    waiting = ground.submitted(3)
    ground.run.stop_flag.touch()
    end = ground.ends(process)
    assert end.status == "cancelled" and waiting.stage == "CANCELED" and waiting.process is None
    record = read_job(ground.run)
    assert isinstance(record, HubJob) and record.over and submits(ground.hub) == 3


@pytest.mark.parametrize("whole", [True, False])
def test_what_a_lost_job_had_sent_comes_home_if_it_is_what_was_sent(
    ground: Ground, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    process = ground.follow()
    job = ground.submitted()
    there = Run(ground.folder / "there" / ground.run.id)
    weights = there.adapter / "adapter_model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"w" * 2000)
    steps = [
        Step(step=n, epoch=0.1, loss=2.0, learning_rate=1e-4, tokens=n, seconds=n, time=n + 0.5) for n in range(1, 6)
    ]
    ends = [AdapterSaved(step=5, bytes=2000, time=6.5), Finished(job="train", status="finished", time=7.5)]
    there.events.write_text("".join(event.model_dump_json() + "\n" for event in (*steps, *ends)))
    storage.send_state(HfApi(ground.address, token=WRITER_TOKEN), "me/ftspace-runs", there)
    if not whole:
        (ground.hub.root / "lfs" / sha256(weights)).write_bytes(b"x" * 2000)
    for event in (steps[0], steps[3]):  # the log lost two of them, and all that follows
        job.lines += [("2026-01-01T00:00:00.000Z", line) for line in said(event)]
    ground.hub.jobs.end(job, "ERROR", "the node is gone")
    end = ground.ends(process)
    assert [event.step for event in told(ground.run, Step)] == ([1, 4, 5] if whole else [1, 4])
    if whole:
        assert (end.job, end.reason) == ("evaluate", "lost_process") and "(the node is gone)" in end.message
        assert (ground.run.adapter / weights.name).read_bytes() == weights.read_bytes()
    else:
        assert end.reason == "hub" and "adapter_model.safetensors is not what the job made" in end.message
        assert not ground.run.adapter.exists()


def test_who_follows_leaves_at_a_shutdown_and_the_job_goes_on(ground: Ground) -> None:
    process = ground.follow()
    job = ground.submitted()
    until(lambda: told(ground.run, Submitted))
    process.terminate()
    process.wait(30)
    assert fold(read_events(ground.run.events)[0]).end(ground.run.jobs) is None and not job.over
    again = ground.follow()
    until(lambda: len(told(ground.run, Started)) == 2)
    ground.run.stop_flag.write_text("discard")
    end = ground.ends(again)
    assert end.status == "cancelled" and "discarded" in end.message
    assert job.stage == "CANCELED" and submits(ground.hub) == 1
    assert list((ground.hub.root / "datasets" / "me" / "ftspace-runs").glob("2*")) == []
