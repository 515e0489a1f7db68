"""How many leases of a lent GPU a run will need. Pure arithmetic over an estimate."""

import math
from dataclasses import dataclass

from ftspace.launchers.lease import margin
from ftspace.training.forecast import START_SECONDS, Estimated

ENTER_SECONDS = 5.0
"""From the loan of a GPU to the loading of the model: a fork and the start of CUDA; the imports are made before."""


@dataclass(frozen=True)
class Leases:
    """What a run asks for."""

    count: int
    seconds: int
    """Of each."""
    idle: float
    """Seconds of each in which nothing is trained or asked: entering, loading the model, leaving."""

    @property
    def total(self) -> float:
        """Seconds of GPU time, at most."""
        return float(self.count * self.seconds)


def leases_of(found: Estimated, seconds: int) -> Leases | None:
    """The leases of so many seconds that an estimated run needs; None where such a one is too short to get anywhere."""
    idle = ENTER_SECONDS + found.time["start"] - START_SECONDS + margin(seconds)
    useful = seconds - idle
    if useful < found.step_seconds:
        return None
    training = found.time["training"] + found.time.get("validation", 0.0)
    asking = max(0.0, found.time["comparison"] - found.time["start"]) if "comparison" in found.time else None
    count = max(1, math.ceil(training / useful))
    return Leases(count + (0 if asking is None else max(1, math.ceil(asking / useful))), seconds, idle)
