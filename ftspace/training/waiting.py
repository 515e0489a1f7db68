"""The train job's process before there is a run: it imports what a run needs, waits for one, and trains it.

Started by a supervisor that waits, too: `python -m ftspace.training.waiting FD`, the descriptor of a socket to it.
"""

import socket
import sys

from ftspace.launchers.handover import print_to, take
from ftspace.runs import Run
from ftspace.training.ready import import_for, put_off
from ftspace.training.worker import train
from ftspace.workers import run_job


def main(supervisor: socket.socket) -> int:
    """The exit status of the job, 0 when the supervisor goes without having had one."""
    import torch

    if torch.cuda.is_available():  # to import it wakes the GPU, whose memory others may need while nothing is trained
        put_off("bitsandbytes")
    import_for(train)
    with supervisor:
        work = take(supervisor)
    if work is None:
        return 0
    run = Run(work[0])
    print_to(run.log)
    return run_job(run, "train", train)


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1]))))
