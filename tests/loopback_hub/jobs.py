"""Jobs: each one's command runs for real, as a process of this machine in a folder of its own.

The machine that a job gets is this one with all libraries installed: `pip` is there and finds that all is, `python` is
the one that the tests run with, whatever the image; what a job is given besides is its own. It has no other token and
cache than that, and its time is kept. `jobs.hold` keeps jobs in the queue, `jobs.lose` takes one away.
"""

import asyncio
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback_hub.answers import Refused, page
from tests.loopback_hub.desk import Desk
from tests.loopback_hub.people import Token, User
from tests.loopback_hub.storage import git_name, now

FLAVORS = {
    "cpu-basic": ("CPU Basic", "2 vCPU", "16 GB", None, 0.01),
    "cpu-upgrade": ("CPU Upgrade", "8 vCPU", "32 GB", None, 0.03),
    "t4-small": ("Nvidia T4 - small", "4 vCPU", "15 GB", ("T4", 1, "16 GB"), 0.40),
    "l4x4": ("4x Nvidia L4", "48 vCPU", "186 GB", ("L4", 4, "96 GB"), 3.80),
    "a10g-small": ("Nvidia A10G - small", "4 vCPU", "15 GB", ("A10G", 1, "24 GB"), 1.00),
    "a10g-large": ("Nvidia A10G - large", "12 vCPU", "46 GB", ("A10G", 1, "24 GB"), 1.50),
    "h200": ("Nvidia H200", "23 vCPU", "256 GB", ("H200", 1, "141 GB"), 5.00),
}
"""Name, processors, memory, cards and dollars an hour."""
TERMINAL = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
HALF_HOUR = 1800
"""What a job may take that does not say."""
TOOLS = {
    "pip": "#!/bin/sh\necho Requirement already satisfied\n",
    "python": f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n',
}


