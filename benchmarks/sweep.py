"""Eight tiny runs by `ftspace sweep` against eight times `ftspace run`, from the first process to the last one's end.

`python -m benchmarks.sweep [--cells 8] [--apart] [--json]`. The bundled base, rows and tasks, a few steps; the same
cells in either way, offline on the CPU. Separate runs are made in one data folder, where they find what the runs before
have left (tokens, the base's answers), and with --apart each in a folder of its own, too, where they find nothing.

    sweep_ratio        seconds of the sweep over those of runs in one folder
    sweep_ratio_apart  the same over those of runs in folders of their own
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
    parser.add_argument("--apart", action="store_true", help="also make each separate run in a folder of its own")
    given = parser.parse_args()
    found = sweep_ratios(given.cells, apart=given.apart)
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def sweep_ratios(cells: int = CELLS, *, apart: bool = False) -> dict[str, float]:
    """Seconds of the ways, and the sweep's over the others'."""
    rates = [f"{place}e-4" for place in range(1, cells + 1)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        swept = _seconds(place / "swept", "sweep", "--grid", f"train.learning_rate={','.join(rates)}", "--json")
        together = _one_by_one([place / "together"] * cells, rates)
        alone = _one_by_one([place / rate for rate in rates], rates) if apart else 0.0
    found = {"sweep_ratio": swept / together, "sweep_seconds": swept, "separate_seconds": together}
    if apart:
        found |= {"sweep_ratio_apart": swept / alone, "separate_seconds_apart": alone}
    return {name: round(value, 3) for name, value in found.items()}


def measure(rounds: int) -> dict[str, float]:
    """For `benchmarks.scaling`: the ratio of one round, which takes minutes, however many are asked for."""
    return {"sweep_ratio": sweep_ratios()["sweep_ratio"]}


def _one_by_one(folders: Sequence[Path], rates: Sequence[str]) -> float:
    pairs = zip(folders, rates, strict=True)
    return sum(_seconds(folder, "run", f"--train.learning_rate={rate}", "--json") for folder, rate in pairs)


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
