"""What becomes of runs whose supervisor, worker or both are killed, and what the supervisor does besides."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ftspace import bell, jobs, webhook
from ftspace.errors import ConfigError
from ftspace.events import Finished, Resumed, Started, Step, Warned, read_events
from ftspace.launchers.local import WAITING
from ftspace.queue import TRIES, Ticket, locked, mend, read_ticket, waiting, write_ticket, written
from ftspace.runs import Run, RunReader, RunStore, take_lock
from ftspace.settings import ROOT, read_settings
from ftspace.slots import Slot
from ftspace.supervisor import Supervisor
from tests.test_jobs import REFUSED, begun, finish, held, kill, make, nothing_left, parent, tell

__all__ = ["nothing_left"]

TINY: dict[str, Any] = {"data": {"max_samples": 40}, "train": {"max_steps": 2}, "eval": {"tasks": []}}
APP = """
import sys, time
from pathlib import Path
from ftspace import jobs
from ftspace.runs import RunStore
jobs.warm(RunStore(Path(sys.argv[1])), seconds=0)
time.sleep(60)
"""
ORPHAN = """
import os, sys, time
from pathlib import Path
from ftspace.events import EventLog, Finished, Started
log = EventLog(Path(sys.argv[1]) / "events.jsonl")
log.append(Started(job="train", pid=os.getpid()))
while not (Path(sys.argv[1]) / "go").exists():
    time.sleep(0.02)
if sys.argv[2]:
    log.append(Finished(job="train", status=sys.argv[2]))
"""


def until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def gone(*pids: int) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def waiting_worker(supervisor: Callable[[int], bool] = lambda _: True) -> int | None:
    """The process that waits for a run, if there is one."""
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if WAITING.encode() in cmdline.read_bytes().split(b"\0") and supervisor(parent(int(cmdline.parent.name))):
                return int(cmdline.parent.name)
        except OSError:
            continue
    return None


def looks_after(store: RunStore) -> Callable[[int], bool]:
    return lambda pid: str(store.runs_dir).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def orphan(run: Run, end: str) -> subprocess.Popen[bytes]:
    """A job's process that its supervisor left behind: it ends, when let go, with these words or none."""
    lock = take_lock(run.lock)
    assert lock is not None
    write_ticket(run, Ticket(order=1, owner=run.access.owner, time=time.time(), since=written(run)))
    command = [sys.executable, "-c", ORPHAN, str(run.path), end]
    process = subprocess.Popen(command, cwd=ROOT, pass_fds=[lock], start_new_session=True)
    os.close(lock)
    begun(run)
    return process


