"""A run at work as a job of the Hub: the process here that gives it there, follows it, and fetches what it makes.

Run by a launcher as `python -m ftspace.launchers.hf_jobs RUN_DIR`, in place of the run's workers: it holds the run's
lock as they do, and is the one that writes the run's events. Where it is killed the job goes on, and the next one
follows it on: the job's name is in the run's folder. Knows no torch.
"""

import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ftspace.errors import FtspaceError, HubError
from ftspace.events import AdapterSaved, Evaluated, Event, Finished, JobName, Started, Submitted, Warned, read_events
from ftspace.hub.jobs import storage
from ftspace.hub.jobs.asking import client, patiently
from ftspace.hub.jobs.endings import ending
from ftspace.hub.jobs.listening import WAITING, Ended, Line, Listening, Trouble
from ftspace.hub.jobs.record import OUTPUT, HubJob, read_job, write_job
from ftspace.hub.jobs.submit import plan, submit
from ftspace.hub.jobs.words import Files, Listener, Printed, key
from ftspace.reasons import last_lines
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.state import fold
from ftspace.stopping import DISCARDED
from ftspace.workers import Job, Stopped, no_room, prepare_logging, reason_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

POLL_SECONDS = 0.5
SAVE_SECONDS = 240.0
"""How long a job that was told to stop may take to save and send; then it is cancelled."""
WORD_SECONDS = 60.0
"""After so long without a log that is told."""
PATIENCE_SECONDS = 3600.0
"""For how long beyond the job's own time a Hub is asked that does not answer."""

log = logging.getLogger(__name__)


class Left(Exception):
    """This process was told to end, as at a shutdown, and nobody asked the run to stop: the job goes on."""


