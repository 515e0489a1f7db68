"""The hardware that a job of the Hub can have, what it costs, and the device that it is to a run. Asks the Hub once.

The Hub is asked first; where it does not answer, TABLE says what it is known to offer: names that the Hub's client
knows, with the list prices of Spaces (hub/spaces/hardware.py), which jobs share, where there is one.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ftspace import devices
from ftspace.devices import PRICED, USABLE, Device
from ftspace.errors import ConfigError
from ftspace.hub.spaces import hardware

if TYPE_CHECKING:
    from huggingface_hub import JobHardwareInfo

_LEAST = 0.01
"""Dollars an hour of the smallest machine, by the example of the Hub's client (list_jobs_hardware)."""
_AN_HOUR = {"second": 3600.0, "minute": 60.0, "hour": 1.0}
_KEPT_SECONDS, _AGAIN_SECONDS = 300.0, 30.0
"""For how long the Hub's answer is taken for true, and that it gave none."""
_TIMEOUT_SECONDS = 5.0
_SYSTEM_BYTES = 1_000_000_000
"""Of a machine's memory, what is not a run's."""
_lock = Lock()
_kept: "tuple[float, str, tuple[Flavor, ...]] | None" = None


@dataclass(frozen=True)
class Flavor:
    """One kind of machine, as the Hub names it."""

    name: str
    title: str
    processors: int | None = None
    """Virtual ones; None where nobody says. So are the others."""
    memory: int | None = None
    """Bytes of the machine, its graphics cards not counted."""
    card: str = ""
    """The graphics cards' model; "" without."""
    cards: int = 0
    card_memory: int | None = None
    """Bytes of each."""
    dollars_an_hour: float | None = None
    source: str = f"list price of {PRICED}"
    """Who says what it costs."""

    @property
    def has(self) -> str:
        """What it has, in words."""
        parts: list[str] = []
        if self.card:
            size = f" with {_gb(self.card_memory)} each" if self.card_memory and self.cards > 1 else ""
            size = size or (f" with {_gb(self.card_memory)}" if self.card_memory else "")
            parts.append(f"{f'{self.cards} ' if self.cards > 1 else ''}{self.card}{size}")
        if self.processors:
            parts.append(f"{self.processors} processors")
        if self.memory:
            parts.append(f"{_gb(self.memory)} of memory")
        return ", ".join(parts) or self.title

    @property
    def price(self) -> str:
        """What it costs, in words."""
        return f"${self.dollars_an_hour:.2f} an hour" if self.dollars_an_hour is not None else "price not known"


def offered() -> tuple[Flavor, ...]:
    """What the Hub offers jobs now, at its prices; the table where it does not say. Remembered for some minutes."""
    global _kept
    from huggingface_hub import constants

    now = time.monotonic()
    with _lock:
        if _kept and _kept[1] == constants.ENDPOINT and now < _kept[0]:
            return _kept[2]
    found = _ask()
    with _lock:
        _kept = (now + (_KEPT_SECONDS if found else _AGAIN_SECONDS), constants.ENDPOINT, found or TABLE)
    return found or TABLE


def _ask() -> tuple[Flavor, ...]:
    from httpx2 import HTTPError
    from huggingface_hub import JobHardwareInfo, constants, get_session
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    address = f"{constants.ENDPOINT}/api/jobs/hardware"  # as list_jobs_hardware asks it, which waits without an end
    try:
        answer = get_session().get(address, headers=build_hf_headers(token=False), timeout=_TIMEOUT_SECONDS)
        hf_raise_for_status(answer)
        return tuple(_told(JobHardwareInfo(**one)) for one in answer.json())
    except (HfHubHTTPError, HTTPError, OfflineModeIsEnabled, KeyError, TypeError, ValueError):
        return ()


def _told(one: "JobHardwareInfo") -> Flavor:
    """A flavor as the Hub describes it."""
    card = one.accelerator
    cards = _whole(card.quantity) or 1 if card else 0
    every = _bytes(card.vram) if card else None
    return Flavor(
        name=one.name,
        title=one.pretty_name,
        processors=_whole(one.cpu),
        memory=_bytes(one.ram),
        card=card.model if card else "",
        cards=cards,
        card_memory=every and every // cards,
        dollars_an_hour=one.unit_cost_usd * _AN_HOUR[one.unit_label],
        source="the Hub's price now",
    )


