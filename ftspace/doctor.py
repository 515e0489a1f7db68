"""What this machine has and lacks for ftspace, a line each. Imports none of the heavy libraries it speaks of."""

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ftspace.settings import ROOT, Settings

Level = Literal["ok", "warning", "missing"]
MIN_PYTHON = (3, 11)
HUB_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    level: Level
    what: str
    detail: str
    """What was found and, when it is not ok, what to do."""


def examine(settings: Settings) -> list[Finding]:
    """Everything, in the order in which a newcomer needs it."""
    return [_python(), *_packages(), _device(), _memory(), _disk(settings.data_dir), _hub(), _browser()]


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        return Finding("missing", "Python", f"{found}; ftspace needs {'.'.join(map(str, MIN_PYTHON))} or newer")
    return Finding("ok", "Python", found)


def _packages() -> list[Finding]:
    from packaging.requirements import Requirement

    findings: list[Finding] = []
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        wanted = Requirement(text)
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            findings.append(Finding("missing", wanted.name, f"not installed; {wanted} is needed: make setup"))
            continue
        if wanted.specifier.contains(found.partition("+")[0], prereleases=True):
            findings.append(Finding("ok", wanted.name, found))
        else:
            findings.append(Finding("warning", wanted.name, f"{found}, and {wanted.specifier} was tried: make setup"))
    return findings


def _device() -> Finding:
    nvidia_smi = shutil.which("nvidia-smi")
    gpus = ""
    if nvidia_smi:
        asked = [nvidia_smi, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        gpus = "; ".join(line.strip() for line in answer.stdout.splitlines()) if answer.returncode == 0 else ""
    if not gpus:
        return Finding("ok", "device", f"CPU only ({platform.machine()}): small models train here, others want a GPU")
    try:
        cpu_build = version("torch").endswith("+cpu")
    except PackageNotFoundError:
        cpu_build = False
    if cpu_build:
        return Finding("warning", "device", f"{gpus}, but torch is the CPU build; install torch with CUDA to use it")
    return Finding("ok", "device", gpus)


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} GB of {memory.total / 1e9:.1f} GB free, {psutil.cpu_count() or 1} CPU cores"
    if memory.available < 3e9:
        return Finding("warning", "memory", f"{detail}; a run needs about 3 GB beside the model: close something")
    return Finding("ok", "memory", detail)


def _disk(data_dir: Path) -> Finding:
    from ftspace.errors import DiskError
    from ftspace.jobs import require_space

    try:
        require_space(data_dir)
    except DiskError as error:
        return Finding("missing", "disk", str(error))
    return Finding("ok", "disk", f"runs go to {data_dir}")


def _hub() -> Finding:
    import httpx2
    from huggingface_hub import constants, get_token

    address = constants.ENDPOINT
    token = get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        answer = httpx2.get(f"{address}/api/whoami-v2", headers=headers, timeout=HUB_TIMEOUT_SECONDS)
    except httpx2.HTTPError as error:
        return Finding("warning", "Hub", f"{address} is out of reach ({error}): local folders and the cache only")
    if not token:
        return Finding("ok", "Hub", f"{address} answers; no token: set HF_TOKEN for what is private")
    if answer.status_code != 200:
        return Finding("warning", "Hub", f"{address} refuses the token (status {answer.status_code}); renew HF_TOKEN")
    return Finding("ok", "Hub", f"{address} answers, logged in as {answer.json().get('name')}")


def _browser() -> Finding:
    found = shutil.which("chromium")
    return Finding("ok", "chromium", found or "not installed; only the browser tests want it: make setup")
