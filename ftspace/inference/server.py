"""Serves one run's base and tuned model as `base` and `tuned`, the OpenAI way, and all that shares their weights.

The run's checkpoints (`checkpoint-40`) and further runs on the same base (by their ids) are loaded when first asked.

`python -m ftspace.inference.server [--host H] [--port N] RUN_DIR [RUN_DIR ...]` reads the key that clients must show
from the first line of its standard input, says `{"port": N}` (or `{"error": "..."}`) on standard output when it is
ready, and ends when standard input does: so it cannot outlive the process that started it, however that one ends. Each
further line that it reads is the folder of one more run that may be asked, and is answered by `{}` or an error. Knows
no job and no screen.
"""

import argparse
import json
import os
import socket
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import uvicorn

from evals.errors import EvalError
from ftspace.errors import FtspaceError, JobError
from ftspace.inference.endpoint import Endpoint
from ftspace.inference.shelf import Shelf
from ftspace.runs import Run
from ftspace.settings import resolve_local
from ftspace.streams import guard

if TYPE_CHECKING:
    from ftspace.inference.generate import Generator

LOOPBACK = "127.0.0.1"


def load(run: Run) -> "Generator":
    """The run's base with its adapter. Raises EvalError or FtspaceError in one line."""
    from evals.models import load_comparison
    from ftspace.inference.generate import Generator

    config = run.config
    local = resolve_local(config.model.id)
    model, tokenizer = load_comparison(
        config.model.id if local is None else local,
        run.adapter,
        revision=config.model.revision,
        dtype=config.model.dtype,
        device=config.train.device,
        quantization=config.model.quantization,
        trust_code=config.model.trust_code,
    )
    return Generator(model, tokenizer)


def serve(run: Run, *others: Run, host: str = LOOPBACK, port: int = 0) -> int:
    """Loads, says where it listens, and serves until standard input ends. Returns the exit status."""
    key = sys.stdin.readline().strip()
    if not key:
        sys.stderr.write("the first line of standard input must be the API key\n")
        return 2
    words = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print goes where the log goes
    shelf = Shelf(run)
    threading.Thread(target=_heed, args=[shelf, words], daemon=True).start()
    try:
        listener = _bound(host, port)
        for other in others:
            shelf.add(other)
        generator = load(run)
    except (EvalError, FtspaceError) as error:
        _say(words, {"error": str(error)})
        return 2
    listener.listen()
    _say(words, {"port": listener.getsockname()[1]})
    config = uvicorn.Config(Endpoint(generator, shelf, key).app(), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
    return 0


def _bound(host: str, port: int) -> socket.socket:
    """A socket that is taken before anything is loaded. Raises JobError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise JobError(f"port {port} of {host} cannot be listened on: {why}; give another with --port") from error
    return listener


def _heed(shelf: Shelf, words: IO[str]) -> None:
    """Allows the runs that whoever started this names later, and ends the process with its standard input."""
    while line := sys.stdin.readline():
        try:
            shelf.add(Run(Path(line.rstrip("\n")).absolute()))
            _say(words, {})
        except FtspaceError as error:
            _say(words, {"error": str(error)})
    os._exit(0)


def _say(words: IO[str], word: dict[str, Any]) -> None:
    """One line to whoever started this."""
    words.write(json.dumps(word) + "\n")
    words.flush()


def main(argv: list[str]) -> int:
    """What the command line says; the exit status."""
    parser = argparse.ArgumentParser(prog="ftspace.inference.server")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR")
    parsed = parser.parse_args(argv)
    return serve(*(Run(Path(folder).absolute()) for folder in parsed.runs), host=parsed.host, port=parsed.port)


if __name__ == "__main__":
    guard()
    sys.exit(main(sys.argv[1:]))
