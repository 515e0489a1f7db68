"""The one process that looks after a folder of runs: it takes them in their order, one a slot, and sees them through.

`python -m ftspace.supervisor RUNS_DIR LOCK SOCKET`, started by whoever queues a run or finds one waiting (bell.py). It
keeps nothing that the folders do not say, but the environments that runs were given: when it is killed, jobs go on, and
the next one takes up where it was. It ends when there is nothing to do and nobody is connected. Knows no torch.
"""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftspace import bell, queue
from ftspace.attending import Means, adopt, attend, give_up
from ftspace.callers import Callers
from ftspace.errors import DiskError, FtspaceError
from ftspace.events import Warned
from ftspace.hub.push.after import note_push, push_finished
from ftspace.launchers.local import WaitingWorker
from ftspace.launchers.processes import gpus_of
from ftspace.queue import Ticket
from ftspace.redact import keep_secret
from ftspace.runs import Run, is_held, take_lock
from ftspace.settings import OFFLINE, read_settings, worker_env
from ftspace.slots import Slot, fitted, slots_of
from ftspace.streams import guard
from ftspace.webhook import report

LOOK_SECONDS = 3.0
"""How often the queue is looked at when nobody calls."""
ELSEWHERE_AT_ONCE = 8
"""Runs whose jobs run on other machines that are followed at a time: each has a process here."""
BLOCKED_SECONDS = 0.5
"""How often while a run waits for a slot that no run has."""
AGAIN_SECONDS = 0.1
"""What is waited after something that the disk did not let be done."""
REST_SECONDS = 15.0
"""From the end of a run on, in which a person looks at it, until a worker is started that waits for the next one."""

_LOST_TOKEN = "the Hub token that the run was started with was lost with the process that held it"

log = logging.getLogger(__name__)


