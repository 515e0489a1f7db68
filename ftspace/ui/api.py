"""What a script may call by name: start, follow, stop, ask, push. The page's API docs (`?view=api`) show just this.

Each call is checked as the page's own handlers are: by the visitor of its request, at the desk. What is wrong comes
back as one line. A call returns at once; a script that waits asks for the status again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from itertools import islice
from typing import Any, Literal, ParamSpec, TypeVar

import gradio as gr
import yaml
from gradio.events import api

from evals.errors import EvalError as EvalsError
from evals.results import read_results
from ftspace import jobs, preflight, queue
from ftspace.access import Access
from ftspace.config import RunConfig, anchor, merge, parse_config, read_yaml
from ftspace.errors import ConfigError, FtspaceError
from ftspace.exporting import answers_of, tasks_of
from ftspace.hub.push.pushing import push_state, start_push
from ftspace.redact import redact
from ftspace.runs import Run, RunReader
from ftspace.settings import DEFAULT_CONFIG
from ftspace.ui.desk import Desk
from ftspace.ui.publish.publish_view import request_of
from ftspace.ui.visitors import token_of
from ftspace.ui.web import NAMED

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Document = dict[str, Any]
_READERS = 32
"""Runs that are followed at a time."""
_RUNS = 100
"""Runs in a list."""


class Refused(gr.Error):
    """What a caller is told. The page makes none of these calls, so nothing of it becomes HTML there."""


def _plainly(call: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Has what is wrong come back as one line."""

    @wraps(call)
    def told(*args: Given.args, **named: Given.kwargs) -> Answer:
        try:
            return call(*args, **named)
        except (FtspaceError, EvalsError) as error:
            raise Refused(redact(str(error)), print_exception=False) from error

    return told


