"""Where a model or an adapter lies, in a folder or on the Hub, and at which commit it is read. Loads no weights."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError

from evals.errors import ModelError
from evals.explain import explained

_ADAPTER_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer*", "*.txt"]


def place_of(model: str | Path) -> str:
    """A Hub id or a folder as text. Raises ModelError where it can be neither."""
    text = str(model)
    if Path(text).is_dir():
        if not any(Path(text, name).is_file() for name in ("config.json", "adapter_config.json")):
            raise ModelError(f"{text}: it has no config.json, so it is not a model's folder")
        return text
    if text.startswith((".", "/", "~")) or text.count("/") > 1 or isinstance(model, Path) or not text:
        raise ModelError(f"{text!r}: there is no such folder; give a folder or a Hub id like owner/name")
    return text


def at(where: str, revision: str | None, trust_code: str | None) -> dict[str, Any]:
    """What `from_pretrained` takes to read a repository, and to run its code at one commit or not at all.

    Raises ModelError for code that no commit names: that of a folder, of a branch or of another commit.
    """
    if trust_code is None:
        return {"revision": revision, "trust_remote_code": False}
    if Path(where).is_dir():
        raise ModelError(f"{where} is a folder, which has no commit that trust_code could name; its code is never run")
    if not re.fullmatch(r"[0-9a-f]{40}", trust_code) or revision not in (None, trust_code):
        raise ModelError(
            f"{where}: trust_code must be the 40 digits of the commit whose code you read, and revision, if given, the "
            "same"
        )
    return {"revision": trust_code, "code_revision": trust_code, "trust_remote_code": True}


def read_at(base: str | Path, adapter: Path | None, revision: str | None) -> str | None:
    """Return the revision at which a base is read: the given one, else the commit that the adapter's config names."""
    if revision is not None or adapter is None or not (adapter / "adapter_config.json").is_file():
        return revision
    with explained(str(adapter), "adapter"):
        told = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    named = isinstance(told, dict) and told.get("base_model_name_or_path") == str(base)
    commit = str(told.get("revision")) if named else ""
    return commit if re.fullmatch(r"[0-9a-f]{40}", commit) else None


def commit_of(model: str | Path, revision: str | None = None) -> str | None:
    """Return the commit of a Hub model that was just read at a revision, or None for a folder."""
    if Path(model).is_dir():
        return None
    config = try_to_load_from_cache(str(model), "config.json", revision=revision)
    return Path(config).parent.name if isinstance(config, str) else None


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a model of its own, and no adapter."""
    return (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file()


def adapter_folder(adapter: str | Path) -> Path:
    """Return the local folder of an adapter or a whole tuned model, downloading a Hub id's files. Raises ModelError."""
    where = place_of(adapter)
    folder = Path(where)
    if not folder.is_dir():
        with explained(where, "adapter"):
            ask_hub(where, None)
            folder = Path(snapshot_download(where, allow_patterns=_ADAPTER_FILES))
    if is_whole(folder):
        return folder
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise ModelError(f"adapter {adapter}: it has no {name}, so it is not a PEFT adapter in safetensors")
    return folder


def holds_adapter(where: str, revision: str | None) -> bool:
    """Whether there is an adapter's config: transformers would read the weights of whatever base that names."""
    if Path(where).is_dir():
        return Path(where, "adapter_config.json").is_file()
    try:
        hf_hub_download(where, "adapter_config.json", revision=revision)
    except EntryNotFoundError:  # also when it is not in the cache and the Hub is out of reach
        return False
    return True


def ask_hub(where: str, revision: str | None) -> None:
    """Find out at once whether the Hub has it: without this, transformers tries for most of a minute to reach it."""
    known = (try_to_load_from_cache(where, name, revision=revision) for name in ("config.json", "adapter_config.json"))
    if not Path(where).is_dir() and not any(isinstance(path, str) for path in known):
        HfApi().model_info(where, revision=revision, timeout=10)


def fingerprint(model: str | Path) -> str | None:
    """Return a hash that tells a local model's weights from others', or None for a Hub id (its commit does that).

    Of each safetensors file it reads the size and 64 blocks of 64 KiB spread evenly; small files are read whole.
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*config.json")]):
        size, block = path.stat().st_size, 64 * 1024
        digest.update(json.dumps([path.name, size]).encode())
        with path.open("rb") as file:
            for index in range(64):
                file.seek(max(block, size // 64) * index)
                digest.update(file.read(block))
    return digest.hexdigest()[:16]
