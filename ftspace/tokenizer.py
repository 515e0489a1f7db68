"""A model's tokenizer and chat template from the small files beside its weights, without torch or transformers.

For the app and for checks before a run: gives the ids that transformers gives, in a tenth of the time. Knows no rows.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from ftspace.chat import Template, folding, install_template, make_template
from ftspace.errors import ModelError
from ftspace.hub.asker import hub_token
from ftspace.sections import ModelConfig
from ftspace.settings import resolve_local
from ftspace.templates import NAMED

CONFIG, JINJA, TOKENIZER = "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_EXTRA = ("extra_special_tokens", "additional_special_tokens")


class NoTokenizerFile(ModelError):
    """A model whose tokenizer only transformers can read; a run may well work."""


class LightTokenizer:
    """What the renderer, the lab and the checks need of a tokenizer; names and results are those of transformers."""

    def __init__(
        self,
        backend: Tokenizer,
        special_tokens: dict[str, str],
        extra: Sequence[str] = (),
        chat_template: str | dict[str, str] | None = None,
    ) -> None:
        """`special_tokens` by their names, such as `eos_token`; `extra` are special ones without a name."""
        self._backend = backend
        self.special_tokens_map = dict(special_tokens)
        self._extra = list(extra)
        self.chat_template = chat_template
        backend.no_truncation()
        backend.no_padding()
        known = {one.content for one in self.added_tokens_decoder.values()}
        backend.add_special_tokens([token for token in self.all_special_tokens if token not in known])

    def __call__(
        self, texts: Sequence[str], *, add_special_tokens: bool = True, return_offsets_mapping: bool = False
    ) -> dict[str, list[Any]]:
        """`input_ids` of each text, and `offset_mapping`."""
        encoded = self._backend.encode_batch(list(texts), add_special_tokens=add_special_tokens)
        found: dict[str, list[Any]] = {"input_ids": [one.ids for one in encoded]}
        if return_offsets_mapping:
            found["offset_mapping"] = [one.offsets for one in encoded]
        return found

    def __len__(self) -> int:
        return self._backend.get_vocab_size(with_added_tokens=True)

    @property
    def all_special_tokens(self) -> list[str]:
        """Those with a name and those without."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self._extra]))

    @property
    def all_special_ids(self) -> list[int]:
        """Their ids."""
        return [self.convert_tokens_to_ids(token) for token in self.all_special_tokens]

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """All tokens that stand beside the model's vocabulary, by id."""
        return self._backend.get_added_tokens_decoder()

    @property
    def bos_token(self) -> str | None:
        """The begin token."""
        return self.special_tokens_map.get("bos_token")

    @property
    def eos_token(self) -> str | None:
        """The end token."""
        return self.special_tokens_map.get("eos_token")

    @property
    def pad_token(self) -> str | None:
        """The padding token."""
        return self.special_tokens_map.get("pad_token")

    @property
    def bos_token_id(self) -> int | None:
        """Its id."""
        return self._id(self.bos_token)

    @property
    def eos_token_id(self) -> int | None:
        """Its id."""
        return self._id(self.eos_token)

    @property
    def pad_token_id(self) -> int | None:
        """Its id."""
        return self._id(self.pad_token)

    def convert_tokens_to_ids(self, token: str) -> int:
        """The id of a token. Raises ModelError."""
        found = self._id(token)
        if found is None:
            raise ModelError(f"the tokenizer has no token {token}")
        return found

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """The ids of a text."""
        return self._backend.encode(text, add_special_tokens=add_special_tokens).ids

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids."""
        return self._backend.decode(list(ids), skip_special_tokens=skip_special_tokens)

    def add_special_tokens(self, tokens: dict[str, list[str]], *, replace_extra_special_tokens: bool = False) -> int:
        """Adds `extra_special_tokens`; returns how many are new to the vocabulary."""
        given = [token for token in tokens["extra_special_tokens"] if token not in self._extra]
        self._extra = [*([] if replace_extra_special_tokens else self._extra), *given]
        return self._backend.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in given])

    def _id(self, token: str | None) -> int | None:
        return None if token is None else self._backend.token_to_id(token)


@dataclass(frozen=True)
class Origin:
    """What a model came with, before a run's choices."""

    template: str | None
    """Its own chat template."""
    end_ids: tuple[int, ...]
    """Where its generation stops, by generation_config.json and config.json."""
    adds_bos: bool
    """Whether its tokenizer begins every text with its begin token."""


@dataclass(frozen=True)
class Opened:
    """A tokenizer ready to render and encode as the run would."""

    tokenizer: LightTokenizer
    origin: Origin
    untrained: tuple[int, ...]
    """Tokens of the template that the model has not seen in a template: their rows are trained."""