@dataclass
class Job:
    """One job, and what it printed."""

    id: str
    owner: str
    spec: dict[str, Any]
    stage: str = "SCHEDULING"
    message: str | None = None
    created: str = field(default_factory=now)
    began: float | None = None
    ended: float | None = None
    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Time and text."""
    process: "subprocess.Popen[str] | None" = None

    @property
    def over(self) -> bool:
        return self.stage in TERMINAL

    def told(self) -> dict[str, Any]:
        """What the Hub says of it."""
        ran = None if self.began is None else int((self.ended or time.monotonic()) - self.began)
        told = {name: self.spec.get(name) for name in ("dockerImage", "spaceId", "command", "arguments", "environment")}
        told |= {"flavor": self.spec["flavor"], "labels": self.spec.get("labels", {})}
        told |= {"secrets": sorted(self.spec.get("secrets", {})), "id": self.id, "createdAt": self.created}
        told |= {"owner": {"id": git_name(self.owner.encode())[:24], "name": self.owner, "type": "user"}}
        told |= {"status": {"stage": self.stage, "message": self.message}}
        return told | {"durations": {"schedulingSecs": 0, "runningSecs": ran, "totalSecs": ran or 0}}


class Jobs:
    """The room of jobs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.jobs: dict[str, Job] = {}
        """Every job, by its id, in their order."""
        self.lost: set[str] = set()
        """Those that the Hub has forgotten."""
        self._open = threading.Event()
        self._open.set()
        self._place = ""

    def routes(self) -> list[Route]:
        """What it answers."""
        one = "/api/jobs/{owner}/{job}"
        return [
            Route("/api/jobs/hardware", self._hardware),
            Route("/api/jobs/{owner}", self._list, methods=["GET"]),
            Route("/api/jobs/{owner}", self._submit, methods=["POST"]),
            Route(one, self._info),
            Route(f"{one}/logs", self._logs),
            Route(f"{one}/cancel", self._cancel, methods=["POST"]),
        ]

    # What a test does with them.

    def hold(self) -> None:
        """From now on jobs wait in the queue."""
        self._open.clear()

    def let_go(self) -> None:
        """They begin."""
        self._open.set()

    def newest(self) -> Job:
        """The job that was submitted last."""
        return list(self.jobs.values())[-1]

    def end(self, job: Job, stage: str, message: str | None = None) -> None:
        """Ends a job from outside, with all its processes."""
        if job.over:
            return
        job.stage, job.message = stage, message
        mark = f"JOB_ID={job.id}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)

    def lose(self, job: Job) -> None:
        """As if its machine had gone, and the Hub had never heard of it."""
        self.end(job, "DELETED")
        self.lost.add(job.id)

    def close(self) -> None:
        """Ends all."""
        for job in self.jobs.values():
            self.end(job, "CANCELED")
        self._open.set()

    # What the Hub answers.

    def _may(self, request: Request) -> Token:
        token, owner = self._desk.user(request), request.path_params["owner"]
        able = token.role == "write"
        able |= token.role == "oauth" and "jobs" in token.scopes
        able |= token.role == "fineGrained" and any("job.write" in one.permissions for one in token.scoped)
        if token.user != owner or not able:
            raise Refused(403, "", f'You don\'t have the rights to run jobs under the namespace "{owner}"')
        return token

    def _job(self, request: Request) -> Job:
        self._may(request)
        name = request.path_params["job"]
        job = self.jobs.get(name)
        if job is None or name in self.lost or job.owner != request.path_params["owner"]:
            raise Refused(404, "", "Job not found")
        return job

    async def _hardware(self, request: Request) -> Response:
        told: list[dict[str, Any]] = []
        for name, (pretty, cpu, ram, card, price) in FLAVORS.items():
            gpu = {"type": "gpu", "model": card[0], "quantity": str(card[1]), "vram": card[2]} if card else None
            told.append(
                {"name": name, "prettyName": pretty, "cpu": cpu, "ram": ram, "ephemeralStorage": "50 GB"}
                | {"accelerator": gpu and {**gpu, "manufacturer": "Nvidia"}}
                | {"unitCostMicroUSD": round(price / 60 * 1e6), "unitCostUSD": price / 60, "unitLabel": "minute"}
            )
        return JSONResponse(told)

    async def _list(self, request: Request) -> Response:
        self._may(request)
        labels = [one.split("=", 1) for one in request.query_params.getlist("label")]
        stages = request.query_params.getlist("stage")
        found = [
            job.told()
            for job in self.jobs.values()
            if job.id not in self.lost
            and (not stages or job.stage in stages)
            and all(job.spec.get("labels", {}).get(name) == value for name, value in labels)
        ]
        return page(request, found)

    async def _submit(self, request: Request) -> Response:
        token, spec = self._may(request), await request.json()
        if spec["flavor"] not in FLAVORS:
            raise Refused(400, "", f"Invalid flavor: {spec['flavor']}; must be one of {', '.join(FLAVORS)}")
        if not self._desk.users.get(token.user, User()).pays:
            raise Refused(402, "", "Pre-paid credit balance is insufficient - add more credits to your account")
        if not spec.get("dockerImage") and not spec.get("spaceId"):
            raise Refused(400, "", "A job needs an image")
        job = Job(secrets.token_hex(12), token.user, spec)
        self.jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, str(request.base_url).rstrip("/")), daemon=True).start()
        return JSONResponse(job.told())

    async def _info(self, request: Request) -> Response:
        return JSONResponse(self._job(request).told())

    async def _cancel(self, request: Request) -> Response:
        job = self._job(request)
        self.end(job, "CANCELED")
        return JSONResponse(job.told())

    async def _logs(self, request: Request) -> Response:
        job = self._job(request)
        tail = int(request.query_params.get("tail") or 0)
        return StreamingResponse(
            _events(job, max(0, len(job.lines) - tail) if tail else 0), media_type="text/event-stream"
        )

    # What a job does.

    def _run(self, job: Job, address: str) -> None:
        self._open.wait()
        if job.over:
            return
        place = Path(tempfile.mkdtemp(prefix="loopback-job-"))
        try:
            self._work(job, place, address)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _work(self, job: Job, place: Path, address: str) -> None:
        tools = place / "tools"
        tools.mkdir()
        for name, script in TOOLS.items():
            (tools / name).write_text(script)
            (tools / name).chmod(0o755)
        env = {"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin", "HOME": str(place), "TMPDIR": str(place)}
        env |= {"HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1", "JOB_ID": job.id, "LANG": "C.UTF-8"}
        env |= job.spec.get("environment", {}) | job.spec.get("secrets", {})
        job.process = subprocess.Popen(
            [*job.spec["command"], *job.spec.get("arguments", [])],
            cwd=place,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        job.stage, job.began = "RUNNING", time.monotonic()
        limit = float(job.spec.get("timeoutSeconds", HALF_HOUR))
        clock = threading.Timer(limit, self.end, (job, "ERROR", "Job timeout"))
        clock.start()
        assert job.process.stdout is not None
        with job.process.stdout as printed:
            for line in printed:
                job.lines.append((now(), line.rstrip("\n")))
        status = job.process.wait()
        clock.cancel()
        job.ended = time.monotonic()
        if not job.over:
            job.stage = "ERROR" if status else "COMPLETED"
            job.message = f"Job failed with exit code {status}" if status else None


async def _events(job: Job, told: int) -> AsyncIterator[str]:
    """The log from a line on, as it comes, until the job is over."""
    yield f"data: {json.dumps({'data': '===== Job started', 'timestamp': job.created})}\n\n"
    while True:
        over = job.over and (job.process is None or job.ended is not None)
        for moment, text in job.lines[told:]:
            told += 1
            yield f"data: {json.dumps({'data': text, 'timestamp': moment})}\n\n"
        if over:
            return
        await asyncio.sleep(0.05)
