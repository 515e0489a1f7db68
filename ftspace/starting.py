"""The adapter that a new one starts from: where it lies, and whether it can be trained on as this run trains.

Looks at files of text and at the model's shape; knows no torch. What only the weights tell is seen when they are taken.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftspace.access import Visitor
from ftspace.config import RunConfig
from ftspace.errors import FtspaceError, ModelError
from ftspace.hub.finding.find import look_up
from ftspace.hub.finding.names import HOSTS, read_name
from ftspace.runs import RunStore, is_run_id
from ftspace.sections import ModelConfig
from ftspace.settings import hub_hosts, resolve_local
from ftspace.tokenizer import finder
from ftspace.training.shape import read_shape

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PATTERNS = ("rank_pattern", "alpha_pattern", "layers_to_transform", "target_parameters")
"""What makes the layers of an adapter differ from one another, which a run's own never do."""


def adapter_of_run(store: RunStore, run_id: str, visitor: Visitor) -> Path:
    """The adapter of a run that a visitor may see. Raises JobError, or ModelError where it has none."""
    other = store.visible(run_id, visitor)
    if not other.adapter.is_dir():
        raise ModelError(f"run {run_id} has no adapter")
    return other.adapter


def check_start(config: RunConfig, store: RunStore, visitor: Visitor) -> None:
    """Raises FtspaceError when the adapter of `lora.start_from` is not there, or is not one that this run trains."""
    name = config.lora.start_from
    if name is None:
        return
    place = _place_of(name, store, visitor)
    told = _read(name, finder(place)(CONFIG))
    if not _has_weights(place):
        raise ModelError(
            f"lora.start_from: {name} has no {WEIGHTS}, so there is no adapter in safetensors to start from"
        )
    for wrong in _unlike(config, told):
        raise ModelError(f"lora.start_from: {name} {wrong}")


def weights_of(config: RunConfig, store: RunStore, visitor: Visitor) -> Path | None:
    """The weights that the adapter starts from, fetched where they lie on the Hub; None where it starts anew."""
    name = config.lora.start_from
    if name is None:
        return None
    check_start(config, store, visitor)
    return finder(_place_of(name, store, visitor))(WEIGHTS)


def _has_weights(place: ModelConfig) -> bool:
    """Whether the weights are there; those on the Hub are not fetched for it."""
    found = None if resolve_local(place.id) else look_up("model", place.id, place.revision)
    return WEIGHTS in found.files if found else finder(place)(WEIGHTS) is not None


def _place_of(name: str, store: RunStore, visitor: Visitor) -> ModelConfig:
    """Where the files of the adapter are, as a model's would be."""
    if is_run_id(name):
        found = adapter_of_run(store, name, visitor)
        if not visitor.may_change(store.get(name).access):
            raise ModelError(
                f"lora.start_from: run {name} is shown to you, and its adapter is its owner's to train on; name a run "
                "of your own, or what its owner pushed"
            )
        return ModelConfig(id=str(found))
    if resolve_local(name) is not None:
        return ModelConfig(id=name)
    try:
        named = read_name(name, (*HOSTS, *hub_hosts()))
    except ValueError as error:
        raise ModelError(f"lora.start_from: {error}") from error
    if named is None and name.count("/") != 1:
        raise ModelError(
            f"lora.start_from: {name} is neither a run's id nor an adapter's folder, nor its Hub id; check the name"
        )
    return ModelConfig(id=named.id, revision=named.revision) if named else ModelConfig(id=name)


def _read(name: str, path: Path | None) -> dict[str, Any]:
    if path is None:
        raise ModelError(f"lora.start_from: {name} has no {CONFIG}, so it is no adapter of PEFT's")
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"lora.start_from: the {CONFIG} of {name} cannot be read: {error}") from error
    if not isinstance(told, dict):
        raise ModelError(f"lora.start_from: the {CONFIG} of {name} holds no settings")
    return told


def _unlike(config: RunConfig, told: Mapping[str, Any]) -> "list[str]":
    """What of an adapter is not as this run trains it, each with what to do."""
    lora, model = config.lora, config.model
    kind, base, revision = told.get("peft_type"), told.get("base_model_name_or_path"), told.get("revision")
    if kind != "LORA":
        return [f"is an adapter of the kind {kind}; only LoRA can be trained on"]
    if not isinstance(base, str) or _place(base) != _place(model.id):
        return [f"was trained on {base}, and model.id is {model.id}; set model.id to {base}"]
    if isinstance(revision, str) and model.revision and revision != model.revision:
        return [f"was trained on the revision {revision} of its base; set model.revision to it"]
    if any(told.get(one) for one in _PATTERNS) or told.get("bias", "none") != "none":
        return ["has layers that differ from one another, or biases, which a run does not train"]
    wanted = {"r": lora.r, "lora_alpha": lora.alpha, "use_rslora": lora.rslora, "use_dora": lora.dora}
    fields = {"r": "r", "lora_alpha": "alpha", "use_rslora": "rslora", "use_dora": "dora"}
    said = [
        f"has {fields[name]} {json.dumps(told.get(name))}, and lora.{fields[name]} is {json.dumps(value)}; set "
        f"lora.{fields[name]} to {json.dumps(told.get(name))}"
        for name, value in wanted.items()
        if (told.get(name) or False if isinstance(value, bool) else told.get(name)) != value
    ]
    theirs, ours = told.get("target_modules"), _layers(config)
    if isinstance(theirs, list) and ours is not None and set(theirs) != ours:
        said.append(
            f"is on the layers {', '.join(sorted(theirs))}, and lora.target_modules are {', '.join(sorted(ours))}; set "
            "lora.target_modules to the same"
        )
    saved = told.get("modules_to_save") or []
    if set(saved) != set(lora.modules_to_save):
        said.append(f"trains the modules {', '.join(saved) or 'none'} whole; set lora.modules_to_save to the same")
    return said


def _place(name: str) -> str:
    return str(resolve_local(name) or name)


def _layers(config: RunConfig) -> set[str] | None:
    """The names of the layers that this run's adapter is on; None where they are not known before the model is."""
    if config.lora.target_modules != "all-linear":
        return set(config.lora.target_modules)
    try:
        shape = read_shape(config.model)
    except FtspaceError:
        return None
    return None if shape.doubts else {one.name for one in shape.adapted("all-linear")}
