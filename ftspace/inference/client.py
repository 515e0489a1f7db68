"""Asks all sides of a run through the inference server, which it starts when first needed and stops when it is not.

Knows no torch: the weights live in the child process alone, which ends with this process however this one ends.
"""

import atexit
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftspace.errors import JobError
from ftspace.inference.child import LOG_NAME, Child
from ftspace.inference.reference import SIDE, Reference, reference_named
from ftspace.inference.shelf import own_sides
from ftspace.inference.together import Asked, Piece, SideFailed, ask_together, told_plainly
from ftspace.runs import Run
from ftspace.settings import worker_env

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessageParam

__all__ = ["LOG_NAME", "InferenceClient", "Reference", "SideFailed", "reference_named"]

IDLE_SECONDS = 600.0
"""How long a loaded model may wait for the next question before its memory is given back."""
LOOK_SECONDS = 1.0
"""How often to look whether the machine is needed for a job."""


@dataclass
class _Served:
    """A child that is up: whose run it serves, who else may be asked, and how to talk to it."""

    run_id: str
    child: Child
    url: str
    key: str = field(repr=False)
    client: "OpenAI"
    also: dict[str, Run]
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
        self._loading: Child | None = None
        self._wanted: tuple[str, dict[str, Run]] = ("", {})
        """The run that was opened last, and who may be asked beside it: known after the models are unloaded, too."""
        atexit.register(self.stop)

    def sides(self, run: Run) -> list[str]:
        """The sides that the run itself has, whether loaded or not: base, tuned, checkpoints newest first.

        Nothing while there is no adapter. Runs on the same base can be asked as well, by their ids: see `open`.
        """
        return own_sides(run) if run.adapter.is_dir() else []

    def is_open(self, run: Run) -> bool:
        """Whether the run's models are loaded, so that an answer comes at once."""
        served = self._served
        return served is not None and served.run_id == run.id and served.child.alive

    def open(self, run: Run, token: str | None = None, also: Sequence[Run] = ()) -> None:
        """Loads the run's models when they are not, and waits for them; another run's are given up.

        Args:
            run: whose base is loaded, and its adapter.
            token: the one to ask the Hub with, if it is another than this machine's.
            also: further runs on the same base that may be asked by their ids; each is loaded when first asked. They
                add to those that were named before.

        Raises:
            JobError: the run has no adapter or a job has the machine.
            ModelError: loading fails, or another run is not on the same base.
        """
        self._opened(run, token, also)

    @property
    def pid(self) -> int | None:
        """The child's process id, None when nothing is loaded."""
        return self._served.child.process.pid if self._served else None

    def stream(
        self,
        run: Run,
        side: str,
        messages: "Iterable[ChatCompletionMessageParam]",
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
    ) -> Generator[str]:
        """The answer of a side to a conversation, in pieces. Raises JobError or ModelError, also in mid-answer.

        A side is one of `sides`, or the id of a run that was opened as well.
        """
        with self._in_use(run) as served, told_plainly():
            answer = served.client.chat.completions.create(
                model=side,
                messages=messages,
                max_tokens=max_tokens,
                temperature=temperature,
                top_p=top_p,
                seed=seed,
                stream=True,
            )
            with answer:
                for part in answer:
                    if part.choices and part.choices[0].delta.content:
                        yield part.choices[0].delta.content

    def together(
        self,
        run: Run,
        sides: Sequence[str],
        messages: "Iterable[ChatCompletionMessageParam] | Mapping[str, Iterable[ChatCompletionMessageParam]]",
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        reference: Reference | None = None,
        cut: set[str] | None = None,
        stop: threading.Event | None = None,
    ) -> Generator[Piece]:
        """The answers of several sides at once: (side, piece) as they come; the piece "" says that a side is done.

        A side that fails gives a `SideFailed` as its last item, and the others go on. Closing the generator ends all.

        Args:
            run: as in `stream`.
            sides: each of them as in `stream`; "reference" is added where there is one.
            messages: the conversation, or one for each side by its name.
            max_tokens: the longest answer.
            temperature: 0 takes the likeliest token.
            top_p: of the likeliest tokens, those that together have so much of the chance.
            seed: of the chance; each answer has its own.
            reference: a model elsewhere to ask as well; without sides nothing is loaded here.
            cut: the sides whose answers were cut off at `max_tokens` are added to it.
            stop: ends all as well, when it is set while nothing comes.

        Raises:
            JobError: the models cannot be loaded now.
            ModelError: they cannot be loaded.
        """
        given: Any = messages if isinstance(messages, Mapping) else list(messages)

        def said(side: str) -> list[Any]:
            return list(given[side]) if isinstance(given, Mapping) else given

        settings: dict[str, Any] = {"max_tokens": max_tokens, "temperature": temperature}
        if temperature > 0:
            settings |= {"top_p": top_p, "seed": seed}
        asked: list[Asked] = []
        if reference is not None:
            there = reference.base_url, reference.model
            asked.append(Asked(SIDE, *there, said(SIDE), settings, reference.key))
        here = [side for side in dict.fromkeys(sides) if side != SIDE or reference is None]
        if not here:
            yield from ask_together(asked, cut, stop)
            return
        with self._in_use(run) as served:
            asked = [Asked(side, served.url, side, said(side), settings, served.key) for side in here] + asked
            yield from ask_together(asked, cut, stop)

    def stop(self) -> None:
        """Gives the models' memory back. Answers on their way are cut off."""
        while not self._lock.acquire(timeout=0.1):
            if (loading := self._loading) is not None:
                loading.process.kill()
        try:
            self._stop()
        finally:
            self._lock.release()

    @contextmanager
    def _in_use(self, run: Run) -> Generator[_Served]:
        served = self._opened(run, asking=1)
        try:
            yield served
        finally:
            with self._lock:
                served.asking -= 1
                served.used = time.monotonic()

    def _opened(self, run: Run, token: str | None = None, also: Sequence[Run] = (), asking: int = 0) -> _Served:
        if not run.adapter.is_dir():
            raise JobError("this run has no adapter yet, so there is no tuned model to ask")
        with self._lock:
            if self._busy() is not None:
                raise JobError("the machine is at work on a run; ask again when it is done")
            before = self._wanted[1].values() if self._wanted[0] == run.id else ()
            still = [one for one in before if one.adapter.is_dir()]  # it may have been deleted
            wanted = {one.id: one for one in (*still, *also) if one.id != run.id}
            served = self._served
            if served is None or served.run_id != run.id or not served.child.alive:
                self._stop()
                try:
                    served = self._served = _start(run, wanted, token, self._begun)
                finally:
                    self._loading = None
                threading.Thread(target=self._watch, args=[served], daemon=True).start()
            for one in wanted.values():
                if one.id not in served.also:
                    served.child.allow(one.path)
                    served.also[one.id] = one
            self._wanted = (run.id, wanted)
            served.asking += asking
            served.used = time.monotonic()
            return served

    def _begun(self, child: Child) -> None:
        self._loading = child
        threading.Thread(target=self._watch_loading, args=[child], daemon=True).start()

    def _watch_loading(self, child: Child) -> None:
        """Ends the child when a job needs the machine before the models are loaded."""
        while self._loading is child:
            if self._busy() is not None:
                child.process.kill()
                return
            time.sleep(LOOK_SECONDS)

    def _stop(self) -> None:
        served, self._served = self._served, None
        if served is not None:
            served.child.end()
            served.client.close()

    def _watch(self, served: _Served) -> None:
        """Stops the child when it has been idle for long, or when a job needs the machine."""
        while served.child.alive:
            busy = self._busy() is not None
            if busy or self._is_idle(served):
                with self._lock:  # somebody may have asked since
                    if self._served is served and (busy or self._is_idle(served)):
                        self._stop()
            time.sleep(LOOK_SECONDS)

    def _is_idle(self, served: _Served) -> bool:
        return not served.asking and time.monotonic() - served.used > self._idle_seconds


def _start(run: Run, also: Mapping[str, Run], token: str | None, begun: Callable[[Child], None]) -> _Served:
    """Starts a child for the run and waits until it serves. Raises ModelError in the child's words."""
    from openai import DefaultHttpxClient, OpenAI

    key = secrets.token_urlsafe(32)
    env = worker_env(offline=run.config.hub.offline, token=token)
    child = Child.start(run, list(also.values()), key, env, begun=begun)
    # not through a proxy that the environment may name: the server is on this machine's loopback
    url = f"http://127.0.0.1:{child.port}/v1"
    client = OpenAI(base_url=url, api_key=key, max_retries=0, http_client=DefaultHttpxClient(trust_env=False))
    return _Served(run.id, child, url, key, client, dict(also))