class Api:
    """The calls of one app."""

    def __init__(self, desk: Desk) -> None:
        """Names them for the Blocks that are being built."""
        self._desk = desk
        self._readers: OrderedDict[str, RunReader] = OrderedDict()
        self._lock = threading.Lock()
        for name in NAMED:
            api(getattr(self, name), api_name=name)

    @_plainly
    def start(self, config: dict[str, Any] | str, request: gr.Request) -> str:
        """Start a run. Takes a config as `ftspace run` does, as a mapping or as YAML; returns the run's id."""
        wanted = _parsed(config)
        desk = self._desk
        with desk.answering(request, "start") as visitor:
            desk.check_may_read(wanted, visitor)
            wanted = anchor(wanted)
            desk.check_may_read(wanted, visitor)
            preflight.check(wanted, desk.store.runs_dir, visitor)
            return jobs.begin(desk.store, wanted, Access(owner=visitor.name), token_of(request)).id

    @_plainly
    def runs(self, request: gr.Request) -> list[dict[str, Any]]:
        """Your newest runs, newest first: id, title, when, and how it stands in words."""
        lines = map(self._desk.line, islice(self._desk.owned(self._desk.visitor(request)), _RUNS))
        return [{"run": one.id, "title": one.title, "when": one.when, "words": one.words} for one in lines]

    @_plainly
    def status(self, run: str, request: gr.Request) -> dict[str, Any]:
        """How a run stands: status, job, step, total_steps, loss, eta_seconds, verdict, message, place in the queue."""
        found, mine = self._found(run, request)
        return self._told(found) | ({"push": _push_of(found)} if mine else {})

    @_plainly
    def stop(self, run: str, request: gr.Request) -> dict[str, Any]:
        """Stop a run at its next step, its adapter saved; one that waits ends at once. Returns its status."""
        own = self._own(run, request)
        jobs.stop(own)
        return self._told(own)

    @_plainly
    def resume(self, run: str, request: gr.Request) -> dict[str, Any]:
        """Go on with a run that was stopped, has failed or was cut off, from its newest checkpoint."""
        own = self._own(run, request)
        self._desk.admit(request, "start")
        jobs.resume(own, token_of(request))
        return self._told(own)

    @_plainly
    def results(self, run: str, request: gr.Request) -> dict[str, Any]:
        """The comparison of a run: rows with intervals, the verdict, findings. Missing numbers are the text NaN."""
        found, _ = self._found(run, request)
        tasks_of(found)  # says in words that there are none
        return read_results(found.results).model_dump(mode="json")

    @_plainly
    def answers(self, run: str, task: str, request: gr.Request, side: str = "tuned") -> list[dict[str, Any]]:
        """A side's answers to a task, each with its question, what was expected, and its scores."""
        found, _ = self._found(run, request)
        given = answers_of(found, _text("task", task), _text("side", side))
        return [one | {"scores": _plain_numbers(one["scores"])} for one in given]

    @_plainly
    def ask(self, run: str, question: str, request: gr.Request, side: Literal["base", "tuned"] = "tuned") -> str:
        """Ask the base or the tuned model a question; returns the answer. The first one waits until it is loaded."""
        found, _ = self._found(run, request)
        text = _text("question", question).strip()
        if not text:
            raise ConfigError("the question is empty; write one")
        if side not in ("base", "tuned"):
            raise ConfigError(f"side: {side!r} is neither base nor tuned")
        self._desk.admit(request, "ask")
        models, config = self._desk.models, found.config
        if not models.is_open(found):
            models.open(found, token_of(request))
        system = [{"role": "system", "content": config.data.system}] if config.data.system else []
        messages: Any = [*system, {"role": "user", "content": text}]
        return "".join(models.stream(found, side, messages, max_tokens=config.eval.max_new_tokens)).strip()

    @_plainly
    def push(self, run: str, repo: str, request: gr.Request, public: bool = False) -> dict[str, Any]:
        """Push a run's adapter to a repository of the Hub, `owner/name`. Returns how the push stands."""
        own = self._own(run, request)
        asked = request_of("adapter", _text("repo", repo), public=public)
        self._desk.admit(request, "start")
        start_push(own, asked, token_of(request))
        return _push_of(own) or {}

    @_plainly
    def config(self, run: str, request: gr.Request) -> dict[str, Any]:
        """The config of a run of yours, every field written out; `start` takes it, changed or not."""
        return self._own(run, request).config.model_dump(mode="json")

    def _found(self, run: str, request: gr.Request) -> tuple[Run, bool]:
        """A run that the caller may see, and whether it is the caller's own. Raises JobError."""
        visitor = self._desk.visitor(request)
        found = self._desk.get(_text("run", run), visitor)
        return found, visitor.may_change(found.access)

    def _own(self, run: str, request: gr.Request) -> Run:
        """A run of the caller's own. Raises JobError, or NotAllowedError."""
        return self._desk.own(_text("run", run), self._desk.visitor(request))

    def _told(self, run: Run) -> Document:
        with self._lock:
            reader = self._readers.pop(run.id, None) or RunReader(run)
            self._readers[run.id] = reader
            while len(self._readers) > _READERS:
                self._readers.popitem(last=False)
            status, state = reader.status(), reader.state
            end = state.end(run.jobs)
            last = state.steps[-1] if state.steps else None
            told: Document = {
                "run": run.id,
                "status": status,
                "job": state.job,
                "step": last.step if last else 0,
                "total_steps": state.prepared.total_steps if state.prepared else None,
                "loss": last.loss if last else None,
                "eta_seconds": state.eta_seconds,
                "verdict": state.verdict,
                "message": redact(end.message) if end else "",
            }
        place = next((one for one in queue.waiting(self._desk.store) if one.run.id == run.id), None)
        return _plain_numbers(told) | ({"place": place.place, "starts_in": place.starts_in} if place else {})


def _parsed(config: dict[str, Any] | str) -> RunConfig:
    """The config that a caller gave, over the embedded default where it names neither a model nor a dataset."""
    given: Any = config
    if isinstance(given, str):
        try:
            given = yaml.safe_load(given)
        except (yaml.YAMLError, RecursionError) as error:
            raise ConfigError(f"config: this is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ConfigError("config: give sections such as model and train, as a mapping or as YAML; {} is the default")
    own = any(isinstance(given.get(name), dict) and "id" in given[name] for name in ("model", "data"))
    return parse_config(given if own else merge(read_yaml(DEFAULT_CONFIG), given))


def _text(name: str, value: object) -> str:
    """What a caller sent, if it is a text: gradio looks at no type."""
    if not isinstance(value, str):
        raise ConfigError(f"{name}: this must be a text")
    return value


def _plain_numbers(told: Document) -> Document:
    """Numbers that are none as texts: JSON has no word for them."""
    return {
        name: str(value) if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value
        for name, value in told.items()
    }


def _push_of(run: Run) -> Document | None:
    """How the push of a run's adapter stands; None where there was none."""
    state = push_state(run)
    if state.request is None:
        return None
    url = state.verified.url if state.verified else ""
    return {"repo": state.request.repo_id, "status": state.status, "message": redact(state.message), "url": url}
