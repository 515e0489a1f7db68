"""A config as YAML to read, edit and paste, and back, with the line and the field of each mistake. Pure.

It is the YAML that `ftspace run` takes: what is left out has its default.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ftspace.config import RunConfig
from ftspace.errors import ConfigError
from ftspace.redact import redact
from ftspace.ui.tune.complaints import found_in

FILE = "run.yaml"
COMMAND = f"python -m ftspace run {FILE}"
"""The same run from the command line, where the YAML is saved under that name."""
MOST = 50_000
"""Characters of a YAML that are read."""
_REST = "# as always:"
_DEEPEST = 20
"""Levels of a YAML; a config has three. What reads it goes down into all of them."""
_MISTAKES = 12
"""So many are named."""


def to_text(config: RunConfig) -> str:
    """The whole config, no secret in it: sections that differ from the defaults first, in each what differs first."""
    now, always = config.model_dump(mode="json"), RunConfig().model_dump(mode="json")
    parts = [_section(name, fields, always[name]) for name, fields in now.items()]
    return redact(
        "".join([*(text for text, differs in parts if differs), *(text for text, differs in parts if not differs)])
    )


def read(text: str) -> RunConfig:
    """The config that a YAML says. Raises ConfigError: a line for each mistake, with its place and its field."""
    if len(text) > MOST:
        raise ConfigError(f"the YAML has more than {MOST:,} characters, and no config is that long; give a config")
    try:
        _check_depth(text)
        lines, doubled = _places(text)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(_no_yaml(error)) from error
    if not isinstance(values, dict | None):
        kind = "list" if isinstance(values, list) else "single value"
        raise ConfigError(f"line 1: a {kind} is no config; give sections such as `model:` and `train:`")
    found = [(line, f"{name} is given twice; keep one of them") for name, line in doubled]
    found += [(_line(lines, path), f"{name} has to be a finite number") for path, name in _endless(values or {})]
    config, wrong = found_in({} if values is None else values)
    for one in wrong:
        place = one.path if not one.across else tuple(one.field.split("."))
        found.append((_line(lines, place), f"{one.field}: {one.words}" if one.field else one.words))
    if found or config is None:
        said = [
            f"line {line}: {words}" if line else words for line, words in sorted(found, key=lambda one: one[0] or 0)
        ]
        more = [f"and {len(said) - _MISTAKES} more"] if len(said) > _MISTAKES else []
        raise ConfigError("\n".join([*said[:_MISTAKES], *more]))
    return config


def _section(name: str, fields: Mapping[str, Any], always: Mapping[str, Any]) -> tuple[str, bool]:
    """A section's YAML, and whether it differs from the defaults."""
    differing = {field: value for field, value in fields.items() if value != always[field]}
    rest = {field: value for field, value in fields.items() if field not in differing}
    head = _dumped({name: differing}) if differing else f"{name}:\n"
    tail = _dumped({name: rest}).partition("\n")[2] if rest else ""
    return f"{head}  {_REST}\n{tail}" if rest else head, bool(differing)


def _dumped(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=110)


def _check_depth(text: str) -> None:
    """Raises ConfigError for what is nested more deeply than any config, YAMLError for what is no YAML."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ConfigError(f"line {event.start_mark.line + 1}: this is nested too deeply to be a config")


def _places(text: str) -> tuple[dict[tuple[str, ...], int], list[tuple[str, int]]]:
    """The line of each field, by its path, and what is given twice. Raises YAMLError."""
    lines: dict[tuple[str, ...], int] = {}
    doubled: list[tuple[str, int]] = []
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    left: list[tuple[tuple[str, ...], yaml.Node | None]] = [((), root)]
    while left:
        path, node = left.pop()
        if not isinstance(node, yaml.MappingNode) or len(path) > 1:
            continue
        for key, value in node.value:
            place = (*path, str(key.value))
            line = key.start_mark.line + 1
            if place in lines:
                doubled.append((".".join(place), line))
            lines[place] = line
            left.append((place, value))
    return lines, doubled


def _line(lines: Mapping[tuple[str, ...], int], path: Sequence[str]) -> int | None:
    """The line of a path, or of what is around it."""
    for length in range(min(2, len(path)), 0, -1):
        if found := lines.get(tuple(path[:length])):
            return found
    return None


def _endless(values: Mapping[Any, Any]) -> list[tuple[tuple[str, ...], str]]:
    """The fields that are infinite or no number, which no form can show."""
    return [
        ((str(section), str(name)), f"{section}.{name}:")
        for section, fields in values.items()
        if isinstance(fields, dict)
        for name, value in fields.items()
        if isinstance(value, float) and not math.isfinite(value)
    ]


def _no_yaml(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    said = re.sub(r"\s+", " ", str(problem or error)).strip()
    return f"line {mark.line + 1}: this is not YAML: {said}" if mark else f"this is not YAML: {said}"
