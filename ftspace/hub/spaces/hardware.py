"""The hardware that a Space can have and what it costs. Knows the Hub's names, and no device's speed.

The Hub is asked first; TABLE is what it is said to offer where it does not answer: the hourly list prices of Hugging
Face Spaces (huggingface.co/docs/hub/spaces-gpus) as of `devices.PRICED`. They change; the Hub's own page has the last
word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftspace.devices import PRICED
from ftspace.errors import ConfigError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FREE = "cpu-basic"
"""What a Space has where nothing else is asked for."""
HOURS_A_MONTH = 730
_AN_HOUR = {"second": 3600, "minute": 60, "hour": 1}


@dataclass(frozen=True)
class Hardware:
    """What a Space can run on."""

    name: str
    """As the Hub calls it."""
    title: str
    dollars_an_hour: float | None
    """None where nobody says."""
    source: str = f"list price of {PRICED}"
    """Who says what it costs."""

    @property
    def gpu(self) -> bool:
        """Whether it has a graphics card."""
        return not self.name.startswith("cpu-")

    @property
    def lent(self) -> bool:
        """Whether its graphics card comes and goes with each call, as ZeroGPU's does."""
        return self.name.startswith("zero-")

    @property
    def memory(self) -> int | None:
        """Bytes in which a model can lie: of one graphics card, or of the machine that has none; None if not known."""
        title = next((one.title for one in TABLE if one.name == self.name), self.title)
        found = re.match(r"(?:(\d+) )?\D.*?(\d+) GB", title)
        return found and int(found[2]) * 10**9 // int(found[1] or 1 if self.gpu else 1)

    @property
    def paid(self) -> bool:
        """Whether it costs anything, as far as is known."""
        return self.dollars_an_hour != 0

    def __str__(self) -> str:
        """Its name and its price, in words."""
        if self.dollars_an_hour is None:
            return f"{self.name}: its price is not known"
        if not self.paid:
            return f"{self.name} ({self.title}), free"
        month = self.dollars_an_hour * HOURS_A_MONTH
        said = f"${self.dollars_an_hour:.2f} an hour, ${month:,.0f} a month if it never sleeps; {self.source}"
        return f"{self.name} ({self.title}): {said}"


TABLE: tuple[Hardware, ...] = tuple(
    Hardware(*one)
    for one in (
        (FREE, "2 processors, 16 GB", 0.0),
        ("cpu-upgrade", "8 processors, 32 GB", 0.03),
        ("t4-small", "T4, 16 GB", 0.40),
        ("t4-medium", "T4, 16 GB, more memory", 0.60),
        ("l4x1", "L4, 24 GB", 0.80),
        ("l4x4", "4 L4, 96 GB", 3.80),
        ("l40sx1", "L40S, 48 GB", 1.80),
        ("l40sx4", "4 L40S, 192 GB", 8.30),
        ("l40sx8", "8 L40S, 384 GB", 23.50),
        ("a10g-small", "A10G, 24 GB", 1.00),
        ("a10g-large", "A10G, 24 GB, more memory", 1.50),
        ("a10g-largex2", "2 A10G, 48 GB", 3.00),
        ("a10g-largex4", "4 A10G, 96 GB", 5.00),
        ("a100-large", "A100, 80 GB", 2.50),
        ("a100x4", "4 A100, 320 GB", 10.00),
        ("a100x8", "8 A100, 640 GB", 20.00),
    )
)
"""Without ZeroGPU, whose graphics card is lent for single calls."""


def offered(api: "HfApi") -> tuple[Hardware, ...]:
    """What the Hub offers now, at its prices; the table where it does not say."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        found = api.list_spaces_hardware()
        return (
            tuple(
                Hardware(one.name, one.pretty_name, one.unit_cost_usd * _AN_HOUR[one.unit_label], "the Hub's price now")
                for one in found
            )
            or TABLE
        )
    except (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, KeyError, TypeError, ValueError):
        return TABLE


def hardware_named(name: str, known: Sequence[Hardware] = TABLE, *, demo: bool = True) -> Hardware:
    """A Space's hardware by its name. Raises ConfigError for one that there is not, and for a demo on ZeroGPU."""
    found = next((one for one in known if one.name == name), None)
    if demo and (found or Hardware(name, "", 0.0)).lent:
        raise ConfigError(
            f"--hardware {name}: a graphics card that is lent for minutes is none for a demo, which keeps its model "
            "loaded; take one that stays, such as t4-small"
        )
    if found is None:
        names = ", ".join(one.name for one in known if not one.lent)
        raise ConfigError(f"--hardware {name}: the Hub has none of that name; known are {names}")
    return found
