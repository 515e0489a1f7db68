"""How often a visitor may do what costs something: token buckets, in memory. Knows no request and no run."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from ftspace.errors import FtspaceError

Act = Literal["start", "ask", "look", "upload", "call"]


@dataclass(frozen=True)
class Rate:
    """So many at once, then one more after so many seconds."""

    burst: int
    seconds: float
    words: str


RATES: dict[Act, Rate] = {
    "start": Rate(5, 120.0, "runs started"),
    "ask": Rate(10, 6.0, "questions to the models"),
    "look": Rate(120, 0.5, "looks at models and datasets"),
    "upload": Rate(10, 30.0, "uploads"),
    "call": Rate(120, 0.1, "calls"),
}
OWNER_TIMES = 20
"""The one who owns the machine may do all of it so many times as often."""
MOST = 10_000
"""Buckets remembered; the one that was not used for longest goes first."""


class TooOftenError(FtspaceError):
    """More of something than one visitor may have."""


class Limits:
    """One app's buckets. Any thread may call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """All buckets are full."""
        self._clock = clock
        self._lock = Lock()
        self._buckets: OrderedDict[tuple[Act, str], tuple[float, float]] = OrderedDict()
        """What is left, and when that was so."""

    def take(self, act: Act, who: str, times: int = 1) -> None:
        """Counts one act; `times` as many as others may do are let through. Raises TooOftenError."""
        rate = RATES[act]
        burst, seconds = rate.burst * times, rate.seconds / times
        with self._lock:
            now = self._clock()
            left, then = self._buckets.pop((act, who), (float(burst), now))
            left = min(float(burst), left + (now - then) / seconds)
            self._buckets[act, who] = (left - 1 if left >= 1 else left, now)
            while len(self._buckets) > MOST:
                self._buckets.popitem(last=False)
        if left < 1:
            raise TooOftenError(f"too many {rate.words}; again in {math.ceil((1 - left) * seconds)} s")
