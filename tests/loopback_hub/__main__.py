"""Run by hand: `python -m tests.loopback_hub ROOT [PORT]`."""

import sys
import threading
from pathlib import Path

from tests.loopback_hub import LoopbackHub, serve

with serve(LoopbackHub(Path(sys.argv[1])), int((sys.argv[2:] or ["0"])[0])) as address:
    sys.stdout.write(f"HF_ENDPOINT={address}\n")
    sys.stdout.flush()
    threading.Event().wait()
