"""The app of a ZeroGPU Space without its pages: it lends to the runs of a folder until its stdin is closed.

`spaces` is the real one. It is told of no torch, whose CUDA it would otherwise put an emulation before: what a lease
imports then is torch for the processor. Run as `python -m tests.zerogpu.app RUNS_DIR`.
"""

import os
import sys
from pathlib import Path
from typing import Any

modules: dict[str, Any] = sys.modules
modules["torch"] = None
import gradio as gr  # noqa: E402
from starlette.requests import Request  # noqa: E402

from ftspace.access import LOCAL  # noqa: E402
from ftspace.ui.leases import lend_to, remember  # noqa: E402
from tests.zerogpu.device_api import VISITOR  # noqa: E402

del modules["torch"]


def main(runs_dir: Path) -> None:
    headers = [(b"x-ip-token", VISITOR.encode())]
    remember(LOCAL, gr.Request(request=Request({"type": "http", "headers": headers})))
    lender = lend_to(runs_dir)
    os.read(0, 1)  # a read of sys.stdin would hold its lock, for which a forked process waits as it closes it
    lender.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
