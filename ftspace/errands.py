"""Errands: what takes minutes, belongs to no run's jobs and goes on without the page. Starts, reads and stops them.

An errand is a process of its own (errand.py) with a folder of its own. A page reads what it wrote there, so a reload, a
second browser and a restart of the app show the same. Knows no gradio, no torch and no network.

request.json   what is to be done, written before the process begins; never holds a token
state.json     how far it is, and how it ended: written whole at each change
lock, stop     held while it works; there once somebody asked it to stop
worker.log     what its process printed
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ftspace.access import Access
from ftspace.errors import DiskError, JobError
from ftspace.launchers import apart
from ftspace.runs import is_held, take_lock
from ftspace.settings import worker_env

WORKER = "ftspace.errand"
Status = Literal["none", "working", "stopping", "done", "failed", "stopped"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Merge(_Frozen):
    """A run's adapter merged into its base, kept in the run's folder."""

    kind: Literal["merge"] = "merge"
    run: str
    """The run's folder."""
    out: str
    dtype: str = "auto"


class Import(_Frozen):
    """An adapter of the Hub as a run."""

    kind: Literal["import"] = "import"
    repo_id: str
    runs_dir: str
    revision: str | None = None
    base: str | None = None
    access: Access = Access()
    scopes: frozenset[str] | None = None


class Deploy(_Frozen):
    """This app, or a chat demo of a run, as a Space."""

    kind: Literal["deploy"] = "deploy"
    repo_id: str
    runs_dir: str
    demo: str | None = None
    """The id of the run, for a demo."""
    hardware: str | None = None
    private: bool | None = None
    sleep_minutes: int | None = None
    storage: bool = False
    dry_run: bool = True
    """Only look what would be done."""
    steps: tuple[str, ...] | None = None
    """What somebody saw and said yes to; when there is anything else to do by then, nothing is done."""
    scopes: frozenset[str] | None = None


Request = Merge | Import | Deploy
_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)


class State(_Frozen):
    """How an errand stands."""

    status: Status = "none"
    said: str = ""
    """What is being done, or how it ended: what happened, why, what to do."""
    done: int = 0
    total: int = 0
    """Of what is being done; 0 where that cannot be said."""
    result: dict[str, Any] = {}
    """What came of it."""

    @property
    def is_at_work(self) -> bool:
        """Whether a process is at it."""
        return self.status in ("working", "stopping")


class Errand:
    """One kind of errand of one visitor or run: the newest of it."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made here."""
        self.folder = folder
        self.request_path = folder / "request.json"
        self.state_path = folder / "state.json"
        self.lock = folder / "lock"
        self.stop_flag = folder / "stop"

    @property
    def request(self) -> Request | None:
        """What was asked for last; None where nothing was."""
        try:
            return _REQUEST.validate_json(self.request_path.read_bytes())
        except (OSError, ValueError):
            return None

    def state(self) -> State:
        """How it stands; `none` when nothing was asked for."""
        held = is_held(self.lock)  # looked at first: what was written before it was let go is then read, too
        try:
            told = State.model_validate_json(self.state_path.read_bytes())
        except (OSError, ValueError):
            told = State(status="working", said="beginning") if held else State()
        if held:
            return told.model_copy(update={"status": "stopping" if self.stop_flag.exists() else "working"})
        if told.is_at_work:
            said = "its process is gone and did not say why; try again"
            return told.model_copy(update={"status": "failed", "said": said})
        return told

    def begin(self, request: Request, token: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Sets it going and returns; `token`, for the Hub, goes into the process's environment and nowhere else.

        Raises JobError while the last one is at work, DiskError where nothing can be written.
        """
        env = worker_env(offline=False, token=token, **({} if environ is None else {"environ": environ}))
        lock = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = take_lock(self.lock, tries=3)
            if lock is None:
                raise JobError("the last one is still at work; wait for it, or stop it")
            self.stop_flag.unlink(missing_ok=True)
            self.request_path.write_text(request.model_dump_json(indent=2) + "\n", encoding="utf-8")
            self.write(State(status="working", said="beginning"))
            log = self.folder / "worker.log"
            log.unlink(missing_ok=True)
            process = apart.start([WORKER, str(self.folder)], log=log, env=env, locks=[lock])
        except OSError as error:
            raise DiskError(f"nothing can be written at {self.folder}: {error.strerror}; make room there") from error
        finally:
            if lock is not None:
                os.close(lock)
        apart.leave(process)

    def write(self, state: State) -> None:
        """Writes how it stands, whole. Raises OSError."""
        beside = self.state_path.with_suffix(".new")
        beside.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
        beside.replace(self.state_path)

    def stop(self) -> None:
        """Asks it to stop; it does within seconds. Raises JobError when it is not at work."""
        if not is_held(self.lock):
            raise JobError("it is not at work, there is nothing to stop")
        self.stop_flag.touch()

    def forget(self) -> None:
        """Lets what came of the last one be forgotten; one at work goes on."""
        if not is_held(self.lock):
            self.state_path.unlink(missing_ok=True)
