"""What is said of a run whose job's process is gone, and when its time is up; the jobs' part is played by a lock."""

import errno
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ftspace.attending import Means, adopt, attend
from ftspace.events import Finished, Started, Warned, read_events
from ftspace.queue import Ticket
from ftspace.runs import TIME_LIMIT, Run, RunStore, take_lock
from ftspace.settings import worker_env
from tests.test_jobs import make, tell
from tests.test_supervisor import until


@pytest.mark.parametrize(
    ("started", "auto_resume", "stop", "last"),
    [
        (False, False, None, None),
        (False, True, "", None),
        (True, False, None, ("failed", "lost_process")),
        (True, True, None, None),
        (True, True, "", ("cancelled", "")),
        (True, True, TIME_LIMIT, ("failed", "time_limit")),
    ],
)
def test_only_a_job_that_is_lost_is_said_to_be(
    store: RunStore, started: bool, auto_resume: bool, stop: str | None, last: tuple[str, str] | None
) -> None:
    """Nobody is at work on the run any more; what nothing is said of is left to the next look."""
    run = make(store, train={"auto_resume": auto_resume})
    tell(run, Started(job="train", pid=1) if started else Warned(message="the token is lost"))
    if stop is not None:
        run.stop_flag.write_text(stop)
    adopt(run, Ticket(), None)
    said = read_events(run.events)[0][-1]
    assert ((said.status, said.reason) if isinstance(said, Finished) else None) == last


def test_the_time_of_earlier_turns_counts(store: RunStore) -> None:
    run = make(store)
    tell(run, Started(job="train", pid=1))
    lock = take_lock(run.lock)
    assert lock is not None
    thread = threading.Thread(target=adopt, args=(run, Ticket(spent=3590), 60))
    thread.start()
    time.sleep(0.1)
    assert not run.stop_flag.exists()
    os.close(lock)
    thread.join()
    lock = take_lock(run.lock)
    assert lock is not None
    tell(run, Started(job="train", pid=1))
    thread = threading.Thread(target=adopt, args=(run, Ticket(spent=3600), 60))
    thread.start()
    until(run.stop_flag.exists)
    os.close(lock)
    thread.join()
    assert run.time_is_up()


class Unseen(Run):
    """A run that cannot be looked at while it is at work."""

    @property
    def stop_flag(self) -> Path:
        raise OSError(errno.EIO, "the disk is broken")


def test_no_process_outlives_a_watch_that_cannot_go_on(store: RunStore) -> None:
    run = make(store)
    with pytest.raises(OSError, match="broken"):
        attend(Unseen(run.path), Means(worker_env(offline=True), [], None), Ticket(), None)
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert str(run.path).encode() not in process.read_bytes()
