"""The weights of a push, with the tokenizer that belongs to them: a run's adapter as it is, or merged into its base.

A merged model is made by `ftspace.training.merge`, which keeps none that does not answer as base plus adapter.
"""

import json
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ftspace.errors import JobError
from ftspace.hub.bundle.loading import Form
from ftspace.hub.bundle.origins import Origins
from ftspace.hub.bundle.tokenizers import cleaned, tokenizer_files
from ftspace.hub.push.records import What
from ftspace.runs import Run

ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
PARITY = "parity.json"
"""How far a merged model's answers are from those of base plus adapter."""
_CONFIGS = ("config.json", "generation_config.json", "*.safetensors.index.json")
_WEIGHTS = re.compile(r"(adapter_)?model(-\d+-of-\d+)?\.safetensors")


def is_of_weights(name: str) -> bool:
    """Whether a file at the top of a repository is called as weights are that a push of ours made, or their configs."""
    named = (ADAPTER_CONFIG, PARITY, *_CONFIGS)
    return "/" not in name and (bool(_WEIGHTS.fullmatch(name)) or any(fnmatch(name, one) for one in named))


def put_weights(run: Run, what: What, origins: Origins, folder: Path) -> Form:
    """Puts what is pushed of the run's weights into `folder`, and says what of its form its loading depends on.

    Raises JobError when there is none, ModelError when it cannot be pushed so, OSError.
    """
    if not run.adapter.is_dir():
        raise JobError(f"run {run.id} has no adapter, so there is nothing to push; wait for it, or go on with the run")
    match what:
        case "adapter":
            return _adapter(run, origins, folder)
        case "merged":
            return _merged(run, origins, folder)


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of an adapter says. Raises JobError."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise JobError(f"{path} is no JSON; train the run again") from error
    return found


def _adapter(run: Run, origins: Origins, folder: Path) -> Form:
    whole = not (run.adapter / ADAPTER_CONFIG).is_file()
    weights = sorted(run.adapter.glob("*.safetensors")) if whole else [run.adapter / ADAPTER]
    if not weights or not weights[0].is_file():
        raise JobError(f"run {run.id}: its adapter has no safetensors, and nothing else is pushed; train it again")
    for path in weights:
        _take(path, folder / path.name)
    named: dict[str, Any] = {}
    if whole:
        _take_configs(run.adapter, folder)
    else:
        named = read_json(run.adapter / ADAPTER_CONFIG)
        named |= {"base_model_name_or_path": origins.base.name, "revision": origins.base.revision}
        _write_json(folder / ADAPTER_CONFIG, named)
    own = tokenizer_files(run, origins, whole=whole)
    for name, content in own.items():
        (folder / name).write_bytes(content)
    rows = bool(named.get("trainable_token_indices"))
    return Form(own_tokenizer=bool(own), token_rows=rows, rank=named.get("r"))


def _merged(run: Run, origins: Origins, folder: Path) -> Form:
    from ftspace.training.merge import REPORT, merge

    place = folder / ".merged"
    made = merge(run, place)
    (place / REPORT).unlink()
    for path in sorted(place.glob("*.safetensors")):
        path.rename(folder / path.name)
    _take_configs(place, folder)
    for name, content in cleaned(place).items():
        (folder / name).write_bytes(content)
    shutil.rmtree(place)
    told = made.model_dump(mode="json", exclude={"folder", "run_id", "base", "revision"})
    told = {"base": origins.base.name, "revision": origins.base.revision, **told}
    _write_json(folder / PARITY, told)
    said = str(made.parity) if made.parity else "every weight was trained, so nothing had to be merged"
    return Form(own_tokenizer=True, parity="; ".join([said, *made.warnings()]))


def _take(source: Path, target: Path) -> None:
    """The same file under another name where the disk can, else a copy: weights are large."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _take_configs(source: Path, folder: Path) -> None:
    for path in sorted(one for name in _CONFIGS for one in source.glob(name)):
        _write_json(folder / path.name, read_json(path))


def _write_json(path: Path, values: dict[str, Any]) -> None:
    values.pop("_name_or_path", None)
    path.write_text(json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