def test_the_queue_outlives_its_supervisor(store: RunStore) -> None:
    with held(store):
        runs = [make(store, **REFUSED) for _ in range(2)]
        for run in runs:
            jobs.start(run)
        kill(*supervisors(store))
        assert [RunReader(run).status() for run in runs] == ["queued", "queued"]
    threads = [threading.Thread(target=jobs.look_after, args=(store,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: supervisors(store))
    assert len(supervisors(store)) == 1
    assert [finish(run)[0] for run in runs] == ["failed", "failed"]
    for thread in threads:
        thread.join()


def test_a_job_of_the_hub_waits_for_no_slot(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", os.devnull)
    there: dict[str, Any] = {"launch": {"launcher": "hf-jobs", "flavor": "t4-small"}}
    with held(store):
        here, first = make(store, **TINY), make(store, **there)
        for run in (here, first):
            jobs.start(run)
        status, end = finish(first)
        assert status == "failed" and end is not None and "there is no token to run a Hub job with" in end.message
        assert RunReader(here).status() == "queued" and queue_waits(store) == [here.id]
        jobs.stop(here)


def queue_waits(store: RunStore) -> list[str]:
    return [one.run.id for one in waiting(store)]


def supervisors(store: RunStore) -> list[int]:
    looks = looks_after(store)
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if looks(int(process.name)) and b"ftspace.supervisor" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("end", ["finished", ""])
def test_a_job_without_supervisor_is_seen_to_its_end(store: RunStore, end: str) -> None:
    run = make(store)
    process = orphan(run, end)
    assert RunReader(run).status() == "running"
    jobs.look_after(store)
    until(lambda: bell.is_there(store.runs_dir))
    (run.path / "go").touch()
    process.wait()
    status, said = finish(run)
    assert status == "failed" and said is not None
    if end:
        assert said.job == "evaluate", "the next job was done, which lacks an adapter"
    else:
        assert said.reason == "lost_process" and said.job == "train"


def test_a_run_that_was_cut_off_goes_on_by_itself_when_it_shall(store: RunStore) -> None:
    by_hand, by_itself = make(store), make(store, train={"auto_resume": True})
    for run, after in ((by_hand, "interrupted"), (by_itself, "cancelled")):
        jobs.start(run)
        worker = begun(run)
        kill(parent(worker), worker)
        until(lambda run=run: not run.is_alive())
        assert RunReader(run).status() == "queued", "what it is to be is for the next supervisor to say"
        jobs.look_after(store)
        if run is by_itself:
            begun(run, 2)
            jobs.stop(run)
        assert finish(run)[0] == after
    said = [event.message for event in read_events(by_itself.events)[0] if isinstance(event, Warned)]
    assert len(said) == 1 and "goes on by itself" in said[0]


def test_a_run_that_is_cut_off_again_and_again_is_left(store: RunStore) -> None:
    run = make(store, train={"auto_resume": True})
    step = Step(step=3, epoch=1, loss=1, learning_rate=0, tokens=1, seconds=1)
    tell(run, Started(job="train", pid=1), step)
    ticket: Ticket | None = Ticket(order=1)
    tries = 0
    with locked(store.runs_dir):
        write_ticket(run, Ticket(order=1))
        while (ticket := mend(run, ticket)) is not None:
            tries += 1
            assert read_ticket(run) == ticket
            tell(run, Started(job="train", pid=1), Resumed(step=2), step)
    assert tries == TRIES
    assert RunReader(run).status() == "interrupted"
    assert any("in a row" in event.message for event in read_events(run.events)[0] if isinstance(event, Warned))


def test_whatever_a_supervisor_was_at_the_next_one_mends_it(store: RunStore) -> None:
    """It was killed after a run's last word, after a job's, and before a job's first."""
    over, between, before = (make(store) for _ in range(3))
    tell(over, Started(job="train", pid=1), Finished(job="train", status="failed"))
    tell(between, Started(job="train", pid=1), Finished(job="train", status="finished"))
    tell(before, Warned(message="the token is lost"))
    with locked(store.runs_dir):
        for run in (over, between, before):
            write_ticket(run, Ticket())
        assert mend(over, Ticket()) is None and not over.ticket.exists()
        for run in (between, before):
            assert mend(run, Ticket()) == Ticket() and run.ticket.exists()
            run.ticket.unlink()


class Looking(Supervisor):
    """Notes what it would begin, and is told when to look."""

    def __init__(self, runs_dir: Path) -> None:
        self.begun: list[str] = []
        self._ear, listener = socket.socketpair()
        super().__init__(runs_dir, -1, listener)

    def _begin(self, run: Run, ticket: Ticket, slots: list[Slot], locks: list[int]) -> None:
        self.begun.append(run.id)
        for fd in locks:
            os.close(fd)
        run.ticket.unlink()
        self._attended.discard(run.id)

    def look(self) -> list[str]:
        self.begun.clear()
        self._try(self._look)
        for thread in self._threads:
            thread.join()
        return self.begun

    def is_done(self, *, tokens: bool) -> bool:
        self._envs = {"a run": {}} if tokens else {}
        return self._try(self._is_done)

    def close(self) -> None:
        super().close()
        self._ear.close()
        self._listener.close()


@pytest.fixture
def looking(store: RunStore) -> Generator[Looking]:
    store.runs_dir.mkdir(parents=True)
    supervisor = Looking(store.runs_dir)
    yield supervisor
    supervisor.close()


def in_line(store: RunStore, **changes: Any) -> Run:
    run = make(store, **changes)
    with locked(store.runs_dir):
        write_ticket(run, Ticket(time=time.time()))
    return run


def test_what_is_wrong_with_a_run_costs_no_other_its_turn(store: RunStore, looking: Looking) -> None:
    unreadable, unlockable, well = (in_line(store) for _ in range(3))
    (unreadable.path / "config.json").write_text('{"no_such_section": 1}')
    unlockable.lock.mkdir()
    assert looking.look() == [well.id]
    assert not unreadable.ticket.exists() and unlockable.ticket.exists()
    unlockable.lock.rmdir()
    assert looking.look() == [unlockable.id]


def test_a_run_is_looked_at_again_once_the_disk_is_well(store: RunStore, looking: Looking) -> None:
    """It is to go on by itself, which cannot be written; then it is at work, and its events cannot be read."""
    run = in_line(store, train={"auto_resume": True})
    tell(run, Started(job="train", pid=1))
    before = run.events.read_bytes()
    (run.path / ".ticket-new").mkdir()
    assert looking.look() == looking.look() == []
    assert run.ticket.exists() and run.events.read_bytes() == before, "and nothing is said again and again"
    (run.path / ".ticket-new").rmdir()

    run.events.unlink()
    run.events.mkdir()
    lock = take_lock(run.lock)
    assert lock is not None
    assert looking.look() == [] and run.ticket.exists()
    os.close(lock)
    run.events.rmdir()
    run.events.write_bytes(before)
    assert looking.look() == [run.id]
    assert "goes on by itself" in run.events.read_text()


def test_a_disk_that_cannot_be_written_ends_no_supervisor_that_holds_tokens(store: RunStore, looking: Looking) -> None:
    (store.runs_dir / ".queue").mkdir()
    assert looking.look() == []
    assert not looking.is_done(tokens=True) and looking.is_done(tokens=False)


class Hook(BaseHTTPRequestHandler):
    """Keeps what it is told, and answers with the status in its path."""

    told: list[Any]

    def do_POST(self) -> None:
        self.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hook() -> Generator[HTTPServer]:
    Hook.told = []
    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_password_in_an_address_is_in_no_log(store: RunStore, caplog: pytest.LogCaptureFixture) -> None:
    run = make(store)
    webhook.tell("https://user:secretpw@host/x", run, {})
    assert "InvalidURL" in run.log.read_text() and "secretpw" not in run.log.read_text() + caplog.text


@pytest.mark.parametrize("status", [200, 302])
def test_an_address_is_told_how_a_run_ended(
    store: RunStore, hook: HTTPServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("FTSPACE_WEBHOOK", f"http://127.0.0.1:{hook.server_port}/{status}")
    run = make(store, **REFUSED)
    jobs.start(run)
    assert finish(run)[0] == "failed"
    until(lambda: not bell.is_there(store.runs_dir))
    (told,) = Hook.told
    assert (told["run_id"], told["status"], told["reason"]) == (run.id, "failed", "dataset")
    assert ("with status 302" in run.log.read_text()) == (status == 302)


def test_a_run_by_the_waiting_worker_is_that_of_a_fresh_start(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both at once, for the machine is said to have two GPUs; the second run finds no worker that waits."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("FTSPACE_MAX_WAITING", "9")
    jobs.warm(store, seconds=0)
    until(lambda: waiting_worker(looks_after(store)))
    worker = waiting_worker(looks_after(store))
    warm, fresh = (make(store, **TINY, launch={"processes": 1}) for _ in range(2))
    jobs.start(warm, "hf_" + "Canary0" * 4)
    jobs.start(fresh)
    assert [finish(run)[0] for run in (warm, fresh)] == ["finished", "finished"]
    jobs.cool(store)
    events = [read_events(run.events)[0] for run in (warm, fresh)]
    assert [type(event) for event in events[0]] == [type(event) for event in events[1]]
    assert [event.pid for event in events[0] if isinstance(event, Started)] == [worker]
    assert [event.pid for event in events[1] if isinstance(event, Started)] != [worker]
    adapters = [(run.adapter / "adapter_model.safetensors").read_bytes() for run in (warm, fresh)]
    assert adapters[0] == adapters[1]
    assert "Loading weights" in warm.log.read_text()


def test_a_stop_is_seen_while_the_waiting_worker_imports(store: RunStore) -> None:
    jobs.warm(store, seconds=0)
    until(lambda: waiting_worker(looks_after(store)))
    worker = waiting_worker(looks_after(store))
    assert worker is not None
    run = make(store)
    jobs.start(run)
    until(run.is_alive)
    jobs.stop(run)
    jobs.cool(store)
    began = time.monotonic()
    status, end = finish(run)
    assert status == "cancelled" and end is not None and "before it had begun" in end.message
    assert time.monotonic() - began < 2
    until(lambda: gone(worker))


@pytest.mark.parametrize("killed", ["app", "supervisor"])
def test_the_waiting_worker_ends_with_its_app_and_its_supervisor(store: RunStore, killed: str) -> None:
    app = subprocess.Popen([sys.executable, "-c", APP, str(store.runs_dir)], cwd=ROOT)
    until(lambda: waiting_worker(looks_after(store)))
    worker = waiting_worker(looks_after(store))
    assert worker is not None
    supervisor = parent(worker)
    if killed == "app":
        app.kill()
        app.wait()
        until(lambda: gone(supervisor, worker))
    else:
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: gone(worker))
        app.kill()
        app.wait()


def test_a_waiting_worker_that_is_killed_costs_a_run_nothing_but_time(store: RunStore) -> None:
    jobs.warm(store, seconds=0)
    until(lambda: waiting_worker(looks_after(store)))
    run = make(store, **REFUSED)
    jobs.start(run)
    worker = waiting_worker(looks_after(store))
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    jobs.cool(store)
    status, end = finish(run)
    assert status == "failed" and end is not None and end.reason == "dataset"


def test_no_worker_waits_while_the_machine_is_taken(store: RunStore) -> None:
    with held(store):
        jobs.warm(store, seconds=0)
        until(lambda: bell.is_there(store.runs_dir))
        time.sleep(1)
        assert waiting_worker(looks_after(store)) is None
        jobs.cool(store)


def test_the_switch_is_read_and_checked() -> None:
    assert read_settings(environ={}).warm
    assert not read_settings(environ={"FTSPACE_WARM": "0"}).warm
    with pytest.raises(ConfigError, match="FTSPACE_WARM"):
        read_settings(environ={"FTSPACE_WARM": "no"})
