"""How long a sweep will take, before it: the estimate of a run for each of its cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ftspace.config import RunConfig
from ftspace.data.split import Split
from ftspace.devices import Device
from ftspace.errors import FtspaceError
from ftspace.training.facts import find_facts
from ftspace.training.forecast import estimated

_ESTIMATED = 40
"""So many cells are estimated; of more, some that are spread over them."""


@dataclass(frozen=True)
class Foreseen:
    """Seconds of all cells one after another."""

    seconds: float | None
    """None where it is not known."""
    each: float | None = None
    """Of one cell on average."""
    why: str = ""
    """Why it is not known."""
    fits: bool = True
    """Whether every cell that was estimated fits into the device's memory."""


def foresee(base: RunConfig, configs: Sequence[RunConfig], cells: int, device: Device) -> Foreseen:
    """Estimate cells of a sweep on a device.

    Args:
        base: what they have in common, for the look at model and rows, which is made once.
        configs: those of the cells, or of some that stand for the others.
        cells: how many there will be.
        device: where they run, one at a time.
    """
    try:
        facts = find_facts(base)
        found = [
            estimated(config, replace(facts, rows=_rows(facts.rows, base, config)), device)
            for config in configs[:: -(-len(configs) // _ESTIMATED)]
        ]
    except FtspaceError as error:
        return Foreseen(None, why=str(error))
    each = sum(one.seconds for one in found) / len(found)
    return Foreseen(each * cells, each, fits=all(one.peak <= device.memory for one in found))


def _rows(rows: dict[Split, int], base: RunConfig, config: RunConfig) -> dict[Split, int]:
    """The rows of each split with the cell's share of the training rows."""
    found = rows.copy()
    found["train"] = max(1, round(rows["train"] * config.data.fraction / base.data.fraction))
    return found
