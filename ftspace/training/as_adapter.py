"""A checkpoint as an adapter that can be loaded: its weights under the names that the run's adapter gives them.

Knows files of tensors by their headers; no torch. The bytes of the weights are copied as they are.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from ftspace.errors import ModelError
from ftspace.training.checkpoints import TRAINED

WEIGHTS = "adapter_model.safetensors"
_BLOCK = 1 << 22


def as_adapter(checkpoint: Path, adapter: Path, out_dir: Path) -> Path:
    """Makes the folder `out_dir` of a checkpoint's weights and what else the finished adapter of its run holds.

    Raises ModelError where the checkpoint's weights are not laid out as the adapter's: a model trained whole, and an
    adapter whose form changed when it was saved.
    """
    name = checkpoint.name
    try:
        wanted, _ = _header(adapter / WEIGHTS)
        held, start = _header(checkpoint / TRAINED)
        renamed = {_plain(key): value for key, value in held.items()}
        if {key: _form(one) for key, one in renamed.items()} != {key: _form(one) for key, one in wanted.items()}:
            raise ModelError(f"{name} holds weights that are not laid out as the adapter's, so it cannot be asked")
        shutil.rmtree(out_dir, ignore_errors=True)
        shutil.copytree(adapter, out_dir, ignore=shutil.ignore_patterns(WEIGHTS))
        text = json.dumps({**renamed, "__metadata__": {"format": "pt"}}).encode()
        text += b" " * (-len(text) % 8)
        with (checkpoint / TRAINED).open("rb") as source, (out_dir / WEIGHTS).open("wb") as target:
            target.write(len(text).to_bytes(8, "little") + text)
            source.seek(start)
            shutil.copyfileobj(source, target, _BLOCK)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name} cannot be made an adapter of: {error}") from error
    return out_dir


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """What a safetensors file says of its tensors, and where their bytes begin."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        found: dict[str, Any] = json.loads(file.read(size))
    found.pop("__metadata__", None)
    return found, 8 + size


def _plain(name: str) -> str:
    """A weight's name in the model, as PEFT saves it: without that of the adapter."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def _form(tensor: Any) -> tuple[str, list[int]]:
    return tensor["dtype"], tensor["shape"]
