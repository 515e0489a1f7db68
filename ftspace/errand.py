"""The process of one errand: `python -m ftspace.errand FOLDER`. Started by errands.py, with the errand's lock held.

Does what the folder's request says by the functions behind the commands of the same name, and writes how far it is. A
stop interrupts it, as Ctrl-C does a command: what is half written goes.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from evals.errors import one_line
from ftspace.disk import causes, is_disk_full, remove
from ftspace.errands import Deploy, Errand, Import, Merge, State
from ftspace.errors import FtspaceError, JobError
from ftspace.redact import redact
from ftspace.runs import Run, RunStore, take_lock
from ftspace.settings import go_offline, see_only, visible_gpus
from ftspace.slots import hold_slot
from ftspace.streams import guard

TELL_SECONDS = 0.3
"""How often it is written how far it is."""
GRACE_SECONDS = 20.0
"""From a stop on, what may be left to tidy up; then the process is ended."""
_LOOK_SECONDS = 0.25
_STOPPED = {
    "merge": "stopped; nothing of the merged model was kept",
    "import": "stopped; no run was made",
    "deploy": "stopped; what was done until then stays, and the next one goes on from there",
}

log = logging.getLogger(__name__)
Tell = Callable[[str, int, int], None]


class _Teller:
    """Writes how far it is, now and then and whenever something else is done."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._last, self._told = "", 0.0

    def tell(self, said: str, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        if said == self._last and now - self._told < TELL_SECONDS:
            return
        self._last, self._told = said, now
        self._errand.write(State(status="working", said=redact(said), done=done, total=total if total > 1 else 0))


def _merge(asked: Merge, tell: Tell) -> dict[str, Any]:
    run = Run(Path(asked.run))
    place = Path(asked.out).parent
    place.mkdir(parents=True, exist_ok=True)
    if take_lock(place / ".lock", tries=3) is None:  # let go of when this process ends
        raise JobError("another merged model is being made on this machine; try again when it is done")
    if run.config.hub.offline:
        go_offline()
    with hold_slot(run.path.parent, _machine_is_taken) as (slot, _):
        if slot.gpu is not None and visible_gpus() != []:
            see_only(slot.gpu)
        if Path(asked.out) == run.merged:
            remove(run.merged)  # of an earlier adapter
        tell("loading libraries", 0, 0)
        from ftspace.training.merge import merge

        merged = merge(run, Path(asked.out), asked.dtype, tell=tell)
    return {**merged.model_dump(mode="json", exclude={"folder"}), "warnings": merged.warnings()}


def _machine_is_taken() -> None:
    raise JobError("the machine is at work on a run or serves its models; make the merged model when it is done")


def _import(asked: Import, tell: Tell) -> dict[str, Any]:
    from ftspace.hub.asker import asking_with
    from ftspace.hub.imports.importing import import_run, imported

    tell(f"asking the Hub about {asked.repo_id}", 0, 0)
    with asking_with(None, asked.scopes):
        store = RunStore(Path(asked.runs_dir))
        run = import_run(asked.repo_id, store, asked.revision, asked.base, asked.access, tell)
    told = imported(run)
    return {"run": run.id, "missing": list(told.missing) if told else []}


def _deploy(asked: Deploy, tell: Tell) -> dict[str, Any]:
    from ftspace.deploying import deploy_asked
    from ftspace.hub.asker import asking_with

    tell("asking the Hub what is there", 0, 0)
    with asking_with(None, asked.scopes):
        return deploy_asked(asked, tell)


def work(errand: Errand, tell: Tell) -> dict[str, Any]:
    """Does what is asked; what came of it. Raises FtspaceError."""
    match errand.request:
        case Merge() as asked:
            return _merge(asked, tell)
        case Import() as asked:
            return _import(asked, tell)
        case Deploy() as asked:
            return _deploy(asked, tell)
        case None:
            raise JobError(f"{errand.request_path} cannot be read; try again")


def _stopped(errand: Errand) -> State:
    asked = errand.request
    return State(status="stopped", said=_STOPPED[asked.kind] if asked else "stopped")


def _watch(errand: Errand) -> None:
    """Sees to it that a stop is one soon, whatever is being done; for a thread of its own."""
    while not errand.stop_flag.exists():
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    with suppress(OSError):
        errand.write(_stopped(errand))
    os.killpg(0, signal.SIGKILL)


def main(words: list[str]) -> int:
    """Does one errand; the exit status, 2 where a person can mend it."""
    guard()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells each request, with addresses that are signed
    errand = Errand(Path(words[0]))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_watch, args=[errand], daemon=True).start()
    code = 0
    try:
        end = State(status="done", result=work(errand, _Teller(errand).tell))
    except KeyboardInterrupt:
        end, code = _stopped(errand), 130
    except FtspaceError as error:
        log.info("the errand ended: %s", redact(str(error)))
        end, code = State(status="failed", said=redact(str(error))), 2
    except Exception as error:  # the outer edge: whatever happens, the errand says how it ended
        log.exception("the errand failed")
        full = any(map(is_disk_full, causes(error)))
        advice = "make room (ftspace runs gc) and try again" if full else f"the whole story is in {words[0]}/worker.log"
        end, code = State(status="failed", said=redact(f"{type(error).__name__}: {one_line(error)}; {advice}")), 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        errand.write(end)
    except OSError:
        log.exception("how the errand ended cannot be written")
        return code or 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
