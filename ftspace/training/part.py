"""One process's part in a training that several do together. The train worker hands over to this below torchrun.

The process of the lowest rank among those with the same run's folder writes that run; the others are silent. Machines
that share no folder have a run each, and each has the whole of it in the end.
"""

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from ftspace.data.pool import end_with
from ftspace.errors import LostProcessError
from ftspace.events import EndStatus, JobName, read_events
from ftspace.runs import Run
from ftspace.settings import Rank
from ftspace.state import fold
from ftspace.streams import guard
from ftspace.training.group import Group, leave_word
from ftspace.workers import LOST, Job, SilentJob, Stopped, run_job


def take_part(run: Run, rank: Rank, work: Callable[..., EndStatus]) -> int:
    """The exit status of this process."""
    agent = os.getppid()
    end_with(agent)
    guard()
    logging.captureWarnings(capture=True)
    if rank.rank:
        said = f"process {rank.rank + 1}: %(asctime)s %(name)s %(message)s"
        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=said)
    try:
        group = Group(rank)
        writes = min(group.copies(run.id)) == rank.rank
    except LostProcessError as error:
        leave_word(rank, str(error))
        return LOST
    failed = partial(leave_word, rank)

    def job_of(run: Run, name: JobName) -> Job:
        return Job(run, name) if writes else SilentJob(run, name, failed)

    def train(job: Job) -> EndStatus:
        try:
            status: Any = work(job, group=group)
        except LostProcessError as error:
            failed(str(error))
            raise
        except Stopped:
            if writes:
                raise
            status = "finished"
        return status if writes else "finished"

    code = run_job(run, "train", train, job_of=job_of, pid=agent)
    ended = fold(read_events(run.events)[0]).ended.get("train") if writes else None
    return 0 if ended and ended.status == "cancelled" else code  # torchrun would end the others for a failure
