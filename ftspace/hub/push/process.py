"""The process of one push, `python -m ftspace.hub.push.process RUN_DIR WHAT`, started by pushing.py with its lock held.

Builds the files, makes them the repository's, reads them back, and writes the record. It tells all that to the push's
own events and changes nothing else of the run. The token is its environment's, or that of `hf auth login`.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import get_args

from evals.errors import one_line
from ftspace.disk import causes, is_disk_full
from ftspace.errors import DiskError, FtspaceError, HubError, Reason
from ftspace.events import EndStatus, Event, EventLog, Finished, Started, Uploading, Verifying, Warned
from ftspace.hub.bundle.files import build_bundle, is_ours
from ftspace.hub.bundle.origins import Origins, ask_origins, known_origins
from ftspace.hub.push import upload
from ftspace.hub.push.line import PATIENCE, Ears, Patience, line
from ftspace.hub.push.pushing import read_record
from ftspace.hub.push.records import PushFolder, PushRecord, PushRequest, What
from ftspace.hub.push.repository import Target
from ftspace.hub.push.target import why_taken
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.streams import guard
from ftspace.workers import Stopped

TELL_SECONDS = 0.5
"""How often it is told how far the push is."""
GRACE_SECONDS = 15.0
"""From a stop on, what may be left to tidy up; then the process is ended."""
_LOOK_SECONDS = 0.25

log = logging.getLogger(__name__)


class Teller:
    """Where a push tells its events, from all its threads, and learns that it is to stop."""

    def __init__(self, folder: PushFolder) -> None:
        """Opens the push's events. Raises OSError."""
        self._folder = folder
        self._events = EventLog(folder.events)
        self._lock = threading.Lock()
        self._told = 0.0
        self.building = False
        """The work cannot look by itself whether it is to stop."""
        self._terminated = False
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def tell(self, event: Event) -> None:
        """Appends an event. Raises DiskError where that cannot be written."""
        with self._lock:
            self._append(event)

    def warn(self, said: str) -> None:
        """Tells a line to a person."""
        self.tell(Warned(message=said))

    def far(self, event: type[Uploading] | type[Verifying]) -> Callable[[int, int], None]:
        """Tells how far something is, now and then and at its ends."""

        def tell(done: int, total: int) -> None:
            with self._lock:
                now = time.monotonic()
                if done not in (0, total) and now - self._told < TELL_SECONDS:
                    return
                self._told = now
                self._append(event(done=done, total=total))

        return tell

    def should_stop(self) -> bool:
        """Whether somebody asked the push to stop."""
        return self._terminated or self._folder.stop_flag.exists()

    def built(self) -> None:
        """From here on the work looks by itself whether it is to stop; an interrupt could leave an empty repository."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.building = False

    def watch(self) -> None:
        """Sees to it that a stop is one soon, whatever is being done; for a thread of its own."""
        while not self.should_stop():
            time.sleep(_LOOK_SECONDS)
        if self.building:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(GRACE_SECONDS)
        with suppress(DiskError):
            self.tell(Finished(job="push", status="cancelled", message="stopped; nothing of the run is changed"))
        os.killpg(0, signal.SIGKILL)

    def _append(self, event: Event) -> None:
        try:
            self._events.append(event)
        except OSError as error:
            said = f"events cannot be written ({error.strerror}) at {self._folder.path}"
            raise DiskError(f"{said}; make room there (ftspace runs gc) and push again") from error

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        self._terminated = True


def work(
    run: Run, request: PushRequest, folder: PushFolder, teller: Teller, patience: Patience = PATIENCE
) -> PushRecord:
    """Builds, pushes and verifies. Raises FtspaceError, or Stopped."""
    ears = Ears(warn=teller.warn, should_stop=teller.should_stop)
    teller.building = True
    learn(run, ears, patience)
    check_public(request, known_origins(run))
    build_bundle(run, request, folder.bundle)
    teller.built()
    return deliver(request, folder, teller, ears, patience)


def deliver(request: PushRequest, folder: PushFolder, teller: Teller, ears: Ears, patience: Patience) -> PushRecord:
    """Pushes what was built, and verifies it. Raises FtspaceError, or Stopped."""
    names = {str(path.relative_to(folder.bundle)) for path in folder.bundle.rglob("*") if path.is_file()}
    progress = upload.Progress(sent=teller.far(Uploading), compared=teller.far(Verifying))
    pushed = upload.push(folder.bundle, target(request, folder, names), ears, progress, patience)
    if request.public and pushed.private:
        teller.warn(f"{request.repo_id} was private and still is; its settings at {pushed.url}/settings make it public")
    return PushRecord(
        what=request.what,
        repo_id=request.repo_id,
        url=pushed.url,
        commit=pushed.commit,
        private=pushed.private,
        files=dict(pushed.files),
        new=pushed.new,
        time=time.time(),
    )


def learn(run: Run, ears: Ears, patience: Patience) -> None:
    """Learns what may be told of base and dataset; a push that told less would be another one. Raises HubError."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with line(ears, patience):
            ask_origins(run)
    except HubError as error:
        why = error.__cause__
        if why is None:
            raise
        status = f"status {why.response.status_code}" if isinstance(why, HfHubHTTPError) else one_line(why)
        said = "the Hub does not say what may be told of the run's base and dataset"
        raise HubError(f"{said} ({status}); push again", error.cause) from error


