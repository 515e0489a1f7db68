"""Whether a base can be trained: its files, who may read them, its own code, its number format. Knows no torch."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.errors import ConfigError, FtspaceError, ModelError
from ftspace.hub.finding.find import Kind, Repository, address_of, commit_of, gated_words, look_up
from ftspace.hub.licenses import local_terms
from ftspace.own_code import check_causal, check_own_code
from ftspace.settings import resolve_local
from ftspace.weights import is_adapter, weights_of

OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx")
"""How files of weights end that are not loaded."""
MAX_FULL_PARAMETERS = 2_000_000_000
"""Largest model that is trained whole: it takes 16 bytes a parameter."""
ACCESS: dict[Kind, str] = {"model": "base access", "dataset": "dataset access"}
"""How the lines are called that say who may read."""


def find_model(config: RunConfig) -> Path | None:
    """The folder of a local base, None for one that the Hub has. Raises ModelError, or HubError."""
    path = resolve_local(config.model.id)
    if path is None:
        commit_of("model", config.model.id, config.model.revision)
    return path


def check_model(config: RunConfig) -> None:
    """Raises ModelError when the base is not there or is no model that can be loaded, ConfigError for code's leave."""
    path = resolve_local(config.model.id)
    found = look_up("model", config.model.id, config.model.revision) if path is None else None
    _check_base(config, path, found)


@dataclass(frozen=True)
class SeenBase:
    """What a look at the base found."""

    checks: list[Check]
    repository: Repository | None = None
    """What the Hub has of it; None for a folder, offline, and where it is not found."""
    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Its own words on its license."""
    late: bool = False
    """Whether the Hub took too long to answer."""

    @property
    def whole(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.late and all(one.level != "stop" for one in self.checks)


def look_at_base(config: RunConfig) -> SeenBase:
    """The lines of the base: whether it is there and can be loaded, who may read it, and whether it runs code."""
    name = config.model.id
    path = resolve_local(name)
    try:
        found = look_up("model", name, config.model.revision) if path is None else None
    except FtspaceError as error:
        return SeenBase([access_stop("model", name, error) or Check.stop("base", error)])
    terms = local_terms(path) if path else found.terms if found else {}
    try:
        _check_base(config, path, found)
    except FtspaceError as error:
        stop = access_stop("model", name, error) or Check.stop("base", error)
        return SeenBase([stop], found, terms)
    where = f"the folder {name}" if path else f"{name} at commit {(found.commit or '')[:8]}" if found else name
    said = f"{where}, with its weights in safetensors" if path or found else f"{name}, as it lies in the cache"
    checks = [Check("ok", "base", said)]
    if found:
        checks.append(access_ok("model", found))
    if config.model.trust_code:
        code = f"its own is run, of the commit {config.model.trust_code[:8]} that model.trust_code names"
        checks.append(Check("ok", "code", code))
    return SeenBase(checks, found, terms)


def access_ok(kind: Kind, found: Repository) -> Check:
    """The line of a repository that can be read."""
    said = {None: "everybody may read it", "gated": "it is gated, and access is granted", "private": "it is private"}
    return Check("ok", ACCESS[kind], said[found.restricted])


def access_stop(kind: Kind, name: str, error: FtspaceError) -> Check | None:
    """The line of a repository that is gated, and its readers do not include the asker; None for any other error."""
    if str(error) != gated_words(kind, name):
        return None
    fix = f"ask for access at {address_of(kind, name)}, and look again with the token of who was let in"
    return Check("stop", ACCESS[kind], f"the {kind} {name} is gated, and access is not granted", fix, error)


def _check_base(config: RunConfig, path: Path | None, found: Repository | None) -> None:
    name = config.model.id
    if found is not None:
        _check_files(name, found.files)
    elif path is not None and not path.is_dir():
        raise ModelError(f"model.id: {path} is a file; give the folder that holds config.json and the weights")
    elif path is not None:
        _check_files(str(path), [file.name for file in path.iterdir()])
    check_own_code(config.model)
    check_causal(config.model)
    if config.model.trust_code and config.lora.method == "full":
        raise ConfigError(
            f"lora.method full would make a new model of the code of {name}, which no commit names then; use lora"
        )
    if path is not None and config.lora.method == "full":
        check_full(sum(_parameters(path / name) for name in weights_of(one.name for one in path.iterdir())))


def _check_files(where: str, files: Sequence[str]) -> None:
    """Raises ModelError when what lies in a folder or a repository is no model in safetensors."""
    if is_adapter(files):
        raise ModelError(f"model.id: {where} holds an adapter, not a model; give the model that it was trained on")
    if "config.json" not in files:
        raise ModelError(f"model.id: {where} holds no model: config.json is missing")
    if not any(name.endswith(".safetensors") for name in files):
        other = [name for name in files if name.endswith(OTHER_WEIGHTS)]
        has = f"its weights only as {other[0]}" if other else "no .safetensors weights"
        raise ModelError(
            f"model.id: {where} has {has}; other formats can run code when they are read, and are not loaded: convert "
            "them to safetensors at https://huggingface.co/spaces/safetensors/convert, or take another copy"
        )


def check_precision(config: RunConfig) -> None:
    """Raises ConfigError for an adapter in float16: small gradients would be 0 there, as nothing scales them."""
    if config.model.dtype == "float16" and config.lora.method != "full":
        raise ConfigError(
            "model.dtype float16 rounds the small gradients of a training to 0; set it to bfloat16, float32 or auto "
            "(model.quantization nf4 saves more memory)"
        )


def check_full(parameters: int) -> None:
    """Raises ModelError when a model is too large to be trained whole."""
    if parameters > MAX_FULL_PARAMETERS:
        raise ModelError(
            f"lora.method full trains all {parameters / 1e9:.1f} billion weights, in {16 * parameters / 1e9:.0f} GB of "
            f"memory; it is for models of up to {MAX_FULL_PARAMETERS / 1e9:.0f} billion: use lora"
        )


def _parameters(file: Path) -> int:
    """How many a safetensors file holds, by its header; none when it is damaged, which its loading will say."""
    with file.open("rb") as opened, suppress(ValueError):
        header: dict[str, Any] = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        return sum(prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    return 0