class Follower:
    """Sees one run's job through."""

    def __init__(self, api: "HfApi", run: Run, here: Job) -> None:
        """`here` is what this process is to the run."""
        self._api, self._run, self._here = api, run, here
        self._known = {key(event) for event in read_events(run.events)[0]}
        self._files: Files | None = None
        self._complained = False
        self._asked_at: float | None = None
        self._cancelled = False

    def work(self) -> None:
        """Gives the run to the Hub, or follows the job that it has there already, until all of it is here."""
        job = read_job(self._run)
        if job is None or job.over:
            self._halt()
            job = plan(self._api, self._run, job, self._here.tell)
        if job.id is None:
            self._halt()
            job = submit(self._api, self._run, job)
            self._here.tell(Submitted(flavor=job.flavor, url=job.url, minutes=job.minutes))
        self._follow(job)

    def _follow(self, job: HubJob) -> None:
        listener, log_of_it = Listener(), Listening(self._api, job)
        troubled: float | None = None
        with (self._run.path / OUTPUT).open("w", encoding="utf-8") as output:
            while True:
                self._stop(job, log_of_it)
                if self._cancelled and self._here.discards():
                    self._forget(job)
                    return
                match log_of_it.next(POLL_SECONDS):
                    case Line(text):
                        troubled = None
                        heard = listener.take(text)
                        if isinstance(heard, Files):
                            self._files = heard
                        elif isinstance(heard, Printed):
                            output.write(redact(heard.text) + "\n")
                            output.flush()
                        elif heard is not None:
                            self._tell(job, heard)
                    case Trouble(said):
                        troubled = self._bear(job, said, troubled)
                    case Ended() as ended:
                        break
                    case None:
                        pass
        self._settle(job, ended)

    def _tell(self, job: HubJob, event: Event) -> None:
        """Appends an event of the job's to the run's, once what it promises lies here; one that is here is let be."""
        if key(event) in self._known:
            return
        if isinstance(event, AdapterSaved | Evaluated | Finished):
            if self._files:
                self._fetch(job, self._files, whole=isinstance(event, Finished))
            else:  # the line that names them was lost
                self._fetch_newest(job)
            self._files = None
        if isinstance(event, Started):
            event = event.model_copy(update={"pid": os.getpid()})
        if isinstance(event, Finished) and event.reason == "time_limit":
            event = event.model_copy(update={"message": ending(self._run, job, "time")})
        self._known.add(key(event))
        self._here.tell(event, at=event.time)

    def _fetch(self, job: HubJob, files: Files, *, whole: bool) -> None:
        try:
            storage.fetch(self._api, job.repository, self._run, files, checkpoints=whole)
        except OSError as error:
            raise no_room(self._run, f"what the job made cannot be written ({error.strerror})") from error

    def _fetch_newest(self, job: HubJob) -> Files | None:
        files = storage.newest(self._api, job.repository, self._run)
        if files is not None:
            self._fetch(job, files, whole=True)
        return files

    def _catch_up(self, job: HubJob) -> None:
        """Tells what the log did not bring, as the files that were sent last say it.

        Of what lies between events that are here only what a job came to: a step that comes late would undo later ones.
        """
        files = self._fetch_newest(job)
        there = storage.told(self._api, job.repository, self._run, files) if files else []
        newest = max((number for number, event in enumerate(there) if key(event) in self._known), default=-1)
        for number, event in enumerate(there):
            if number > newest or isinstance(event, AdapterSaved | Evaluated | Finished | Warned):
                self._files = files
                self._tell(job, event)

    def _settle(self, job: HubJob, ended: Ended) -> None:
        """Says how a job ended that could not say it itself, with all that it has sent home."""
        if self._end() is None:
            self._catch_up(job)
        if self._end() is None:
            self._print_end()
            self._here.tell(self._last_words(job, ended))
        write_job(self._run, job.model_copy(update={"over": True}))

    def _last_words(self, job: HubJob, ended: Ended) -> Finished:
        unfinished = self._unfinished()
        if self._asked_at is not None or self._cancelled:
            said = ending(self._run, job, "stopped")
            return Finished(job=unfinished, status="cancelled", message=said)
        late = ended.seconds is not None and ended.seconds >= 60 * job.minutes - 5
        if ended.stage in ("ERROR", "CANCELED") and (late or "timeout" in ended.message.casefold()):
            said = ending(self._run, job, "time")
            return Finished(job=unfinished, status="failed", reason="time_limit", message=said)
        said = ending(self._run, job, ended.stage, ended.message)
        return Finished(job=unfinished, status="failed", reason="lost_process", message=said)

    def _print_end(self) -> None:
        """Puts the last that the job printed where a run's log is looked for."""
        sys.stderr.write(last_lines((self._run.path / OUTPUT).read_bytes()) + "\n")
        sys.stderr.flush()

    # Stops.

    def _halt(self) -> None:
        """Ends here where a stop was asked for before there was a job. Raises Stopped, Left."""
        if self._run.stop_flag.exists():
            raise Stopped
        if self._here.should_stop():
            raise Left

    def _stop(self, job: HubJob, log_of_it: Listening) -> None:
        """Has the job stop where that was asked for: it saves what it has, unless nothing is to be kept."""
        if self._cancelled or not self._here.should_stop():
            return
        if not self._run.stop_flag.exists():
            raise Left
        now = time.monotonic()
        if self._here.discards():
            self._cancel(job)
        elif self._asked_at is None:
            self._asked_at = now
            if log_of_it.stage() == WAITING:
                self._cancel(job)
            else:
                self._send_stop(job)
        elif now - self._asked_at > SAVE_SECONDS:
            self._cancel(job)

    def _send_stop(self, job: HubJob) -> None:
        said = self._run.stop_flag.read_bytes() or b"stop"
        try:
            patiently(
                lambda: self._api.upload_file(
                    path_or_fileobj=said,
                    path_in_repo=job.stop_flag(self._run),
                    repo_id=job.repository,
                    repo_type="dataset",
                ),
                "the job cannot be told to stop",
            )
        except HubError as error:
            self._here.tell(Warned(message=f"{error}; it is cancelled at {job.url}"))
            self._cancel(job)

    def _cancel(self, job: HubJob) -> None:
        assert job.id is not None
        name = job.id
        self._cancelled = True
        try:
            patiently(lambda: self._api.cancel_job(job_id=name, namespace=job.namespace), "the job is not cancelled", 2)
        except HubError as error:
            if error.cause != "missing":
                self._here.tell(Warned(message=f"{error}; it goes on, and costs, until it is cancelled at {job.url}"))

    def _forget(self, job: HubJob) -> None:
        """Keeps nothing of the run, there and here; what lies here its supervisor removes."""
        try:
            storage.remove(self._api, job.repository, self._run)
        except HubError as error:
            self._here.tell(Warned(message=f"{error}; delete the folder {self._run.id} there by hand"))
        self._here.tell(Finished(job=self._unfinished(), status="cancelled", message=DISCARDED))
        write_job(self._run, job.model_copy(update={"over": True}))

    def _bear(self, job: HubJob, said: str, since: float | None) -> float:
        """Waits for a Hub that does not answer; since when. Raises HubError when that has gone on for too long."""
        now = time.monotonic()
        if since is None:
            log.warning("the job's log was cut off (%s); it is asked for again", said)
            return now
        if now - since > WORD_SECONDS and not self._complained:
            self._complained = True
            told = (
                f"the Hub does not give the job's log ({said}); the job goes on, and what it does is told when it comes"
            )
            self._here.tell(Warned(message=told))
        if now - since > 60 * job.minutes + PATIENCE_SECONDS:
            raise HubError(
                f"the Hub has not answered for hours ({said}); resume the run when it does: the job may go on"
            )
        return since

    def _unfinished(self) -> JobName:
        return fold(read_events(self._run.events)[0]).unfinished(self._run.jobs)[0]

    def _end(self) -> Finished | None:
        return fold(read_events(self._run.events)[0]).end(self._run.jobs)


def main(words: list[str]) -> int:
    """Follows one run's job; the exit status, 2 where a person can mend what went wrong."""
    prepare_logging()
    run = Run(Path(words[0]))
    name = fold(read_events(run.events)[0]).unfinished(run.jobs)[0]
    try:
        here = Job(run, name)
    except OSError:  # nothing can be said where it would be read
        log.exception("the run cannot be written to: %s", run.path)
        return 1
    code = 1
    try:
        here.tell(Started(job=name, pid=os.getpid()))
        here.events.reserve()
        Follower(client(), run, here).work()
        end = fold(read_events(run.events)[0]).end(run.jobs)
        return 0 if end is not None and end.status == "finished" else 1
    except Left:
        return code
    except Stopped:
        last = Finished(job=name, status="cancelled", message="stopped before it was given to the Hub")
    except FtspaceError as error:
        code, last = 2, _failed(run, error)
    except Exception as error:  # the outer edge: whatever happens, the run says how it ended
        log.exception("the run's job cannot be followed")
        last = _failed(run, error)
    try:
        here.tell(last)
    except FtspaceError:
        log.exception("the run cannot be told how it ended: %s", redact(last.message))
    return code


def _failed(run: Run, error: Exception) -> Finished:
    reason, message = reason_of(error, run)
    there = read_job(run)
    if there is not None and there.id and not there.over:
        message += f"; its job may go on, and cost: resume the run to follow it, or cancel it at {there.url}"
    job = fold(read_events(run.events)[0]).unfinished(run.jobs)[0]
    return Finished(job=job, status="failed", reason=reason, message=message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
