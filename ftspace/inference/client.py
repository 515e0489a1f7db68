"""Asks base and tuned through the inference server, which it starts when first needed and stops when it is not.

Knows no torch: the weights live in the child process alone, which ends with this process however this one ends.
"""

import atexit
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftspace.errors import JobError, ModelError
from ftspace.inference.protocol import Side
from ftspace.runs import Run
from ftspace.settings import ROOT, worker_env

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam

IDLE_SECONDS = 600.0
"""How long a loaded model may wait for the next question before its memory is given back."""
LOAD_SECONDS = 600.0
"""How long loading may take before it is given up."""
LOOK_SECONDS = 1.0
"""How often to look whether the machine is needed for a job."""
LOG_NAME = "inference.log"


@dataclass
class _Served:
    """A child that is up: whose run it serves, and how to talk to it."""

    run_id: str
    process: subprocess.Popen[str]
    client: "OpenAI"
    asking: int = 0
    used: float = field(default_factory=time.monotonic)


class InferenceClient:
    """The one inference server of this process. Safe for several threads."""

    def __init__(self, busy: Callable[[], str | None], idle_seconds: float = IDLE_SECONDS) -> None:
        """`busy` gives the id of a run whose job has the machine, or None; while it does, no model is loaded."""
        self._busy = busy
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._served: _Served | None = None
        atexit.register(self.stop)

    def is_open(self, run: Run) -> bool:
        """Whether the run's models are loaded, so that an answer comes at once."""
        served = self._served
        return served is not None and served.run_id == run.id and served.process.poll() is None

    def open(self, run: Run, token: str | None = None) -> None:
        """Loads the run's models when they are not, and waits for them; another run's are given up.

        `token` is the one to ask the Hub with, if it is another than this machine's.

        Raises JobError when the run has no adapter or a job has the machine, ModelError when loading fails.
        """
        self._opened(run, token)

    @property
    def pid(self) -> int | None:
        """The child's process id, None when nothing is loaded."""
        return self._served.process.pid if self._served else None

    def stream(
        self,
        run: Run,
        side: Side,
        messages: "Iterable[ChatCompletionMessageParam]",
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Generator[str]:
        """The answer of `side` to a conversation, in pieces. Raises JobError or ModelError, also in mid-answer."""
        with self._in_use(run) as client, _told_plainly():
            answer = client.chat.completions.create(
                model=side, messages=messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stream=True
            )
            with answer:
                for part in answer:
                    if part.choices and part.choices[0].delta.content:
                        yield part.choices[0].delta.content

    def stop(self) -> None:
        """Gives the models' memory back. Answers on their way are cut off."""
        with self._lock:
            self._stop()

    @contextmanager
    def _in_use(self, run: Run) -> Generator["OpenAI"]:
        served = self._opened(run)
        served.asking += 1
        try:
            yield served.client
        finally:
            served.asking -= 1
            served.used = time.monotonic()

    def _opened(self, run: Run, token: str | None = None) -> _Served:
        if not run.adapter.is_dir():
            raise JobError("this run has no adapter yet, so there is no tuned model to ask")
        with self._lock:
            if self._busy() is not None:
                raise JobError("the machine is at work on a run; ask again when it is done")
            served = self._served
            if served is None or served.run_id != run.id or served.process.poll() is not None:
                self._stop()
                served = self._served = _start(run, token)
                threading.Thread(target=self._watch, args=[served], daemon=True).start()
            return served

    def _stop(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            served.process.kill()
            served.process.wait()
            served.client.close()
            for pipe in (served.process.stdin, served.process.stdout):
                if pipe is not None:
                    pipe.close()

    def _watch(self, served: _Served) -> None:
        """Stops the child when it has been idle for long, or when a job needs the machine."""
        while served.process.poll() is None:
            idle = not served.asking and time.monotonic() - served.used > self._idle_seconds
            if idle or self._busy() is not None:
                with self._lock:
                    if self._served is served:
                        self._stop()
                return
            time.sleep(LOOK_SECONDS)


def _start(run: Run, token: str | None) -> _Served:
    """Starts a child for the run and waits until it serves. Raises ModelError in the child's words."""
    from openai import DefaultHttpxClient, OpenAI

    key = secrets.token_urlsafe(32)
    with (run.path / LOG_NAME).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ftspace.inference.server", str(run.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
            env=worker_env(offline=run.config.hub.offline) | ({"HF_TOKEN": token} if token else {}),
            text=True,
        )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(key + "\n")
    process.stdin.flush()
    patience = threading.Timer(LOAD_SECONDS, process.kill)
    patience.start()
    try:
        word = _first_word(process.stdout)
    finally:
        patience.cancel()
    if "port" not in word:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        said = word.get("error", f"the process ended without a word; see {LOG_NAME} in the run's folder")
        raise ModelError(f"the models cannot be loaded: {said}")
    # not through a proxy that the environment may name: the server is on this machine's loopback
    http = DefaultHttpxClient(trust_env=False)
    client = OpenAI(base_url=f"http://127.0.0.1:{word['port']}/v1", api_key=key, max_retries=0, http_client=http)
    return _Served(run.id, process, client)


def _first_word(lines: Iterable[str]) -> dict[str, str]:
    """The child's one JSON line, whatever else its libraries print before it; {} when it never comes."""
    for line in lines:
        if line.startswith("{"):
            return json.loads(line)
    return {}


@contextmanager
def _told_plainly() -> Generator[None]:
    """Turns what the OpenAI client raises into one line."""
    import httpx2
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        raise ModelError(f"the model did not answer: {error.message}") from error
    except openai.APIConnectionError as error:
        raise JobError("the answer was cut off: the models were unloaded; ask again") from error
    except openai.APIError as error:
        raise ModelError(f"the model did not answer: {error.message}") from error
    except httpx2.HTTPError as error:
        raise JobError("the answer was cut off: the models were unloaded; ask again") from error
