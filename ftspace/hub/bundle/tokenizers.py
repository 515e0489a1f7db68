"""Whether a run's tokenizer and chat template are the base's own, and the files that hold them where not.

Reads files only: the base's from its folder, or from what the Hub's client has in its cache. Where those are not there
the run's own are taken for changed.
"""

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ftspace.errors import ModelError
from ftspace.hub.bundle.origins import Origins
from ftspace.hub.finding.fetch import fetch, held_files
from ftspace.runs import Run
from ftspace.settings import resolve_local

CONFIG, JINJA, TOKENIZER = "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"
_FILES = (
    TOKENIZER,
    CONFIG,
    JINJA,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
)
_ENDS = ("bos_token", "eos_token", "unk_token")
_OF_THIS_MACHINE = ("name_or_path", "is_local", "local_files_only")


def is_of_tokenizer(name: str) -> bool:
    """Whether a file at the top of a repository is called as one of a tokenizer is."""
    return "/" not in name and any(fnmatch(name, one) for one in _FILES)


def tokenizer_files(run: Run, origins: Origins, *, whole: bool) -> dict[str, bytes]:
    """The files of the run's tokenizer by name; none when it is the base's, unless the model is a whole one."""
    own = run.adapter
    if not (own / CONFIG).is_file() or not (whole or _changed(own, run, origins)):
        return {}
    return cleaned(own)


def cleaned(folder: Path) -> dict[str, bytes]:
    """The files of the tokenizer in a folder by name, without what they say of this machine."""
    found = {str(path.relative_to(folder)): path.read_bytes() for name in _FILES for path in sorted(folder.glob(name))}
    config = {name: value for name, value in _json(folder / CONFIG).items() if name not in _OF_THIS_MACHINE}
    found[CONFIG] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return found


def complete_tokenizer(run: Run) -> None:
    """Puts the base's tokenizer beside an adapter that came without one, for it is the base's own.

    Raises HubError, or ModelError where the base has none to be had.
    """
    if (run.adapter / CONFIG).is_file():
        return
    model = run.config.model
    folder = resolve_local(model.id)
    there = [path.name for path in folder.iterdir()] if folder else held_files(model.id, model.revision)
    for name in sorted(name for name in there if any(fnmatch(name, one) for one in _FILES) and "/" not in name):
        found = folder / name if folder else fetch(model.id, name, model.revision)
        if found:
            shutil.copyfile(found, run.adapter / name)
    if not (run.adapter / CONFIG).is_file():
        raise ModelError(f"{model.id} has no {CONFIG}, and the adapter brings no tokenizer of its own")


def _changed(own: Path, run: Run, origins: Origins) -> bool:
    base = {name: _of_base(run, origins, name) for name in (TOKENIZER, CONFIG, JINJA)}
    tokenizer, config = base[TOKENIZER], base[CONFIG]
    if tokenizer is None or config is None:
        return True
    mine, its = _json(own / CONFIG), _json(config)
    if any(_content(mine.get(name)) != _content(its.get(name)) for name in _ENDS):
        return True
    return _vocabulary(own / TOKENIZER) != _vocabulary(tokenizer) or _template(own / JINJA, mine) != _template(
        base[JINJA], its
    )


def _of_base(run: Run, origins: Origins, name: str) -> Path | None:
    folder = resolve_local(run.config.model.id)
    if folder is not None:
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(origins.base.name, name, revision=origins.base.revision)
    return Path(found) if isinstance(found, str) else None


def _vocabulary(path: Path) -> dict[str, Any]:
    """What a tokenizer.json says, without how rows were cut and padded last."""
    return {name: value for name, value in _json(path).items() if name not in ("truncation", "padding")}


def _template(path: Path | None, config: dict[str, Any]) -> Any:
    return path.read_text(encoding="utf-8") if path and path.is_file() else config.get("chat_template")


def _content(token: Any) -> Any:
    """A special token's text; older files hold it with how it is found."""
    return token.get("content") if isinstance(token, dict) else token


def _json(path: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
