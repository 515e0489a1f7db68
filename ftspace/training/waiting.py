"""The train job's process before there is a run: it imports what a run needs, waits for one, and trains it.

Started by the supervisor: `python -m ftspace.training.waiting FD`, the descriptor of a socket to it.
"""

import os
import socket
import sys
import threading

from ftspace.launchers.handover import print_to, take
from ftspace.runs import Run
from ftspace.settings import set_token
from ftspace.training.ready import import_for, put_off
from ftspace.training.worker import train
from ftspace.workers import run_job


def main(supervisor: socket.socket) -> int:
    """The exit status of the job, 0 when the supervisor goes without having had one."""
    watch = threading.Thread(target=_end_with, args=(supervisor,), daemon=True)
    watch.start()
    import torch

    if torch.cuda.is_available():  # to import it wakes the GPU, whose memory others may need while nothing is trained
        put_off("bitsandbytes")
    import_for(train)
    watch.join()  # before the run is taken: who still watched then would take the supervisor's leave for its end
    with supervisor:
        work = take(supervisor)
    if work is None:
        return 0
    set_token(work.token)
    run = Run(work.run_dir)
    print_to(run.log)
    return run_job(run, "train", train)


def _end_with(supervisor: socket.socket) -> None:
    """Waits for a run to be there; ends this process when the supervisor goes without, be it amid an import."""
    try:
        there = bool(supervisor.recv(1, socket.MSG_PEEK))
    except OSError:
        there = False
    if not there:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
