"""What runs on the Hub's machine: a run's jobs as anywhere, their events as lines of the log, their files sent home.

Started by the job's script as `python -m ftspace.hub.jobs.inside REPOSITORY COMMIT RUN MINUTES STOP`, in the folder
that the source was unpacked in. What an event promises has been sent before it is told. Knows nothing of who follows.
"""

import logging
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ftspace import stopping
from ftspace.attending import Means, attend, give_up
from ftspace.errors import HubError
from ftspace.events import AdapterSaved, Checkpoint, Evaluated, Event, Finished, Warned, read_events
from ftspace.hub.jobs.asking import client
from ftspace.hub.jobs.payload import BEGIN, INPUTS, OTHERS
from ftspace.hub.jobs.storage import STATE, send_state
from ftspace.hub.jobs.words import Files, said
from ftspace.queue import Ticket
from ftspace.runs import Run
from ftspace.settings import ROOT, worker_env
from ftspace.state import fold

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LOOK_SECONDS = 0.25
STOP_SECONDS = 3.0
"""How often it is asked whether the run shall stop."""
SEND_SECONDS = 300.0
"""At least so long lies between two checkpoints that are sent home while the training goes on."""
SAVING_MINUTES, SAVING_SHARE = 5.0, 0.2
"""Of the job's time, what is kept for saving and sending: the one, or this share where that is less."""

log = logging.getLogger(__name__)


class Inside:
    """One run on this machine, and its way home."""

    def __init__(self, api: "HfApi", repository: str, run: Run, stop_flag: str) -> None:
        """Nothing is asked or started yet."""
        self._api, self._repository, self._run, self._stop_flag = api, repository, run, stop_flag
        self._sent = time.monotonic()
        self._printed = 0
        self._asked = 0.0

    def work(self, minutes: float) -> bool:
        """Does the run's jobs within so many minutes, and tells and sends all of it; whether they finished."""
        offset = self._run.events.stat().st_size
        self._look_for_stop()
        ticket = Ticket(since=offset)
        means = Means(worker_env(offline=False) | {"FTSPACE_INPUTS": str(ROOT / INPUTS)}, [], None)
        thread = threading.Thread(target=self._attend, args=(means, ticket, minutes), daemon=True)
        thread.start()
        over = False
        while not over:
            over = not thread.is_alive()  # what was told before that is read once more
            events, offset = read_events(self._run.events, offset)
            self._print_log()
            for event in events:
                self._tell(event)
            if not over:
                self._look_for_stop()
                thread.join(LOOK_SECONDS)
        end = fold(read_events(self._run.events)[0]).end(self._run.jobs)
        return end is not None and end.status != "failed"

    def stop(self, _signum: int, _frame: FrameType | None) -> None:
        """The machine is being taken away: what can be saved is saved."""
        stopping.ask(self._run)

    def _attend(self, means: Means, ticket: Ticket, minutes: float) -> None:
        try:
            attend(self._run, means, ticket, minutes)
        except Exception as error:  # the outer edge of the run's thread
            log.exception("the run cannot be worked on")
            give_up(self._run, error, self._run.log)

    def _tell(self, event: Event) -> None:
        if isinstance(event, AdapterSaved | Evaluated | Finished):
            self._send()
        elif isinstance(event, Checkpoint) and time.monotonic() - self._sent > SEND_SECONDS:
            try:
                self._send()
            except HubError as error:  # the next one may come through
                _say(said(Warned(message=f"a checkpoint was not sent home: {error}", time=time.time())))
        _say(said(event))

    def _send(self) -> None:
        found: Files = send_state(self._api, self._repository, self._run)
        self._sent = time.monotonic()
        _say(said(found))

    def _look_for_stop(self) -> None:
        from httpx2 import HTTPError
        from huggingface_hub.errors import HfHubHTTPError

        now = time.monotonic()
        if self._run.stop_flag.exists() or now - self._asked < STOP_SECONDS:
            return
        self._asked = now
        try:
            if self._api.file_exists(self._repository, self._stop_flag, repo_type="dataset"):
                path = self._api.hf_hub_download(self._repository, self._stop_flag, repo_type="dataset")
                stopping.ask(self._run, Path(path).read_text(encoding="utf-8"))
        except (HfHubHTTPError, HTTPError) as error:  # it is asked again
            log.warning("whether to stop cannot be learnt now: %s", error)

    def _print_log(self) -> None:
        """What the workers have printed since the last time."""
        if self._run.log.exists():
            with self._run.log.open("rb") as file:
                file.seek(self._printed)
                found = file.read()
            self._printed += len(found)
            _say(found.decode(errors="replace").splitlines())


def lay(run_id: str) -> Run:
    """Puts what was fetched where the program looks for it; the run."""
    fetched, runs = ROOT / run_id, ROOT / "data" / "runs"
    run = Run(runs / run_id)
    run.path.mkdir(parents=True)
    for name in (STATE, BEGIN):
        for path in (fetched / name).glob("*"):
            path.rename(run.path / path.name)
    for other in (fetched / OTHERS).glob("*"):
        other.rename(runs / other.name)
    if (fetched / INPUTS).is_dir():
        (fetched / INPUTS).rename(ROOT / INPUTS)
    return run


def working_minutes(minutes: float, spent: float) -> float:
    """Minutes that the jobs may take, of those that the Hub gives."""
    return max(0.1, minutes - min(SAVING_MINUTES, SAVING_SHARE * minutes) - spent)


def _say(lines: list[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    """Works; the exit status."""
    began = time.monotonic()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells each request, with addresses that are signed
    repository, _, run_id, minutes, stop_flag = words
    inside = Inside(client(), repository, lay(run_id), stop_flag)
    signal.signal(signal.SIGTERM, inside.stop)
    return 0 if inside.work(working_minutes(float(minutes), (time.monotonic() - began) / 60)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
