"""What more than one process, machine or run gains and costs: each figure a ratio of things that ran by turns.

`python -m benchmarks.scaling [--rounds 3] [--json]`. Each part is a module of benchmarks with a `measure(rounds)`,
whose figures are told together:

    together  two processes on two cores against one, and against a bare script below torchrun
    sweep     a sweep of eight tiny runs against the same eight one by one
"""

import argparse
import importlib
import json
import sys
from typing import Any

PARTS = ("together", "sweep")


def main() -> int:
    """Runs all parts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    for part in given.only:
        found |= importlib.import_module(f"benchmarks.{part}").measure(given.rounds)
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
