"""The facts of a model or a dataset that lies on this machine: read from its own files, as the Hub reads its own."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftspace.data.kinds import BUILDERS
from ftspace.errors import FtspaceError
from ftspace.hub.finding.facts import DatasetFacts, ModelFacts, context_of, unfit_of
from ftspace.hub.licenses import local_terms, name_of
from ftspace.own_code import why_not_causal
from ftspace.sections import ModelConfig
from ftspace.tokenizer import template_of_model
from ftspace.training.shape import read_shape
from ftspace.weights import weights_of

_MOST = 5_000
"""Files and folders that are looked at."""


def model_here(name: str, folder: Path) -> ModelFacts:
    """A model's folder, under the name that it was given; what is missing or damaged is not known."""
    try:
        files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    except OSError:
        return ModelFacts(name)
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
        bytes=sum((folder / name).stat().st_size for name in weights_of(path.name for path in files)),
        context=context_of(values),
        template=template,
        license=facts.license,
        shape=shape,
    )


def dataset_here(name: str, path: Path) -> DatasetFacts:
    """A file or a folder of rows, under the name that it was given."""
    folder = path.parent if path.is_file() else path
    return DatasetFacts(name, bytes=_rows_bytes(path), license=_license(folder))


def _rows_bytes(path: Path) -> int | None:
    """Of a file, or of a folder's files of rows; None where it is too large to be gone through, or cannot be read."""
    try:
        if path.is_file():
            return path.stat().st_size
        looked, total = 0, 0
        for folder, _, names in os.walk(path):
            looked += 1 + len(names)
            if looked > _MOST:
                return None
            total += sum(Path(folder, name).stat().st_size for name in names if Path(name).suffix.lower() in BUILDERS)
        return total
    except OSError:
        return None


def _license(folder: Path) -> str | None:
    """As the card in the folder says it."""
    return name_of(local_terms(folder)) or None