class Supervisor:
    """Looks after one folder of runs until there is nothing left to do."""

    def __init__(self, runs_dir: Path, lock: int, listener: socket.socket) -> None:
        """`lock` is the supervisor's, held; `listener` the socket that it is spoken to on."""
        self._runs_dir = runs_dir
        self._lock = lock
        self._listener = listener
        self._slots = slots_of(runs_dir)
        self._envs: dict[str, dict[str, str]] = {}
        self._attended: set[str] = set()
        self._elsewhere: set[str] = set()
        """Those of them that need no slot."""
        self._given_up: set[str] = set()
        self._threads: set[threading.Thread] = set()
        self._worker: WaitingWorker | None = None
        self._warm_at: float | None = None
        self._offline = False
        self._blocked = False
        self._callers = Callers(listener)

    def run(self) -> None:
        """Works until nothing is to be done."""
        try:
            while True:
                self._try(self._hear)
                self._try(self._look)
                self._try(self._warm_up)
                if not self._runs_dir.is_dir() or self._try(self._is_done):
                    return
        finally:
            self.close()

    def close(self) -> None:
        """Ends the worker that waits, and hears nobody any more. Runs at work go on."""
        self._drop_worker()
        self._callers.close()

    def _try(self, work: Callable[[], bool | None]) -> bool:
        """What the work says; no, and after a moment, where a disk is full or only reads: that may be mended."""
        try:
            return bool(work())
        except (DiskError, OSError) as error:
            log.warning("%s", error)
            time.sleep(AGAIN_SECONDS)
            return False

    def _is_done(self) -> bool:
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        if self._attended or self._threads or self._callers:
            return False
        try:
            with queue.locked(self._runs_dir):  # who queues a run now finds this one listening, or gone
                if any(run.id not in self._given_up for run, _ in queue.tickets(self._runs_dir)):
                    return False
                bell.close(self._listener, self._runs_dir)
                os.close(self._lock)
        except DiskError:
            return not self._envs
        return True

    # The queue.

    def _look(self) -> None:
        """Sets going what can go: goes on with what was begun first, then with who waits longest."""
        starting: list[tuple[Run, Ticket, list[Slot], list[int]]] = []
        self._blocked = False
        with queue.locked(self._runs_dir):
            found = queue.tickets(self._runs_dir)
            ids = {run.id for run, _ in found}
            announced = {words["run"] for words in self._callers.said("start")}
            self._envs = {run_id: env for run_id, env in self._envs.items() if run_id in ids | announced}
            ready: list[tuple[Run, Ticket]] = []
            for run, ticket in found:
                if run.id in self._attended | self._given_up:
                    continue
                with self._at_its_cost(run):
                    if (settled := self._settle(run, ticket)) is not None:
                        ready.append((run, settled))
            free = list(self._slots)
            for run, ticket in ready:
                with self._at_its_cost(run):
                    self._env_of(run)  # what it needs can be read
                    if run.elsewhere:
                        slots, locks = [], self._lock_of(run)
                        self._elsewhere |= {run.id} if locks else set()
                    elif self._blocked:
                        continue
                    else:
                        slots, locks = self._locks_for(run, free)
                        self._blocked = not slots
                    if locks:
                        starting.append((run, ticket, slots, locks))
                        self._attended.add(run.id)
        for run, ticket, slots, locks in starting:
            self._begin(run, ticket, slots, locks)

    @contextmanager
    def _at_its_cost(self, run: Run) -> Generator[None]:
        """An error costs this run alone: its place when it cannot be read, nothing but time when the disk is full."""
        try:
            yield
        except (DiskError, OSError) as error:
            log.warning("run %s cannot be worked on now: %s", run.id, error)
        except FtspaceError:
            log.exception("run %s cannot be worked on", run.id)
            self._given_up.add(run.id)
            with suppress(OSError):
                run.ticket.unlink(missing_ok=True)

    def _settle(self, run: Run, ticket: Ticket) -> Ticket | None:
        """What becomes of a run that this process does not attend: its ticket if it is to be worked on now."""
        if run.is_alive():
            self._attended.add(run.id)
            self._elsewhere |= {run.id} if queue.is_elsewhere(run) else set()
            self._go(self._adopt, run, ticket)
            return None
        note_push(run)
        mended = queue.mend(run, ticket)
        if mended is None:
            self._go(self._over, run, self._env_of(run), self._lost(run, ticket))
        return mended

    def _locks_for(self, run: Run, free: list[Slot]) -> tuple[list[Slot], list[int]]:
        """Free slots, one for each GPU that the run takes, and their locks with the run's.

        No slots when too few are free, no locks when the run's is not.
        """
        wanted = min(max(1, gpus_of(run.config)), len(self._slots))
        taken: list[tuple[Slot, int]] = []
        lock = None
        try:
            while free and len(taken) < wanted:
                slot = free.pop(0)
                if (held := slot.take()) is not None:
                    taken.append((slot, held))
            if len(taken) == wanted:
                lock = take_lock(run.lock, tries=10)
        finally:
            if lock is None:
                for slot, held in reversed(taken):
                    os.close(held)
                    free.insert(0, slot)
        if len(taken) < wanted:
            return [], []
        return [slot for slot, _ in taken], [] if lock is None else [lock, *(held for _, held in taken)]

    def _lock_of(self, run: Run) -> list[int]:
        """The lock of a run that needs no slot; none when it is not free, or enough of them are at work."""
        self._elsewhere &= self._attended
        lock = take_lock(run.lock, tries=10) if len(self._elsewhere) < ELSEWHERE_AT_ONCE else None
        return [] if lock is None else [lock]

    def _begin(self, run: Run, ticket: Ticket, slots: list[Slot], locks: list[int]) -> None:
        if not slots:
            self._go(self._attend, run, ticket, Means(self._env_of(run), locks, None), self._lost(run, ticket))
            return
        worker, self._worker = self._worker, None
        if worker:
            self._callers.remove(worker.socket)
        self._warm_at = None
        self._offline = run.config.hub.offline
        means = Means(fitted(slots, self._env_of(run)), locks, worker)
        self._go(self._attend, run, ticket, means, self._lost(run, ticket))

    def _env_of(self, run: Run) -> dict[str, str]:
        offline = run.config.hub.offline
        return self._envs.get(run.id) or worker_env(offline=offline)

    def _lost(self, run: Run, ticket: Ticket) -> str:
        """That the run's own token is lost, in words; "" when it is not. The machine's may be somebody else's."""
        return _LOST_TOKEN if ticket.token and run.id not in self._envs else ""

    def _attend(self, run: Run, ticket: Ticket, means: Means, lost: str) -> None:
        try:
            if lost and not means.env.get("HF_TOKEN"):
                queue.tell(run, Warned(message=f"{lost}; if it fails for that, resume it with the token"))
            attend(run, means, ticket, read_settings(environ=means.env).max_minutes)
            note_push(run)
        except Exception as error:  # the outer edge of a run's thread: the others go on
            log.exception("run %s cannot be worked on", run.id)
            give_up(run, error, self._runs_dir / bell.LOG)
        finally:
            try:
                with queue.locked(self._runs_dir):
                    queue.close(run)
            except (FtspaceError, OSError):
                log.exception("run %s cannot be taken out of the queue", run.id)
                self._given_up.add(run.id)
            if means.worker:
                means.worker.end()
            for fd in means.locks:
                os.close(fd)
            self._leave(run)
        self._over(run, means.env, lost)

    def _over(self, run: Run, env: dict[str, str], lost: str = "") -> None:
        """What comes after a run, and cannot harm it: the push that its config asks for, and the word to others."""
        try:
            push_finished(run, env, lost and f"{lost}, so it is not pushed with another; push it with the token")
        except (FtspaceError, OSError):
            log.exception("run %s cannot be pushed", run.id)
        report(run, env)

    def _adopt(self, run: Run, ticket: Ticket) -> None:
        try:
            adopt(run, ticket, read_settings(environ=self._env_of(run)).max_minutes)
        except (DiskError, OSError) as error:
            log.warning("run %s cannot be looked after now: %s", run.id, error)
            self._attended.discard(run.id)  # and nobody is woken: it is looked at again in its time
            return
        except Exception:  # the outer edge, as above
            log.exception("run %s cannot be looked after", run.id)
            self._given_up.add(run.id)
        self._leave(run)

    def _leave(self, run: Run) -> None:
        self._attended.discard(run.id)
        self._callers.wake()

    def _go(self, work: Any, *given: Any) -> None:
        thread = threading.Thread(target=work, args=given, daemon=True)
        thread.start()
        self._threads.add(thread)

    # The waiting worker.

    def _warm_up(self) -> None:
        """Starts a worker that waits, or ends it: one while somebody wants it, none while a run is at work."""
        wanted = self._callers.said("warm")
        if not wanted:
            self._drop_worker()
            self._warm_at = None
            return
        if self._attended - self._elsewhere or self._worker:
            return
        if self._warm_at is None:
            self._warm_at = time.monotonic() + REST_SECONDS
        if time.monotonic() < self._warm_at or any(is_held(slot.lock) for slot in self._slots):
            return
        self._warm_at = time.monotonic() + 60 * REST_SECONDS  # no sooner if it cannot be started now
        env = wanted[0]["env"] | (OFFLINE if self._offline else {})
        self._worker = WaitingWorker(self._slots[0].fitted(env))
        self._callers.add(self._worker.socket)

    def _drop_worker(self) -> None:
        if self._worker:
            self._callers.remove(self._worker.socket)
            self._worker.end()
            self._worker = None

    # Who calls.

    def _hear(self) -> None:
        """Waits for a call, for the end of a run, or until it is time to look again."""
        seconds = LOOK_SECONDS
        if self._warm_at is not None and not self._worker and not self._attended:
            seconds = min(seconds, max(0.05, self._warm_at - time.monotonic()))
        if self._blocked and not self._attended:  # by a command that measures, which does not ring
            seconds = min(seconds, BLOCKED_SECONDS)
        if not self._attended and not self._callers and self._threads:
            seconds = 0.1
        heard, others = self._callers.hear(seconds)
        if others:  # the waiting worker is gone; perhaps it could not import
            self._drop_worker()
            self._warm_at = time.monotonic() + 60 * REST_SECONDS
        for words in heard:
            match words.get("do"):
                case "start":
                    self._given_up.discard(words["run"])
                    self._envs[words["run"]] = words["env"]
                    keep_secret(words["env"].get("HF_TOKEN"))
                case "warm":
                    self._offline = words["offline"]
                    if not self._worker and self._warm_at is None:
                        self._warm_at = time.monotonic() + words["seconds"]
                case "over":
                    run = Run(self._runs_dir / words["run"])
                    self._go(self._over, run, self._envs.get(run.id) or worker_env(offline=False))
                case _:
                    pass  # it rang: the queue is looked at now


def main(words: list[str]) -> None:
    """Looks after the runs of a folder."""
    guard()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    lock = int(words[1])
    listener = socket.socket(fileno=int(words[2]))
    for fd in (lock, listener.fileno()):
        os.set_inheritable(fd, False)
    Supervisor(Path(words[0]), lock, listener).run()


if __name__ == "__main__":
    main(sys.argv[1:])
