"""Reads the log of a job of the Hub in a thread of its own, from its begin and again where it is cut, until it is over.

What it reads comes in a queue. The Hub tells a log from its first line each time that it is asked for. Knows no run.
"""

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evals.errors import one_line
from ftspace.hub.jobs.record import HubJob

if TYPE_CHECKING:
    from huggingface_hub import HfApi

AGAIN_SECONDS, LONGEST_SECONDS = 1.0, 10.0
"""Before the log is asked for again: the first, and at most."""
LOOK_SECONDS = 20.0
"""How often it is asked how the job is, whatever its log says."""
PASSES = 5
"""How often the log of a job that is over is read at most; once more where that brought anything new."""
DRAIN_SECONDS = 30.0
"""How long the log of a job that is over is waited for."""
GONE_TIMES, GONE_SECONDS = 3, 2.0
"""How often in a row, and how far apart, the Hub has to say that it knows no such job: it may be late to know it."""
TERMINAL = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
WAITING = "SCHEDULING"


@dataclass(frozen=True)
class Line:
    """A line of the log."""

    text: str


@dataclass(frozen=True)
class Trouble:
    """The Hub does not answer; it is asked again."""

    said: str


@dataclass(frozen=True)
class Ended:
    """The job is over."""

    stage: str
    message: str
    seconds: float | None = None
    """For which it ran; None where the Hub does not say."""


class Listening:
    """One job's log."""

    def __init__(self, api: "HfApi", job: HubJob) -> None:
        """Begins to listen."""
        assert job.id is not None
        self._api, self._id, self._namespace = api, job.id, job.namespace
        self._heard: queue.Queue[Line | Trouble | Ended] = queue.Queue()
        self._ended: Ended | None = None
        self._ended_at = 0.0
        self._looked = time.monotonic()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def next(self, seconds: float) -> Line | Trouble | Ended | None:
        """What came next; None where nothing did within the time."""
        try:
            return self._heard.get(timeout=seconds)
        except queue.Empty:
            pass
        now = time.monotonic()
        if self._ended is None and now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._ended, self._ended_at = self.look(), now
        if self._ended and (not self._reader.is_alive() or now - self._ended_at > DRAIN_SECONDS):
            return self._ended
        return None

    def stage(self) -> str:
        """The job's stage by now; "" where the Hub does not say."""
        from httpx2 import HTTPError
        from huggingface_hub.errors import HfHubHTTPError

        try:
            return str(self._api.inspect_job(job_id=self._id, namespace=self._namespace).status.stage)
        except (HfHubHTTPError, HTTPError):
            return ""

    def look(self, times: int = GONE_TIMES) -> Ended | None:
        """How the job ended; None while it has not, or the Hub does not say."""
        from httpx2 import HTTPError
        from huggingface_hub.errors import HfHubHTTPError

        try:
            info = self._api.inspect_job(job_id=self._id, namespace=self._namespace)
        except HfHubHTTPError as error:
            if error.response.status_code != 404:
                return None
            if times == 1:
                return Ended("DELETED", "")
            time.sleep(GONE_SECONDS)
            return self.look(times - 1)
        except HTTPError:
            return None
        if info.status.stage not in TERMINAL:
            return None
        ran = info.durations.running_secs if info.durations else None
        return Ended(str(info.status.stage), info.status.message or "", ran)

    def _read(self) -> None:
        from httpx2 import HTTPError
        from huggingface_hub.errors import HfHubHTTPError

        read, pause, passes = 0, AGAIN_SECONDS, 0
        while True:
            before, trouble = read, ""
            try:
                lines = self._api.fetch_job_logs(job_id=self._id, namespace=self._namespace, follow=True)
                for number, line in enumerate(lines):
                    if number >= read:
                        read, pause = number + 1, AGAIN_SECONDS
                        self._heard.put(Line(line))
            except (HfHubHTTPError, HTTPError, OSError, ValueError, LookupError) as error:
                trouble = one_line(error) or type(error).__name__
            if ended := self.look():
                passes += 1
                if read == before or passes == PASSES:
                    self._heard.put(ended)
                    return
                continue  # the client takes the end of a log that was cut off for the end, where the job is over
            if trouble:
                self._heard.put(Trouble(trouble))
            time.sleep(pause)
            pause = min(LONGEST_SECONDS, 2 * pause)
