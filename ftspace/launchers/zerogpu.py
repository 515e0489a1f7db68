"""Sees a job through whose GPU is lent for some minutes at a time: lease after lease, until it is done or time is out.

Started by the supervisor in place of the job's worker, as `python -m ftspace.launchers.zerogpu RUN_DIR`, and holds the
run's locks as that would. Leases are asked of the app, whose process alone can be lent the GPU (lending.py); the worker
runs inside (lease.py), leaves in time, and what it told and saved is gone on with in the next. Between leases the run
waits for GPU time, and this process is the one that writes its events. Knows no torch and nothing of `spaces`.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from ftspace.errors import Reason
from ftspace.events import Awaiting, Finished, JobName, Warned, read_events
from ftspace.launchers import lease
from ftspace.launchers.lending import Answer, Demand, borrow
from ftspace.queue import tell
from ftspace.runs import Run, is_held
from ftspace.settings import token_of_process
from ftspace.state import RunState, fold
from ftspace.stopping import DISCARDED, is_discarded
from ftspace.streams import guard
from ftspace.words import duration
from ftspace.workers import AWAY

BEFORE = "ftspace.training.before"
LEAST_SECONDS = 30
"""No lease is asked for that is shorter: the model would hardly be loaded."""
WAIT_SECONDS = 1800.0
"""A run waits so long for GPU time; where it takes longer, it ends and says when to go on, and lets others work."""
AGAIN_SECONDS = 20.0
"""After which a GPU that nobody could lend is asked for again."""
TRIES = 3
"""Leases in a row that may bring a run no further."""
_LOOK_SECONDS = 0.25

log = logging.getLogger(__name__)


class Borrower:
    """One run's job, and the leases that it is done in."""

    def __init__(self, run: Run, job: JobName, token: str | None) -> None:
        """`token` is for the Hub; it is handed on and kept nowhere."""
        self._run, self._token = run, token
        self._job: JobName = job
        self._seconds = run.config.launch.lease_seconds
        self._leave = run.path / lease.LEAVE
        self._leave.unlink(missing_ok=True)
        self._terminated = False
        self._waiting_since: float | None = None
        self._in_vain = 0
        self._child: subprocess.Popen[bytes] | None = None

    def terminate(self, signum: int = 0, frame: FrameType | None = None) -> None:
        """Has it end as soon as it can: a lease that is out is left at once."""
        self._terminated = True
        with suppress(OSError):
            self._leave.touch()
        if self._child:
            self._child.terminate()

    def see_through(self) -> int:
        """Does the job, or what there is GPU time for; the exit status, that of the job's last word."""
        if self._job == "train" and self._run.checkpoint is None and (status := self._before()) != AWAY:
            return status
        while True:
            if self._unwanted():
                return self._stopped()
            before = self._reached()
            answer = borrow(self._run.path.parent, self._demand(), self._given_up)
            self._await_end_of_lease()
            if end := self._state().ended.get(self._job):  # whatever became of the answer
                return 0 if end.status == "finished" else 1
            if (status := self._after(answer, moved=self._reached() != before)) is not None:
                return status

    def _before(self) -> int:
        """What needs no GPU, in a process of its own: this one stays small and hears signals."""
        words = [sys.executable, "-m", BEFORE, str(self._run.path), str(os.getpid())]
        self._child = subprocess.Popen(words)
        status = self._child.wait()
        self._child = None
        return status

    def _demand(self) -> Demand:
        run = self._run
        return Demand(str(run.path), self._job, self._seconds, os.getpid(), self._token, run.access.owner)

    def _after(self, answer: Answer, *, moved: bool) -> int | None:
        """What follows from an answer: the exit status, or None to ask again."""
        match answer.kind:
            case "left" if answer.status == lease.BUSY:
                self._wait(AGAIN_SECONDS, "another lease is at work on it")
                return None
            case "left" | "killed":
                self._waiting_since = None
                self._in_vain = 0 if moved else self._in_vain + 1
                if answer.kind == "killed":
                    self._wait(0.0, f"the lease was ended from outside; the run goes on {self._place()}")
                if self._in_vain == TRIES:
                    said = f"{TRIES} leases of {self._seconds} s brought it no further: {self._too_short()}"
                    return self._failed(f"{said}; {self._run.go_on()}", "job")
                return None
            case "too_long":
                shorter = max(LEAST_SECONDS, self._seconds // 2)
                if shorter == self._seconds:
                    return self._failed(f"no lease of even {shorter} s is given: {answer.said}")
                tell(self._run, Warned(message=f"no lease of {self._seconds} s is given, so {shorter} s are asked for"))
                self._seconds = shorter
                return None
            case "quota" if answer.left is not None and LEAST_SECONDS <= answer.left < self._seconds:
                self._seconds = answer.left
                return None
            case "quota":
                self._seconds = self._run.config.launch.lease_seconds
                if answer.wait is None or answer.wait > WAIT_SECONDS:
                    return self._failed(f"{_out_of_time(answer)}; {self._run.go_on()}")
                self._wait(answer.wait, _out_of_time(answer))
                return None
            case "unwanted":
                return self._stopped()
            case "busy" | "lost" | "broken":
                why = {"lost": "the app that lends the GPU does not answer", "busy": "no GPU is free"}
                said = why.get(answer.kind, f"no GPU could be had ({answer.said})")
                self._waiting_since = self._waiting_since or time.monotonic()
                if time.monotonic() - self._waiting_since > WAIT_SECONDS:
                    return self._failed(f"{said}, and was not for {duration(WAIT_SECONDS)}; {self._run.go_on()}")
                self._wait(AGAIN_SECONDS, said)
                return None

    def _wait(self, seconds: float, why: str) -> None:
        """Waits, and says why, unless it was the last word."""
        awaiting = self._state().awaiting
        until = time.time() + seconds if seconds else None
        if awaiting is None or awaiting.message != why:
            tell(self._run, Awaiting(job=self._job, message=why, until=until))
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._unwanted():
            time.sleep(_LOOK_SECONDS)

    def _await_end_of_lease(self) -> None:
        """Nobody else may be writing to the run: a lease whose lender is gone leaves in its time."""
        while is_held(self._run.path / lease.LOCK):
            time.sleep(_LOOK_SECONDS)

    def _given_up(self) -> bool:
        """Whether a lease is not wanted any more that has not begun; one that has sees itself that it is to stop."""
        return self._unwanted() and not is_held(self._run.path / lease.LOCK)

    def _unwanted(self) -> bool:
        return self._terminated or self._run.stop_flag.exists()

    def _stopped(self) -> int:
        """Says that the run was stopped while no lease was out; where only this process was, the supervisor says it."""
        run = self._run
        if said := run.time_is_up():
            tell(run, Finished(job=self._job, status="failed", reason="time_limit", message=said))
        else:
            said = DISCARDED if is_discarded(run) else f"stopped while it waited for GPU time; {run.go_on()}"
            tell(run, Finished(job=self._job, status="cancelled", message=said))
        return 1

    def _failed(self, message: str, reason: Reason = "gpu_time") -> int:
        tell(self._run, Finished(job=self._job, status="failed", reason=reason, message=message))
        return 2

    def _reached(self) -> tuple[int | None, bool, int]:
        """What a lease can bring further: checkpoints, the adapter, answers."""
        run = self._run
        answers = sum(path.stat().st_size for path in run.evals.rglob("*") if path.is_file())
        return run.checkpoint, run.adapter.exists(), answers

    def _place(self) -> str:
        step = self._run.checkpoint
        if self._job == "evaluate":
            return "with the answers that it has"
        return "from the beginning" if step is None else f"from the checkpoint of step {step}"

    def _too_short(self) -> str:
        return (
            "loading the model took all their time, or their GPU was taken away; ask for longer ones with "
            "launch.lease_seconds in a new run, or take a smaller model"
        )

    def _state(self) -> RunState:
        return fold(read_events(self._run.events)[0])


def _out_of_time(answer: Answer) -> str:
    """That the GPU time is used up, and when there is more."""
    if answer.wait is not None:
        return f"out of GPU time: there is more in {duration(answer.wait)}"
    return "out of GPU time: go on tomorrow, or open the run's page on huggingface.co, signed in, so that yours is used"


def main(run_dir: Path) -> int:
    """The exit status of the run's job that is due."""
    guard()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    run = Run(run_dir)
    job = fold(read_events(run.events)[0]).unfinished(run.jobs)[0]
    borrower = Borrower(run, job, token_of_process())
    signal.signal(signal.SIGTERM, borrower.terminate)
    return borrower.see_through()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