def open_tokenizer(config: ModelConfig) -> Opened:
    """The tokenizer of a model, with the template that the config chooses. Raises ModelError.

    It is NoTokenizerFile where there is no tokenizer.json: only transformers can read the tokenizer then.
    """
    find = finder(config)
    path = find(TOKENIZER)
    if path is None:
        raise NoTokenizerFile(
            f"{config.id} has no {TOKENIZER}, so its tokens cannot be shown or counted here; a run reads its tokenizer "
            "another way and may well work"
        )
    values = _read(config, find(CONFIG))
    if "added_tokens_decoder" not in values:
        values = {**values, **_read(config, find("special_tokens_map.json"))}
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more special
        raise ModelError(f"model.id: the {TOKENIZER} of {config.id} cannot be read: {error}") from error
    _add_listed(backend, values.get("added_tokens_decoder"))
    own = _template(find, values)
    tokenizer = LightTokenizer(backend, _special(values), _extra(values), own)
    bos = tokenizer.bos_token_id
    origin = Origin(
        template=make_template(own, {}).source if own else None,
        end_ids=_end_ids(_read(config, find("generation_config.json")), _read(config, find("config.json"))),
        adds_bos=bos is not None and tokenizer.encode("a")[:1] == [bos],
    )
    return Opened(tokenizer, origin, tuple(install_template(tokenizer, config.chat_template)))


def template_of_model(config: ModelConfig) -> tuple[Template, bool]:
    """The template a model would be trained with, and whether it is the model's own. Raises ModelError."""
    find = finder(config)
    values = _read(config, find(CONFIG))
    own = _template(find, values) if config.chat_template == "auto" else None
    source = own or NAMED["chatml" if config.chat_template == "auto" else config.chat_template].source
    template = make_template(source, _special(values))
    return (
        Template(
            folding(template.source, template.special_tokens),
            template.special_tokens,
            template.tools_source and folding(template.tools_source, template.special_tokens),
        ),
        bool(own),
    )


def finder(config: ModelConfig) -> Callable[[str], Path | None]:
    """How a file of a model is found: in its folder, or from the Hub at the config's revision."""
    folder = resolve_local(config.id)
    if folder is not None:
        return lambda name: folder / name if (folder / name).is_file() else None
    return lambda name: _fetch(config, name)


def _fetch(config: ModelConfig, name: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(hf_hub_download(config.id, name, revision=config.revision, token=hub_token()))
    except LocalEntryNotFoundError as error:  # the Hub is out of reach: what is not in the cache is not known
        if name not in (CONFIG, TOKENIZER):
            return None
        raise ModelError(f"the {name} of {config.id} is not in the cache, and the Hub cannot be asked") from error
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise ModelError(f"the {name} of {config.id} cannot be fetched from the Hub: {error}") from error


def _read(config: ModelConfig, path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model.id: {config.id} has a {path.name} that cannot be read: {error}") from error
    return values if isinstance(values, dict) else {}


def _template(find: Callable[[str], Path | None], values: dict[str, Any]) -> str | dict[str, str] | None:
    """The template of a model: its own file before what its config says, which may be several by name."""
    if path := find(JINJA):
        return path.read_text(encoding="utf-8")
    source = values.get("chat_template")
    if isinstance(source, list):
        return {str(one["name"]): str(one["template"]) for one in source if isinstance(one, dict)}
    return source if isinstance(source, str | dict) else None


def _special(values: dict[str, Any]) -> dict[str, str]:
    """Special tokens by name, the ones all tokenizers may have first."""
    others = sorted(name for name in values if name.endswith("_token") and name not in _NAMES)
    named = {name: _content(values[name]) for name in (*_NAMES, *others) if isinstance(values.get(name), str | dict)}
    for key in _EXTRA:
        if isinstance(values.get(key), dict):
            named |= {name: _content(token) for name, token in values[key].items()}
    return {name: token for name, token in named.items() if token}


def _extra(values: dict[str, Any]) -> list[str]:
    """Special tokens without a name."""
    given = next((values[key] for key in _EXTRA if isinstance(values.get(key), list) and values[key]), [])
    return [_content(token) for token in given]


def _content(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token)


def _add_listed(backend: Tokenizer, listed: Any) -> None:
    """Tokens that tokenizer_config.json lists and tokenizer.json lacks, in the order of their ids."""
    if not isinstance(listed, dict):
        return
    known = {one.content for one in backend.get_added_tokens_decoder().values()}
    for token in sorted(listed, key=int):
        one = {key: value for key, value in listed[token].items() if key != "__type"}
        if one["content"] not in known:
            backend.add_tokens([AddedToken(**one)])


def _end_ids(*configs: dict[str, Any]) -> tuple[int, ...]:
    found: set[int] = set()
    for config in configs:
        ids = config.get("eos_token_id")
        found |= {one for one in (ids if isinstance(ids, list) else [ids]) if isinstance(one, int)}
    return tuple(sorted(found))
