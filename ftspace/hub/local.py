"""The facts of a model or a dataset that lies on this machine: read from its own files, as the Hub reads its own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from ftspace.errors import FtspaceError
from ftspace.hub.facts import DatasetFacts, ModelFacts, context_of, unfit_of
from ftspace.own_code import why_not_causal
from ftspace.sections import ModelConfig
from ftspace.tokenizer import template_of_model
from ftspace.training.shape import read_shape


def model_here(name: str, folder: Path) -> ModelFacts:
    """A model's folder, under the name that it was given; what is missing or damaged is not known."""
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    facts = ModelFacts(name, unfit=unfit_of(path.name for path in files), license=_license(folder))
    if facts.unfit:
        return facts
    config = ModelConfig(id=str(folder))
    try:
        shape, template = read_shape(config), template_of_model(config)[1]
        values: Any = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (FtspaceError, OSError, ValueError):
        return facts
    if why := why_not_causal(values):
        return replace(facts, unfit=why)
    return ModelFacts(
        name,
        parameters=None if shape.doubts else shape.parameters,
        dtype=shape.dtype,
        bytes=sum(path.stat().st_size for path in files if path.suffix == ".safetensors"),
        context=context_of(values),
        template=template,
        license=facts.license,
        shape=shape,
    )


def dataset_here(name: str, path: Path) -> DatasetFacts:
    """A file or a folder of rows, under the name that it was given."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    folder = path.parent if path.is_file() else path
    return DatasetFacts(name, bytes=sum(one.stat().st_size for one in files), license=_license(folder))


def _license(folder: Path) -> str | None:
    """As the card in the folder says it."""
    from huggingface_hub import metadata_load

    card = folder / "README.md"
    try:
        found: Any = metadata_load(card) if card.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):
        return None
    said = cast("dict[str, Any]", found).get("license") if isinstance(found, dict) else None
    return said if isinstance(said, str) else None
