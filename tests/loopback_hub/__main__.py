"""Run by hand: `python -m tests.loopback_hub ROOT [PORT] [--space [SCOPES]]`, then set what it prints.

With --space it prints the environment of a Space with sign-in; `python app.py` in it is that Space. A browser can open
the Hub's address too.
"""

import argparse
import shlex
import sys
import threading
from pathlib import Path

from tests.loopback_hub import LoopbackHub, serve
from tests.loopback_hub.sign_in import SCOPES, environment

CLIENT = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What the client is told, for this Hub speaks the older protocol of uploads only."""


def main() -> None:
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback_hub", description="A Hub on this machine.")
    parser.add_argument("root", type=Path, help="the folder that the repositories lie in")
    parser.add_argument("port", type=int, nargs="?", default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        "--space",
        nargs="?",
        const=SCOPES,
        metavar="SCOPES",
        help="also print what makes a Space with sign-in of an app",
    )
    asked = parser.parse_args()
    with serve(LoopbackHub(asked.root), asked.port) as address:
        variables = {"HF_ENDPOINT": address} | CLIENT
        if asked.space:
            variables |= environment(address, asked.space) | {"FTSPACE_HOST": "127.0.0.1", "FTSPACE_USERS": "*"}
        sys.stdout.write("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
