"""Which files hold a model's weights, and how much of them the Hub's cache has. Asks nobody, and loads nothing."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_SHARD = re.compile(r"model-\d+-of-(\d+)\.safetensors")


def is_adapter(names: Iterable[str]) -> bool:
    """Whether these files are an adapter's; beside a config.json too, as transformers then loads the adapter's base."""
    return "adapter_config.json" in names


def weights_of(names: Iterable[str]) -> list[str]:
    """Of the files of a model those that are loaded: many have their weights a second time, in another form."""
    found = sorted(name for name in names if name.endswith(".safetensors"))
    if WHOLE in found:
        return [WHOLE]
    return [name for name in found if _SHARD.fullmatch(name)] or found


def share_there(folder: Path) -> float:
    """How many of a model's files of weights lie in a folder, of those that its index or their names count; 0 to 1."""
    there = weights_of(path.name for path in folder.glob("*.safetensors") if path.is_file())
    if WHOLE in there:
        return 1.0
    if named := _named(folder / INDEX):
        return len(named.intersection(there)) / len(named)
    counted = [int(match[1]) for name in there if (match := _SHARD.fullmatch(name))]
    if counted:
        return min(1.0, len(counted) / max(1, *counted))
    return 1.0 if there else 0.0


def _named(index: Path) -> set[str]:
    """The files that an index names; none where there is no index that can be read."""
    try:
        said: Any = json.loads(index.read_text(encoding="utf-8"))
        return set(map(str, said["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
