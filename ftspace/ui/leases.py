"""Lends the GPU of a ZeroGPU Space to runs: in the app's process, which alone the `spaces` package serves.

Imported where that package is there, and before torch: it has torch taken for one with a GPU until one is lent. A lease
is a process that `spaces` forks from this one; so what a job imports is imported here, once, and no job waits for it.
"""

import threading
from pathlib import Path

import gradio as gr
import spaces
from gradio.context import LocalContext
from starlette.requests import Request

from ftspace.events import JobName
from ftspace.launchers import lease
from ftspace.launchers.lending import Answer, Demand, Lender
from ftspace.launchers.quota import read_refusal
from ftspace.redact import keep_secret

_PROXY_TOKEN = "x-ip-token"
"""The header by which ZeroGPU's proxy tells whose GPU time a request uses."""
_PLAIN = (RuntimeError, OSError)
"""What `spaces` raises where it has no words for a person."""

_proxy_tokens: dict[str, str] = {}
_one_at_a_time = threading.Lock()


def remember(name: str, request: gr.Request) -> None:
    """Whose GPU time the runs of a visitor use: his own, as long as what his page last sent is good. In memory only."""
    if found := (request.headers or {}).get(_PROXY_TOKEN):
        keep_secret(found)
        _proxy_tokens[name] = found


def lend_to(runs_dir: Path) -> Lender:
    """Lends to the runs of a folder from now on, in threads of its own. Raises JobError, OSError."""
    lender = Lender(runs_dir, lend)
    threading.Thread(target=_serve, args=(lender,), name="lender", daemon=True).start()
    return lender


def lend(demand: Demand) -> Answer:
    """One lease, from the wait for a GPU until it is over."""
    with _one_at_a_time:
        lease.make_ready(demand.job)
        LocalContext.request.set(_request_of(demand.owner))
        try:
            status = _lent(demand.run_dir, demand.job, demand.seconds, demand.pid, demand.token)
        except gr.Error as error:
            if error.message == "Expired ZeroGPU proxy token":
                _proxy_tokens.pop(demand.owner, None)
            return read_refusal(str(getattr(error, "title", "")), str(error.message))
        except _PLAIN as error:
            return read_refusal("", str(error))
        return Answer("left", status)


def _seconds(run_dir: str, job: JobName, seconds: int, pid: int, token: str | None) -> int:
    return seconds


_lent = spaces.GPU(duration=_seconds)(lease.work)


def _serve(lender: Lender) -> None:
    lease.make_ready("train")
    lender.serve()


def _request_of(owner: str) -> gr.Request:
    """A request as the owner's page would send it, which is all that `spaces` looks at."""
    token = _proxy_tokens.get(owner)
    headers = [(b"x-gradio-user", b"app"), *([(_PROXY_TOKEN.encode(), token.encode())] if token else [])]
    return gr.Request(request=Request({"type": "http", "method": "POST", "path": "/", "headers": headers}))
