"""What a run takes as a job of the Hub: minutes, money, and the time after which the Hub ends it. Asks nobody."""

import math
from dataclasses import dataclass
from pathlib import Path

from ftspace.budgets import budget_of
from ftspace.config import RunConfig
from ftspace.devices import Device, device_of_run
from ftspace.hub.jobs.flavors import Flavor, flavor_named, machine_of, offered
from ftspace.training.facts import Facts
from ftspace.training.forecast import Estimated, estimated

SETUP_SECONDS = 240.0
"""From the job's begin until its worker starts: its image and the libraries are fetched. Assumed, not measured."""
SURE, ROUGH = 1.4, 2.0
"""How far off the time may be, either way, on a device with a data sheet and on another."""
TIMES = 3.0
"""The job is ended after so many times the estimate."""
LEAST_MINUTES = 30.0
UNKNOWN_MINUTES = 720.0
"""Where nothing can be estimated."""


@dataclass(frozen=True)
class Reckoned:
    """What one config takes on one flavor."""

    flavor: Flavor
    found: Estimated
    memory: int
    """Bytes that a run can have there."""
    seconds: float
    """Of the job, its setting up included."""
    off: float
    """The time may be so many times longer or shorter."""
    timeout: float
    """Minutes."""
    doubt: str = ""

    @property
    def low(self) -> float:
        """Seconds, at the least that is likely."""
        return SETUP_SECONDS + (self.seconds - SETUP_SECONDS) / self.off

    @property
    def high(self) -> float:
        """Seconds, at the most that is likely."""
        return SETUP_SECONDS + (self.seconds - SETUP_SECONDS) * self.off

    @property
    def fits(self) -> bool:
        """Whether memory is enough."""
        return self.found.peak <= self.memory

    def dollars(self, seconds: float) -> float | None:
        """What so much time costs; None where no price is known."""
        price = self.flavor.dollars_an_hour
        return None if price is None else price * seconds / 3600


def device_there(config: RunConfig, data_dir: Path) -> Device:
    """What a run has where its launcher starts it. Raises ConfigError for a flavor that there is not."""
    if config.launch.launcher == "hf-jobs":
        return machine_of(flavor_named(config.launch.flavor, offered()), data_dir).device
    return device_of_run(config.launch.launcher, data_dir, device=config.train.device)


def reckon(config: RunConfig, facts: Facts, flavor: Flavor, data_dir: Path) -> Reckoned:
    """The estimate of a config on a flavor."""
    config, machine = priced(config, flavor), machine_of(flavor, data_dir)
    found = estimated(config, facts, machine.device)
    seconds, budget = found.seconds, budget_of(config.train)
    if budget is not None:
        seconds -= max(0.0, found.time["training"] - budget.seconds)
    seconds += SETUP_SECONDS
    return Reckoned(
        flavor=flavor,
        found=found,
        memory=machine.device.memory,
        seconds=seconds,
        off=SURE if machine.sure else ROUGH,
        timeout=timeout_of(config, seconds),
        doubt=machine.doubt,
    )


def priced(config: RunConfig, flavor: Flavor) -> RunConfig:
    """The config with the flavor's price where it names none: what `train.max_cost` allows is reckoned by it."""
    if config.train.price_per_hour is not None or not flavor.dollars_an_hour:
        return config
    return config.model_copy(
        update={"train": config.train.model_copy(update={"price_per_hour": flavor.dollars_an_hour})}
    )


def timeout_of(config: RunConfig, seconds: float | None) -> float:
    """Minutes after which the job is ended, by the config or by the estimate; None for one that cannot be made."""
    if config.launch.timeout_minutes is not None:
        return config.launch.timeout_minutes
    if seconds is None:
        return UNKNOWN_MINUTES
    return max(LEAST_MINUTES, float(math.ceil(TIMES * seconds / 60)))


def spoken(found: Reckoned) -> str:
    """Minutes and money of a run, in a sentence's part: `about 5 to 9 min, $0.08 to $0.15`."""
    said = f"about {_range(found.low / 60, found.high / 60)} min"
    low, high = found.dollars(found.low), found.dollars(found.high)
    if low is None or high is None:
        return said
    return f"{said}, " + ("free" if high == 0 else f"${low:.2f} to ${high:.2f}")


def _range(low: float, high: float) -> str:
    first, last = max(1, round(low)), max(1, round(high))
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"
