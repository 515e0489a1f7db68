"""Whether the base's frozen weights are divided over the processes that train together, and what that saves.

Pure arithmetic: knows no torch. How they are divided is shards.py.
"""

from dataclasses import replace

from ftspace.config import RunConfig
from ftspace.launching import why_whole
from ftspace.training.estimate import Memory, weight_bytes
from ftspace.training.recipe import Choice
from ftspace.training.shape import Shape

_TOGETHER = 2
"""Layers whose whole weights lie there at once: the one at work, and the shares of it as they came in."""


def may_divide(config: RunConfig, processes: int) -> bool:
    """Whether so many processes can divide the base of such a run, and the config does not say that they do not."""
    possible = processes > 1 and not why_whole(config.model, config.lora) and config.launch.launcher == "local"
    return possible and config.launch.shard is not False


def sharding(config: RunConfig, processes: int, *, needs: int, has: int) -> Choice[bool]:
    """Only where the base does not fit one device: it costs time to send the layers around.

    `needs` are the estimated peak bytes of a process that holds the whole base, `has` those of its device.
    """
    if not may_divide(config, processes):
        return Choice(False, "each process holds the whole base", given=config.launch.shard is False)
    if config.launch.shard:
        return Choice(True, "as the config says", given=True)
    there, wanted = f"{has / 1e9:.1f}", f"{needs / 1e9:.1f}"
    if needs > has:
        said = f"a process that holds the whole base needs {wanted} GB, and a device has {there} GB (estimated)"
        return Choice(True, said)
    return Choice(False, f"a process needs {wanted} GB with the whole base, and a device has {there} GB (estimated)")


def divided(memory: Memory, shape: Shape, config: RunConfig, dtype: str, processes: int) -> Memory:
    """The peak memory of a process that holds its share of the layers, and while it works those of a layer whole."""
    whole = weight_bytes(shape, config, dtype)
    layers = whole * shape.linear / shape.parameters
    held = layers / processes + _TOGETHER * layers / shape.layers
    return replace(memory, weights=min(memory.weights, whole - layers + held))
