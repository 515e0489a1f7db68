"""Trains a run in several processes: torchrun starts and watches them, and what it saw of one that died is told here.

`python -m ftspace.training.together RUN_DIR PROCESSES`. Each process is `python -m ftspace.training.worker RUN_DIR`.
Knows no model and no data.
"""

import logging
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import psutil
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.run import parse_args
from torch.distributed.run import run as torchrun

from ftspace.events import EndStatus, Finished, Started, Warned, read_events
from ftspace.queue import tell, written
from ftspace.runs import Run
from ftspace.state import fold
from ftspace.streams import guard
from ftspace.workers import LOST

WORKER = "ftspace.training.worker"
JOIN_SECONDS = 600
"""How long the other machines are waited for."""

log = logging.getLogger(__name__)


def main(run: Run, processes: int) -> int:
    """The exit status of the process that writes the run."""
    guard()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    launch, before = run.config.launch, written(run)
    ending = _Ending()
    signal.signal(signal.SIGTERM, ending.on_sigterm)
    status: EndStatus = "failed"
    if launch.nnodes > 1:
        others = f"{launch.nnodes - 1} more of {launch.nnodes} machines"
        tell(run, Warned(message=f"the training begins when {others} have started it at {launch.rdzv_endpoint}"))
    with tempfile.TemporaryDirectory(prefix="ftspace-words-") as words:
        try:
            torchrun(parse_args([*_options(run, processes, words), "-m", WORKER, str(run.path)]))
            said, code = "", 0
        except ChildFailedError as error:
            said, code = _said(error, launch.nnodes * processes)
        except RendezvousError as error:
            log.warning("%s", error)
            begun = any(isinstance(event, Started) for event in read_events(run.events, before)[0])
            what = "lost process: the connection to the machine at" if begun else "the machines did not all come to"
            said, code = f"{what} {launch.rdzv_endpoint}{' broke' if begun else ', where they meet'}", 2
        except _Ended:
            status, said, code = "cancelled", "stopped; nothing was saved yet", 1
    told = fold(read_events(run.events, before)[0]).ended.get("train")
    if told is None and said and not run.stop_flag.exists():  # else who watches this process says it
        reason = "lost_process" if status == "failed" else ""
        tell(run, Finished(job="train", status=status, reason=reason, message=f"{said}; {run.go_on()}"))
    return code or int(told is None or told.status != "finished")


class _Ended(Exception):
    """It was told to end before there were processes to pass that on to."""


class _Ending:
    """What SIGTERM does: the processes are told, and end their step and save; torchrun would kill them soon."""

    def on_sigterm(self, signum: int, frame: FrameType | None) -> None:
        """Passes it on."""
        there = psutil.Process().children()
        for process in there:
            process.terminate()
        if not there:
            raise _Ended


def _options(run: Run, processes: int, words: str) -> list[str]:
    """torchrun's. `words` is where processes leave word of why they failed."""
    launch = run.config.launch
    options = [f"--nproc-per-node={processes}", f"--log-dir={words}", "--signals-to-handle=SIGQUIT", "--max-restarts=0"]
    if launch.nnodes == 1:
        return [*options, "--standalone", "--local-addr=127.0.0.1"]
    met = [f"--nnodes={launch.nnodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={launch.rdzv_endpoint}"]
    return [*options, *met, "--rdzv-id=ftspace", f"--rdzv-conf=join_timeout={JOIN_SECONDS}"]


def _said(error: ChildFailedError, size: int) -> tuple[str, int]:
    """What became of the processes, and the exit status of the one that writes the run where that is not lost too."""
    first: tuple[int, ProcessFailure] = min(error.failures.items(), key=lambda one: (_missed(one[1]), one[1].timestamp))
    rank, failure = first
    writer = error.failures.get(0)
    code = writer.exitcode if writer and writer.exitcode > 0 else 1
    if _missed(failure):
        return f"lost process: {_word(failure) or 'another process of the training is gone'}", code
    if failure.exitcode < 0:
        how = f"was ended by signal {-failure.exitcode} ({failure.signal_name()})"
        if failure.exitcode == -signal.SIGKILL:
            how += "; the system may have run out of memory: lower train.micro_batch_tokens"
    else:
        how = f"ended with status {failure.exitcode}" + (f": {_word(failure)}" if _word(failure) else "")
    said = f"lost process: process {rank + 1} of {size} (pid {failure.pid}) {how}"
    return f"{said}; see worker.log in the run's folder", code


def _missed(failure: ProcessFailure) -> bool:
    """Whether a process ended because it missed another one, or was told to end for that."""
    return failure.exitcode in (LOST, -signal.SIGTERM)


def _word(failure: ProcessFailure) -> str:
    """What a process left word of."""
    found = failure.error_file_data.get("message")
    return str(found.get("message", "")) if isinstance(found, dict) else ""


if __name__ == "__main__":
    sys.exit(main(Run(Path(sys.argv[1])), int(sys.argv[2])))
