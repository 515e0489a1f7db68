import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from ftspace.errors import JobError, ModelError
from ftspace.inference import client as client_module
from ftspace.inference.client import LOG_NAME, InferenceClient
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT, worker_env

ASK: list[Any] = [{"role": "user", "content": "What does Anna like?"}]


class Machine:
    """Says whether a job is at work, as the test wishes."""

    run_at_work: str | None = None

    def busy(self) -> str | None:
        return self.run_at_work


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def client(machine: Machine) -> Iterator[InferenceClient]:
    client = InferenceClient(machine.busy)
    yield client
    client.stop()


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends within some seconds; a zombie has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_one_child_answers_both_sides_until_a_job_needs_the_machine(
    client: InferenceClient, machine: Machine, trained: Run
) -> None:
    assert not client.is_open(trained)
    base = "".join(client.stream(trained, "base", ASK, max_tokens=12))
    pid = client.pid
    assert pid is not None and client.is_open(trained)
    assert "".join(client.stream(trained, "tuned", ASK, max_tokens=12)) != base
    assert client.pid == pid

    machine.run_at_work = "20260101-000000-000000000000"
    assert gone(pid)
    with pytest.raises(JobError, match="at work on a run"):
        client.open(trained)


def test_an_idle_child_is_stopped_and_another_run_takes_its_place(
    machine: Machine, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def sleeper(run: Run, token: str | None) -> Any:
        process = subprocess.Popen(["sleep", "60"], text=True)
        started.append(process.pid)
        return client_module._Served(run.id, process, openai.OpenAI(api_key="-"))  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(client_module, "_start", sleeper)
    monkeypatch.setattr(client_module, "LOOK_SECONDS", 0.02)
    client = InferenceClient(machine.busy, idle_seconds=0.5)
    other = RunStore(tmp_path).create(trained.config)
    other.adapter.mkdir()
    client.open(trained)
    client.open(other)
    assert gone(started[0]) and client.pid == started[1] and client.is_open(other)
    assert gone(started[1])


def test_a_run_without_adapter_is_refused(client: InferenceClient, trained: Run, tmp_path: Path) -> None:
    bare = RunStore(tmp_path).create(trained.config)
    with pytest.raises(JobError, match="no adapter yet"):
        client.open(bare)


def test_what_keeps_a_model_from_loading_is_told(client: InferenceClient, trained: Run, tmp_path: Path) -> None:
    broken = RunStore(tmp_path).create(trained.config)
    broken.adapter.mkdir()
    with pytest.raises(ModelError, match=r"cannot be loaded: .*adapter.* has no "):
        client.open(broken)
    assert client.pid is None


def test_the_child_dies_with_its_parent(trained: Run) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from ftspace.inference.client import InferenceClient\nfrom ftspace.runs import Run\n"
        "client = InferenceClient(lambda: None)\nclient.open(Run(Path(sys.argv[1])))\n"
        "print(client.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(trained.path)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=worker_env(offline=True),
        text=True,
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    assert gone(pid)
    assert (trained.path / LOG_NAME).exists()
