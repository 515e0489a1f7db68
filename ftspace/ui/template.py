"""The chat template of a model that is not loaded: read from the small files beside its weights. Knows no gradio."""

import json
from pathlib import Path
from typing import Any

from ftspace.chat import CHATML, Template
from ftspace.config import ModelConfig
from ftspace.errors import ModelError
from ftspace.settings import resolve_local

CONFIG, JINJA = "tokenizer_config.json", "chat_template.jinja"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")


def template_of_model(config: ModelConfig) -> tuple[Template, bool]:
    """The template a model would be trained with, and whether it is the model's own. Raises ModelError."""
    path = _file(config, CONFIG)
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"model.id: {config.id} has a {CONFIG} that cannot be read: {error}") from error
    jinja = _file(config, JINJA)
    own = jinja.read_text(encoding="utf-8") if jinja else _default(values.get("chat_template"))
    special = {name: _content(values[name]) for name in _SPECIAL if values.get(name)}
    return Template(own or CHATML, special), bool(own)


def _file(config: ModelConfig, name: str) -> Path | None:
    folder = resolve_local(config.id)
    if folder is not None:
        return folder / name if (folder / name).is_file() else None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(hf_hub_download(config.id, name, revision=config.revision))
    except LocalEntryNotFoundError as error:  # the Hub is out of reach: what is not in the cache is not known
        if name == JINJA:
            return None
        raise ModelError(
            f"the chat template of {config.id} is not in the cache, and the Hub cannot be asked"
        ) from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise ModelError(f"the chat template of {config.id} cannot be fetched from the Hub: {error}") from error


def _default(source: Any) -> str | None:
    """One template; a model may carry several by name."""
    if isinstance(source, list):
        named = {one.get("name"): one.get("template") for one in source if isinstance(one, dict)}
        return named.get("default")
    return source if isinstance(source, str) else None


def _content(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token)
