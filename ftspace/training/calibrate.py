"""How fast a core of this machine is at what a training step does, measured with torch in about a second.

By the processor's time, so that others at work on the machine don't matter. Knows no model. Run it beforehand:
`python -m ftspace.training.calibrate DATA_DIR`.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from ftspace.devices import Speed, keep_speed, known_speed

_TOKENS, _WIDTH, _INNER = 128, 512, 768
_ROUNDS = 80
_SMALL = 100


def calibrate(data_dir: Path) -> Speed:
    """What is known of this machine, measured now if nothing is."""
    speed = known_speed(data_dir)
    if speed is None:
        speed = measure()
        keep_speed(data_dir, speed)
    return speed


def measure() -> Speed:
    """Products in float32 and bfloat16, moving through memory, and small operations forward and backward."""
    products: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        given = torch.ones(_TOKENS, _WIDTH, dtype=dtype)
        weight = torch.ones(_INNER, _WIDTH, dtype=dtype)
        products[dtype] = 2 * _TOKENS * _WIDTH * _INNER / _best(lambda g=given, w=weight: functional.linear(g, w))
    plain = torch.ones(2_000_000)
    moved = 2 * 4 * len(plain) / _best(lambda: plain.mul(2.0))
    return Speed(
        half=products[torch.bfloat16],
        single=products[torch.float32],
        bandwidth=moved,
        launch_seconds=_best(_many_small) / (2 * _SMALL),
    )


def _many_small() -> None:
    one = torch.ones(4, requires_grad=True)
    for _ in range(_SMALL):
        one = one * 1.0
    one.sum().backward()


def _best(work: Callable[[], object]) -> float:
    """Seconds of the processor, the fewest of some rounds."""
    work()
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return max(best, 1e-9)


if __name__ == "__main__":
    os.nice(10)
    calibrate(Path(sys.argv[1]))
