"""What tests share: a data folder of their own, and one run of the whole main job for all that only look at it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT

settings.register_profile("ftspace", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
settings.load_profile("ftspace")

Cli = Callable[..., subprocess.CompletedProcess[str]]


def run_cli(data_dir: Path, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """`python -m ftspace WORDS` with its runs in `data_dir`."""
    env = {**os.environ, "FTSPACE_DATA": str(data_dir), "COLUMNS": "160"}
    command = [sys.executable, "-m", "ftspace", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line, with a data folder of the test's own at `tmp_path / "data"`."""
    return lambda *words, **options: run_cli(tmp_path / "data", *words, **options)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """An empty store."""
    return RunStore(tmp_path / "data" / "runs")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a disk of its own with these mount options, such as `size=1m`; skips where that may not be done."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True).returncode:
            pytest.skip("no disk can be mounted here: run the tests as root, or below `unshare -rm`")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "-l", place], check=True)


@dataclass(frozen=True)
class MainJob:
    """One `ftspace run --json` on the embedded default, finished."""

    data_dir: Path
    document: dict[str, Any]
    """What it printed on stdout."""
    stderr: str

    @property
    def run(self) -> Run:
        """The run that it made."""
        return RunStore(self.data_dir / "runs").get(self.document["run_id"])


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> MainJob:
    """The main job, run once for all tests that look at what it left: nothing may be changed in it."""
    data_dir = tmp_path_factory.mktemp("main-job")
    done = run_cli(data_dir, "run", "--json", timeout=600)
    assert done.returncode == 0, done.stderr
    return MainJob(data_dir, json.loads(done.stdout), done.stderr)
