"""Whether a model is a causal one, and whether it is loaded only by running Python code from its repository.

Looks at config.json and at the names of the models that transformers knows; runs and imports nothing of either.
"""

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from ftspace.errors import ConfigError, ModelError
from ftspace.sections import ModelConfig
from ftspace.settings import resolve_local
from ftspace.tokenizer import CONFIG, finder

_LOADERS = ("AutoConfig", "AutoModelForCausalLM")
_TABLE = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"


def check_own_code(config: ModelConfig) -> None:
    """Raises ModelError for a model that needs its own code without leave, ConfigError for leave that cannot be given.

    Leave is a commit in `trust_code`: that of the Hub repository whose code a person has read.
    """
    folder = resolve_local(config.id)
    if folder is not None and config.trust_code:
        raise ConfigError(
            f"model.trust_code names a commit, and {folder} is a folder, which has none: its code is never run; push "
            "it to the Hub, or leave trust_code out"
        )
    find = finder(config)
    path = find("config.json")
    values, tokenizer = _read(path), _read(find(CONFIG))
    files = _files_of(values) if _unknown(values) else []
    if files and config.trust_code is None:
        raise ModelError(_refused(config.id, files, folder, path))
    if config.trust_code is None:
        return
    others = [name for name in (*_files_of(values), *_files_of(tokenizer)) if "--" in name]
    if others:
        raise ModelError(
            f"model.id: the code of {config.id} lies in another repository ({others[0].partition('--')[0]}), which no "
            "commit of this one can name; it is not run"
        )


def check_causal(config: ModelConfig) -> None:
    """Raises ModelError for a model that does not go on with a text, as far as its config.json says."""
    if why := why_not_causal(_read(finder(config)("config.json"))):
        raise ModelError(f"model.id: {config.id} cannot be trained here: {why}; choose another model")


def why_not_causal(values: Mapping[str, Any]) -> str:
    """Why a model with this config.json is none that goes on with a text; "" where it may be one."""
    kind, named = values.get("model_type"), values.get("architectures")
    only = "and only causal language models, which go on with a text, are trained"
    if values.get("is_encoder_decoder") is True:
        return f"it has an encoder and a decoder ({kind}), {only}"
    if "auto_map" in values:
        return ""
    known = _known()
    if known and isinstance(kind, str) and kind not in known:
        return f"it is of the type {kind}, {only}"
    masked = [one for one in named if str(one).endswith("ForMaskedLM")] if isinstance(named, list) else []
    if masked and values.get("is_decoder") is not True:
        return f"it fills gaps in a text ({masked[0]}), {only}"
    return ""


def _refused(name: str, files: list[str], folder: Path | None, path: Path | None) -> str:
    said = f"model.id: {name} needs Python code of its own ({', '.join(files)})"
    if folder is not None:
        return f"{said}, and code from a folder is never run; push it to the Hub, and read on there"
    from huggingface_hub import constants

    commit = path.parent.name if path else "main"
    where = f"{constants.ENDPOINT}/{name}/tree/{commit}"
    return f"{said}, which is run only when you have read it: see {where}, and set model.trust_code to {commit}"


def _read(path: Path | None) -> dict[str, Any]:
    """A JSON file's values; none where it is damaged, which others say."""
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _files_of(values: Mapping[str, Any]) -> list[str]:
    """The Python files that `auto_map` names, the repository before `--` where it is another one."""
    named: Any = values.get("auto_map")
    entries = named.values() if isinstance(named, dict) else named if isinstance(named, list) else []
    flat = [one for entry in entries for one in (entry if isinstance(entry, list) else [entry])]
    return sorted({f"{one.rpartition('.')[0]}.py" for one in flat if isinstance(one, str)})


def _unknown(values: Mapping[str, Any]) -> bool:
    """Whether transformers has no code of its own for such a model."""
    named = values.get("auto_map")
    if not isinstance(named, dict) or not any(one in named for one in _LOADERS):
        return False
    known = _known()
    return bool(known) and values.get("model_type") not in known


_parsing = Lock()
"""Python 3.11 fails where two threads parse at the same time."""


def _known() -> frozenset[str]:
    """The types of causal language models that transformers has; none when its source is not as it was."""
    with _parsing:
        return _listed()


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    spec = find_spec("transformers")
    for place in spec.submodule_search_locations or [] if spec else []:
        source = Path(place, "models", "auto", "modeling_auto.py")
        tree = ast.parse(source.read_text(encoding="utf-8")) if source.is_file() else ast.Module([], [])
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == _TABLE:
                texts = [one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)]
                return frozenset(one for one in texts if isinstance(one, str))
    return frozenset()
