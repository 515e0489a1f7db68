"""What a person does: opens the app, starts it again when it is gone, looks at a run, starts and resumes it.

The app is the real one, in a process of its own; runs are started by yet another process, as the command line would.
"""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.chaos.processes import of_data_dir
from ftspace.runs import Run, RunStore
from ftspace.settings import ROOT, WORKER_ENV

OPEN_SECONDS = 240.0
WARM_SECONDS = 120.0
_ASK = """
import sys
from pathlib import Path
from ftspace import jobs
from ftspace.errors import FtspaceError
from benchmarks.chaos.processes import of_data_dir
from ftspace.runs import RunStore
try:
    getattr(jobs, sys.argv[3])(RunStore(Path(sys.argv[1])).get(sys.argv[2]))
except FtspaceError as error:
    sys.exit(str(error))
"""


class AppError(Exception):
    """The app does not answer as it should."""


class Person:
    """Somebody with a data folder, and an app on it."""

    def __init__(self, folder: Path) -> None:
        """Data go into `folder`/data, what processes print beside it."""
        self.data_dir = folder / "data"
        self.store = RunStore(self.data_dir / "runs")
        self._printed = folder / "printed.log"
        self._app: subprocess.Popen[bytes] | None = None
        self._address = ""
        self._started_at = 0.0
        self._load: int | None = None
        self.env = {
            **WORKER_ENV,
            **os.environ,
            "FTSPACE_DATA": str(self.data_dir),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "PYTHONPATH": str(ROOT),
        }
        """Known by this data folder in it, whatever becomes of their parents, are all processes that follow."""

    @property
    def app(self) -> int | None:
        """The app's process; None when there is none."""
        return self._app.pid if self._app and self._app.poll() is None else None

    def open(self) -> None:
        """Opens the app's page, starting the app first where it is gone. Raises AppError."""
        while not self.try_to_open():
            time.sleep(0.1)

    def try_to_open(self) -> bool:
        """Starts the app where it is gone; whether its page is open already. Raises AppError when it never is."""
        if self.app is None:
            self._start()
        if self._load is None:
            try:
                config = json.loads(self._ask("/config"))
            except OSError as error:
                if time.monotonic() - self._started_at > OPEN_SECONDS:
                    raise AppError(f"the app does not open; see {self._printed}") from error
                return False
            loads = [one for one in config["dependencies"] if any(kind == "load" for _, kind in one["targets"])]
            self._load = max(loads, key=lambda one: len(one["outputs"]))["id"]  # that which fills the page
            self.look(None)
        return True

    def _start(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        self._address, self._load, self._started_at = f"http://127.0.0.1:{port}", None, time.monotonic()
        with self._printed.open("ab") as printed:
            self._app = subprocess.Popen(
                [sys.executable, "app.py", "--port", str(port)],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def await_worker(self) -> None:
        """Waits until there is a worker that waits for a run, be it at its imports still. Raises AppError."""
        end = time.monotonic() + WARM_SECONDS
        while not any(one.waits for one in of_data_dir(self.data_dir)):
            if time.monotonic() > end:
                raise AppError(f"no worker waits for a run after {WARM_SECONDS:.0f} s")
            time.sleep(0.1)

    def look(self, run: Run | None) -> None:
        """Loads the page of a run, as a browser does. Raises AppError."""
        query = f"?run={run.id}" if run else ""
        page = uuid.uuid4().hex
        body = {"data": [], "fn_index": self._load, "session_hash": page, "trigger_id": None, "event_data": None}
        try:
            self._ask(f"/gradio_api/queue/join{query}", body)
            with self._opened(f"/gradio_api/queue/data?session_hash={page}") as stream:
                for line in stream:
                    said: dict[str, Any] = json.loads(line.removeprefix(b"data:")) if line.startswith(b"data:") else {}
                    if said.get("msg") == "process_completed":
                        if not said["success"]:
                            raise AppError(f"the page cannot be loaded: {said.get('output')}")
                        return
        except OSError as error:
            raise AppError(f"the page cannot be loaded: {error}") from error
        raise AppError("the page is never loaded")

    def asks(self, what: str, run: Run) -> subprocess.Popen[bytes]:
        """A process that asks for a run to be started or resumed: `what` is the name of that in ftspace.jobs."""
        with self._printed.open("ab") as printed:
            return subprocess.Popen(
                [sys.executable, "-c", _ASK, str(self.store.runs_dir), run.id, what],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def close(self, *, by_force: bool) -> None:
        """Ends the app, if it is there."""
        if self._app and self._app.poll() is None:
            (self._app.kill if by_force else self._app.terminate)()
            try:
                self._app.wait(20)
            except subprocess.TimeoutExpired as error:
                self._app.kill()
                raise AppError("the app did not end within 20 s of SIGTERM") from error

    def reap(self) -> None:
        """Takes note of the app's end, when it was killed."""
        if self._app:
            with suppress(subprocess.TimeoutExpired):
                self._app.wait(5)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        with self._opened(path, body) as answer:
            return answer.read()

    def _opened(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json", "Origin": self._address}
        return urlopen(Request(self._address + path, data, headers), timeout=30)


def end_of(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The status with which a process ended; None when it had to be killed after some seconds."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