def check_public(request: PushRequest, origins: Origins) -> None:
    """Raises HubError where everybody could read what was made of something that not everybody may read."""
    for kind, one in (("base", origins.base), ("dataset", origins.data)):
        if request.public and one.restricted in ("private", "gated"):
            raise HubError(
                f"the {kind} {one.name} is {one.restricted}, so what was made of it is not pushed where everybody can "
                "read it; leave --public (hub.public) out",
                "rights",
            )


def target(request: PushRequest, folder: PushFolder, names: set[str]) -> Target:
    """The repository that files of these names go to, and what may be overwritten there."""
    record = read_record(folder)
    earlier = record.files if record and record.repo_id == request.repo_id else {}
    whole = "adapter_config.json" not in names
    return Target(
        kind="model",
        repo_id=request.repo_id,
        public=request.public,
        message=f"Upload {_NAMES[request.what]} trained with ftspace",
        refuses=lambda there: why_taken(there, whole=whole),
        is_ours=lambda name: is_ours(name) or name in earlier,
        warns=lambda there: _others_weights(there, earlier, request.repo_id),
        smaller="push again with " + ("one of a lower rank" if request.what == "adapter" else "the adapter alone"),
        made=folder.path / "made",
    )


_NAMES: dict[What, str] = {"adapter": "an adapter", "merged": "a merged model"}


def _others_weights(there: Mapping[str, str], earlier: Mapping[str, str], repo_id: str) -> str:
    """What to tell of weights that are replaced and that no push of this run is known to have made."""
    if not any(name.endswith(".safetensors") and digest not in earlier.values() for name, digest in there.items()):
        return ""
    return f"{repo_id} held another run's push, which this one replaces; the commits before this one still have it"


def main(words: list[str]) -> int:
    """Does one push; the exit status, 2 where a person can mend it."""
    from huggingface_hub.utils import disable_progress_bars

    guard()
    disable_progress_bars()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells each request, with addresses that are signed
    what = next(one for one in get_args(What) if one == words[1])
    run, folder = Run(Path(words[0])), PushFolder(Path(words[0]), what)
    began = time.monotonic()
    status: EndStatus = "failed"
    reason: Reason = ""
    message, code = "", 1
    try:
        teller = Teller(folder)
        teller.tell(Started(job="push", pid=os.getpid()))
        request = PushRequest.model_validate_json(folder.request.read_bytes())
    except (DiskError, OSError, ValueError):
        log.exception("the push cannot begin in %s", folder.path)
        return code
    threading.Thread(target=teller.watch, daemon=True).start()
    try:
        record = work(run, request, folder, teller)
        beside = folder.record.with_suffix(".new")
        beside.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        beside.replace(folder.record)
        status, code = "finished", 0
        message = "" if record.new else "the repository held all of it already: no commit was made"
    except (Stopped, KeyboardInterrupt):
        status, message = "cancelled", "stopped; nothing of the run is changed, and a push can be made again"
    except FtspaceError as error:
        reason, message, code = error.reason, str(error), 2
        if not isinstance(error, HubError):
            log.exception("the push failed")
    except Exception as error:  # the outer edge: whatever happens, the push says how it ended
        log.exception("the push failed")
        full = any(map(is_disk_full, causes(error)))
        reason, text = ("disk" if full else "error"), one_line(error)
        where = f"push/{what}/worker.log in the run's folder"
        advice = "make room (ftspace runs gc) and push again" if full else f"the whole story is in {where}"
        message = f"{'the disk cannot be written' if full else type(error).__name__}: {text}; {advice}"
    try:
        end = Finished(job="push", status=status, reason=reason, message=message, seconds=time.monotonic() - began)
        teller.tell(end)
    except DiskError:
        log.exception("the push %s, which cannot be written: %s", status, redact(message))
        return code or 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
