"""What is taken of a stranger's repository, and how much of it: names, sizes, and files that are safe to be read.

A file may be well formed and still fill the disk or the memory of whoever reads it. Knows no Hub and no run.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent

from ftspace.errors import ConfigError, DiskError, EvalError
from ftspace.hub.push.target import SIGN
from ftspace.jobs import MIN_FREE_BYTES

CONFIG, ADAPTER_CONFIG, ADAPTER = SIGN, "adapter_config.json", "adapter_model.safetensors"
SAMPLES, ROWS = "samples.parquet", "training_rows.txt"
RECORDS: Mapping[str, int] = {
    CONFIG: 100_000,
    "results.json": 50_000_000,
    "evaluation.json": 5_000_000,
    "training.jsonl": 50_000_000,
    SAMPLES: 200_000_000,
    ROWS: 100_000_000,
}
"""Files that tell of a run, and the most bytes that each may have."""
_MODEL: Mapping[str, int] = {
    ADAPTER_CONFIG: 1_000_000,
    r"tokenizer\.json|[\w.-]+\.model": 100_000_000,
    r"vocab\.(json|txt)|merges\.txt|model\.safetensors\.index\.json": 50_000_000,
    r"tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json": 10_000_000,
    r"chat_template\.jinja|(generation_)?config\.json": 1_000_000,
}
_HEAD = 20_000_000
"""Largest header that a safetensors file may have."""
_SAMPLES, _SAMPLES_BYTES = 500_000, 1_000_000_000
"""The most rows that scores may have, and bytes once they are unpacked."""


class _Plain(yaml.SafeLoader):
    """YAML in which nothing stands for something else: a few lines of it could mean more than a memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(AliasEvent):
            raise yaml.YAMLError("it has aliases, which no push of ftspace writes")
        return super().compose_node(parent, index)


def largest(name: str) -> int | None:
    """The most bytes that a file of this name may have; None for weights, which may have any, and for no such file."""
    if name in RECORDS:
        return RECORDS[name]
    return next((most for pattern, most in _MODEL.items() if re.fullmatch(pattern, name)), None)


def require_room(size: int, *places: Path) -> None:
    """Raises DiskError where so many bytes are not free in each place, together where they are on one disk."""
    wanted: dict[int, int] = {}
    free: dict[int, tuple[int, Path]] = {}
    for place in places:
        while not place.exists():
            place = place.parent
        disk, found = place.stat().st_dev, os.statvfs(place)
        wanted[disk] = wanted.get(disk, MIN_FREE_BYTES) + size
        free[disk] = found.f_bavail * found.f_frsize, place
    for disk, (there, place) in free.items():
        if there < wanted[disk]:
            raise DiskError(
                f"it needs {wanted[disk] / 1e6:,.0f} MB, and {there / 1e6:,.0f} MB are free at {place}; make room "
                "(ftspace runs gc), or name another folder with --data-dir, or HF_HOME for what is fetched"
            )


def read_config(path: Path, where: str) -> dict[str, Any]:
    """The mapping of a pushed config. Raises ConfigError."""
    try:
        found: Any = yaml.load(path.read_text(encoding="utf-8"), _Plain)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{where} holds no sections such as `model:` and `train:`")
    return found


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none, or it cannot be read."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_safetensors(path: Path) -> bool:
    """Whether a file's header is one of safetensors and fits its size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size, _HEAD):
            return False
        try:
            held: dict[str, Any] = json.loads(file.read(length))
            held.pop("__metadata__", None)
            return bool(held) and max(one["data_offsets"][1] for one in held.values()) == size - 8 - length
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            return False


def check_samples(path: Path) -> None:
    """Raises EvalError for scores that are too many to be read, by what their file says of itself."""
    from pyarrow import ArrowException, parquet

    try:
        held = parquet.read_metadata(path)
        unpacked = sum(held.row_group(number).total_byte_size for number in range(held.num_row_groups))
    except (OSError, ArrowException) as error:
        raise EvalError(f"{path.name} cannot be read: {error}") from error
    if held.num_rows > _SAMPLES or unpacked > _SAMPLES_BYTES:
        raise EvalError(f"{path.name} is too large ({held.num_rows:,} rows, {unpacked / 1e6:,.0f} MB unpacked)")
