"""What a training may take: minutes, or what they cost. Pure but for the price, which is the machine's if not given."""

from collections.abc import Iterable
from dataclasses import dataclass

from ftspace.devices import PRICED, price_here
from ftspace.errors import ConfigError
from ftspace.events import Event, Resumed, Step
from ftspace.sections import TrainConfig


@dataclass(frozen=True)
class Budget:
    """How long a training may go on, and why."""

    seconds: float
    said: str
    """In words: after what, by which field."""

    def told(self, step: int, of: int) -> str:
        """That it was used up at a step."""
        return f"stopped after {self.said}, at step {step:,} of {of:,}"


def budget_of(train: TrainConfig) -> Budget | None:
    """The smaller of what `max_minutes` and `max_cost` allow; None where neither is given.

    Raises ConfigError when a cost is given and no price is known.
    """
    found: list[Budget] = []
    if train.max_minutes is not None:
        found.append(Budget(60 * train.max_minutes, f"{_minutes(train.max_minutes)} as train.max_minutes says"))
    if train.max_cost is not None:
        price = train.price_per_hour or price_here(device=train.device)
        if price is None:
            raise ConfigError(
                f"train.max_cost: what an hour of this machine costs is not known, it is not in the list of {PRICED}; "
                "give train.price_per_hour, or use train.max_minutes"
            )
        minutes = 60 * train.max_cost / price
        said = f"{_minutes(minutes)}, which cost {train.max_cost:g} at {price:g} an hour, as train.max_cost says"
        found.append(Budget(60 * minutes, said))
    return min(found, key=lambda one: one.seconds, default=None)


def _minutes(count: float) -> str:
    short = f"{count:,.0f}" if count >= 10 else f"{count:.2g}"
    return f"{short} minute{'' if short == '1' else 's'}"


def lost_seconds(events: Iterable[Event], step: int) -> float:
    """Seconds of training that were cut off or taken back, when it now goes on from `step`: they were paid for, too."""
    lost = 0.0
    told: list[Step] = []
    for event in (*events, Resumed(step=step)):
        if isinstance(event, Resumed):
            before = told[-1].seconds if told else 0.0
            told = [one for one in told if one.step <= event.step]
            lost += max(0.0, before - (told[-1].seconds if told else 0.0))
        elif isinstance(event, Step):
            told.append(event)
    return lost
