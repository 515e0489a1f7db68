"""Eight tiny runs by `ftspace sweep` against eight times `ftspace run`, from the first process to the last one's end.

`python -m benchmarks.sweep [--cells 8] [--json]`. The bundled base and rows, a few steps, the bundled tasks; the same
cells in either way, offline on the CPU. Separate runs are made in one data folder, where they find what the runs before
have left (tokens, the base's answers), and each in a folder of its own, where they find nothing.

    sweep_ratio        seconds of the sweep over those of runs in one folder
    sweep_ratio_apart  the same over those of runs in folders of their own
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ftspace.settings import ROOT, worker_env

CELLS = 8
STEPS = 4
_QUICK = (f"--train.max_steps={STEPS}", "--train.samples=0", "--eval.max_samples=60", "--hub.offline=true")


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=CELLS)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    found = sweep_ratios(given.cells)
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def sweep_ratios(cells: int = CELLS) -> dict[str, float]:
    """Seconds of all three ways, and the sweep's over the others'."""
    rates = [f"{place}e-4" for place in range(1, cells + 1)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        swept = _seconds(place / "swept", "sweep", "--grid", f"train.learning_rate={','.join(rates)}", "--json")
        together = sum(_seconds(place / "together", "run", f"--train.learning_rate={rate}", "--json") for rate in rates)
        apart = sum(_seconds(place / rate, "run", f"--train.learning_rate={rate}", "--json") for rate in rates)
    return {
        "sweep_ratio": round(swept / together, 3),
        "sweep_ratio_apart": round(swept / apart, 3),
        "sweep_seconds": round(swept, 1),
        "separate_seconds": round(together, 1),
        "separate_seconds_apart": round(apart, 1),
    }


def _seconds(data_dir: Path, command: str, *words: str) -> float:
    env = worker_env(offline=True) | {"FTSPACE_DATA": str(data_dir)}
    began = time.monotonic()
    asked = [sys.executable, "-m", "ftspace", command, *words, *_QUICK]
    done = subprocess.run(asked, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ftspace {command} ended with {done.returncode}: {done.stderr[-4000:]}")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
