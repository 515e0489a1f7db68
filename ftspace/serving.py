"""The commands `serve` and `chat`: a run's models for a person's own programs, and on the terminal.

Parses, calls, prints; the models live in the inference server's process.
"""

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from ipaddress import ip_address
from types import FrameType
from typing import Any

from ftspace import queue
from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError, JobError
from ftspace.inference.child import Child
from ftspace.inference.client import InferenceClient, reference_named
from ftspace.inference.shelf import own_sides, same_base
from ftspace.inference.talk import Talk
from ftspace.redact import keep_secret
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings, reference_token, worker_env
from ftspace.slots import hold_slot

_LOOK_SECONDS = 0.5
KEY_NAME = "FTSPACE_KEY"


def add_serve(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `serve`."""
    parser = parsers.add_parser(
        "serve",
        help="a run's models behind an OpenAI-compatible address, for your own programs",
        usage="%(prog)s RUN [--port 8000] [--host 127.0.0.1] [--key KEY] [--also RUN ...] [--wait]",
        description="Serves base, tuned and the run's checkpoints as the models of an OpenAI-compatible endpoint, from "
        "one copy of the weights, until Ctrl-C. Every request must carry the key. Runs that are started meanwhile wait "
        "for the machine.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--key", help="what clients must show; needed where others can reach the address")
    parser.add_argument(
        "--also", nargs="+", action="extend", default=[], metavar="RUN", help="runs on the same base, asked by their id"
    )
    parser.add_argument("--wait", action="store_true", help="wait while a run has the machine, instead of refusing")


def serve(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace serve`: 0 once a person ended it."""
    store = RunStore(settings.runs_dir)
    run, others = _trained(store, parsed.run), [_trained(store, one) for one in parsed.also]
    for other in others:
        same_base(run, other)
    if parsed.key is None and not _is_loopback(parsed.host):
        raise ConfigError(f"others could reach {parsed.host}: give the key that they must show, --key KEY")
    if not 0 <= parsed.port < 65536:
        raise ConfigError(f"--port {parsed.port} is no port; give a number from 0 to 65535")
    key = parsed.key or secrets.token_urlsafe(24)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            _await_machine(store, wait=parsed.wait)
            slot, _ = stack.enter_context(hold_slot(store.runs_dir, partial(_machine_is_taken, wait=parsed.wait)))
            stderr.print("loading the models …")
            env = slot.fitted(worker_env(offline=run.config.hub.offline))
            arguments = ["--host", parsed.host, "--port", str(parsed.port)]
            child = Child.start(run, others, key, env, arguments)
            stack.callback(child.end)
            names = [*own_sides(run), *(other.id for other in others if other.id != run.id)]
            _say_where(parsed, child.port, names, key)
            keep_secret(key)  # from here on it is shown no more
            child.process.wait()
    except KeyboardInterrupt:
        stderr.print("stopped; the models' memory is given back")
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
    raise JobError(f"the server ended by itself; see inference.log in {run.path}")


def _say_where(parsed: argparse.Namespace, port: int, names: Sequence[str], key: str) -> None:
    """What a person needs to ask, in lines that can be copied. A key that was given is not repeated."""
    host = f"[{parsed.host}]" if ":" in parsed.host else parsed.host
    body = '{"model": "tuned", "messages": [{"role": "user", "content": "Hello!"}]}'
    lines = [
        f"address: http://{host}:{port}/v1",
        f"models: {', '.join(names)}",
        f"export {KEY_NAME}={'YOUR_KEY' if parsed.key else key}",
        f"curl http://{host}:{port}/v1/chat/completions -H \"Authorization: Bearer ${KEY_NAME}\" -d '{body}'",
    ]
    stdout.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    said = "Ctrl-C ends it; runs that are started meanwhile wait"
    if not _is_loopback(parsed.host):
        said += "; what is sent is not encrypted, so put a proxy with TLS before it on a network that others share"
    stderr.print(said, markup=False, highlight=False, soft_wrap=True)


def _await_machine(store: RunStore, *, wait: bool) -> None:
    """Returns when no run has the machine or waits for it. Raises JobError where there is no waiting."""
    told = False
    while (busy := queue.at_work(store)) is not None:
        if not wait:
            raise JobError(f"the machine is at work on run {busy}; try again when it is done, or add --wait")
        if not told:
            stderr.print(f"waiting for run {busy} …", markup=False, highlight=False)
            told = True
        time.sleep(_LOOK_SECONDS)


def _machine_is_taken(*, wait: bool) -> None:
    if not wait:
        raise JobError("another command has the machine; try again when it is done, or add --wait")
    stderr.print("waiting for the machine …")


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM as Ctrl-C."""
    raise KeyboardInterrupt


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _trained(store: RunStore, run_id: str) -> Run:
    run = store.get(run_id)
    if not run.adapter.is_dir():
        raise JobError(f"run {run_id} has no adapter yet, so there is no tuned model to ask; {run.go_on()}")
    return run


def add_chat(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `chat`."""
    parser = parsers.add_parser(
        "chat",
        help="talk to a run's models on the terminal",
        usage="%(prog)s RUN [--side SIDE | --both] [--reference MODEL] [--system TEXT] [--temperature T] [...]",
        description="A conversation on the terminal, a line a turn; lines can be piped in. /reset begins anew, /side "
        "NAME talks to another side, /quit ends. Answers go to standard output.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument(
        "--side", default="tuned", help="base, tuned, checkpoint-N or the id of a run on the same base (default: tuned)"
    )
    parser.add_argument("--both", action="store_true", help="ask base and tuned, each in a conversation of its own")
    add_manner(parser)
    parser.add_argument("--max-tokens", type=int, default=256, help="longest answer (default: 256)")


def add_manner(parser: argparse.ArgumentParser) -> None:
    """Adds how models are asked, and which other one is asked as well: the flags of `chat` and of `ask`."""
    parser.add_argument(
        "--reference",
        metavar="MODEL",
        help="ask another model as well: http://host:8000/v1#model (its key in REFERENCE_TOKEN) or hub:owner/model",
    )
    parser.add_argument("--system", help="system prompt; empty for none (default: the run's data.system)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 takes the likeliest token (default: 0)")
    parser.add_argument("--top-p", type=float, default=1.0, help="share of the chance to draw from (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of the chance (default: 0)")


def chat(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace chat`: 0 at the end of the conversation."""
    store = RunStore(settings.runs_dir)
    run = _trained(store, parsed.run)
    models = InferenceClient(partial(queue.at_work, store))
    reference = reference_named(parsed.reference, reference_token()) if parsed.reference else None
    talk = Talk(
        models,
        run,
        system=run.config.data.system if parsed.system is None else parsed.system,
        reference=reference,
        settings={name: getattr(parsed, name) for name in ("max_tokens", "temperature", "top_p", "seed")},
    )
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        talk.to(["base", "tuned"] if parsed.both else [parsed.side])
        for line in _lines():
            if line == "/quit":
                break
            if line:
                talk.take(line)
    finally:
        signal.signal(signal.SIGTERM, previous)
        models.stop()
    return 1 if talk.failed and not sys.stdin.isatty() else 0


def _lines() -> Iterator[str]:
    """What is typed or piped in, line by line; with a prompt where somebody types."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin)
        return
    with suppress(EOFError):
        while True:
            yield input("you> ").strip()