def _table() -> tuple[Flavor, ...]:
    found = [_listed(one) for one in hardware.TABLE]
    known = {one.name for one in found}
    found += [
        Flavor(f"{name}{f'x{count}' if count > 1 else ''}", title, card=title, cards=count, card_memory=size * 10**9)
        for name, title, size in (("h200", "H200", 141), ("rtx-pro-6000", "RTX PRO 6000", 96))
        for count in (1, 2, 4, 8)
    ]
    found += [Flavor(name, name) for name in ("cpu-performance", "cpu-xl") if name not in known]
    return tuple(found)


def _listed(one: hardware.Hardware) -> Flavor:
    """A Space's hardware as a flavor: `4 L4, 96 GB` is of four cards together."""
    if not one.gpu:
        processors = re.match(r"(\d+) processors", one.title)
        price = one.dollars_an_hour or _LEAST  # which is free for Spaces only
        return Flavor(one.name, one.title, processors and int(processors[1]), one.memory, dollars_an_hour=price)
    read = re.match(r"(?:(\d+) )?([^,]+), ", one.title)
    assert read is not None
    return Flavor(
        one.name,
        one.title,
        card=read[2],
        cards=int(read[1] or 1),
        card_memory=one.memory,
        dollars_an_hour=one.dollars_an_hour,
    )


def flavor_named(name: str | None, known: Sequence[Flavor]) -> Flavor:
    """The flavor of a name. Raises ConfigError for none and for one that there is not, with the nearest ones."""
    names = [one.name for one in known]
    if name is None:
        raise ConfigError(
            "launch.flavor: a Hub job needs one, such as a10g-small; see what there is and costs: ftspace flavors"
        )
    found = next((one for one in known if one.name == name.lower()), None)
    if found is None:
        near = get_close_matches(name.lower(), names, n=3, cutoff=0.5) or names[:3]
        raise ConfigError(
            f"launch.flavor: the Hub has no {name}; did you mean {', '.join(near)}? See all: ftspace flavors"
        )
    return found


@dataclass(frozen=True)
class Machine:
    """A flavor as a run would use it."""

    device: Device
    sure: bool
    """Whether its speed is that of a data sheet; else it is a guess by another device's."""
    doubt: str = ""
    """What is not reckoned with, in words."""


def machine_of(flavor: Flavor, data_dir: Path) -> Machine:
    """The device that a run has on a flavor. One card is reckoned with, however many there are.

    A processor is guessed by this machine's, core for core; a card without a data sheet here is taken for an L4.
    """
    if not flavor.card:
        here = devices.this_machine(data_dir, device="cpu")
        cores = max(1, (flavor.processors or 2) // 2)  # two virtual ones are a core
        share = cores / here.cores
        memory = flavor.memory or 16 * 10**9
        device = replace(
            here,
            name=flavor.name,
            memory=max(_SYSTEM_BYTES, memory - _SYSTEM_BYTES),
            half=here.half * share,
            single=here.single * share,
            bandwidth=here.bandwidth * share,
            cores=cores,
            dollars_an_hour=flavor.dollars_an_hour,
            measured=False,
        )
        return Machine(device, sure=False)
    known = devices.named_gpu(f"NVIDIA {flavor.card}")
    one = known or devices.device_named("L4", devices.TABLE[0])
    size = int(flavor.card_memory * USABLE) if flavor.card_memory and not known else one.memory
    device = replace(one, name=flavor.name, memory=size, dollars_an_hour=flavor.dollars_an_hour)
    doubt = f"one of its {flavor.cards} cards is reckoned with" if flavor.cards > 1 else ""
    if known is None:
        doubt = f"how fast an {flavor.card} is is not known here, so an L4 is reckoned with"
    return Machine(device, sure=known is not None, doubt=doubt)


def _whole(text: str) -> int | None:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else None


def _bytes(text: str) -> int | None:
    found = re.match(r"\s*([\d.]+)\s*([GT])B", text)
    return int(float(found[1]) * (10**12 if found[2] == "T" else 10**9)) if found else None


def _gb(count: int | None) -> str:
    return f"{(count or 0) / 1e9:.0f} GB"


TABLE: tuple[Flavor, ...] = _table()
