"""What a person typed after --grid, as axes and cells: settings to vary, each with its values or its range. Pure.

Only what changes the training may be varied: all cells are asked the same questions in the same way, or nothing could
be said of which is best.
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import yaml

from ftspace.config import RunConfig, field_names, merge, parse_config
from ftspace.errors import ConfigError
from ftspace.sections import LoraConfig, TrainConfig

ASKED_FROM = 100
"""More cells than these are made only when a person says so."""
MOST = 10_000
"""More than these are no sweep but a mistake."""
LOG_FROM = 10.0
"""A range whose end is more than so many times its beginning is searched by orders of magnitude."""
_NOT_VARIED = {"train.device", "train.report_to", "train.price_per_hour", "train.auto_resume", "lora.start_from"}
"""Settings of training that are no choice between better and worse."""
_MEASURED_BY = {"train.loss_on", "train.max_length", "train.truncation_side"}
"""What the validation loss is of: where it is varied, losses cannot be compared."""
VARIED = [
    name
    for name in (
        *(f"train.{field}" for field in TrainConfig.model_fields),
        *(f"lora.{field}" for field in LoraConfig.model_fields),
        "data.fraction",
    )
    if name not in _NOT_VARIED
]
"""Settings that a sweep may vary."""
_RANGE = re.compile(r"\s*([^,\[\]]+?)\s*\.\.\s*([^,\[\]]+?)\s*")


@dataclass(frozen=True)
class Axis:
    """A setting and what it is to be."""

    field: str
    values: tuple[Any, ...] = ()
    """Empty for a range."""
    low: float = math.nan
    high: float = math.nan
    whole: bool = False
    """Whether only whole numbers are meant."""

    @property
    def is_range(self) -> bool:
        """Whether it is a range and not values."""
        return not self.values

    @property
    def is_log(self) -> bool:
        """Whether a range is searched by orders of magnitude."""
        return self.low > 0 and self.high / self.low > LOG_FROM


@dataclass(frozen=True)
class Cell:
    """A choice of one value for each axis, and the run's config that it makes."""

    name: str
    values: dict[str, Any]
    """By dotted field name, as they were typed."""
    config: RunConfig


def parse_grid(words: Sequence[str], *, search: bool = False) -> list[Axis]:
    """The axes of `field=value,value` and, for a search, `field=low..high`. Raises ConfigError.

    A list as a value stands in brackets, `[q_proj,v_proj]`; `null` leaves the setting to the run.
    """
    axes: list[Axis] = []
    for word in words:
        field, equals, text = word.partition("=")
        field = field.strip()
        if not equals:
            raise ConfigError(f"--grid {word}: give FIELD=VALUE,VALUE, such as train.learning_rate=1e-4,2e-4")
        _check_field(field, search=search)
        if any(axis.field == field for axis in axes):
            raise ConfigError(f"--grid {field} is given twice; give all its values once, between commas")
        bounds = _RANGE.fullmatch(text)
        if bounds and not search:
            raise ConfigError(f"--grid {word}: a range is searched; add --search optuna, or give values between commas")
        axes.append(_range(field, bounds[1], bounds[2]) if bounds else Axis(field, tuple(_values(word, text))))
    if not axes:
        raise ConfigError("--grid names no setting; give some, such as train.learning_rate=1e-4,2e-4")
    return axes


def count(axes: Sequence[Axis]) -> int:
    """How many cells the axes make."""
    return math.prod(len(axis.values) for axis in axes)


def cells_of(base: RunConfig, axes: Sequence[Axis]) -> list[Cell]:
    """Every combination, the last axis moving fastest. Raises ConfigError naming the cell that cannot be."""
    if count(axes) > MOST:
        raise ConfigError(f"that makes {count(axes):,} cells, and a sweep has at most {MOST:,}; give fewer values")
    made = [cell_of(base, dict(zip([axis.field for axis in axes], chosen, strict=True))) for chosen in _product(axes)]
    known: dict[str, str] = {}
    for cell in made:
        other = known.setdefault(cell.config.model_dump_json(), cell.name)
        if other != cell.name:
            raise ConfigError(f"the cells {other} and {cell.name} are the same run; leave one of them out")
    return made


def cell_of(base: RunConfig, values: Mapping[str, Any]) -> Cell:
    """The cell of some values. Raises ConfigError naming it."""
    name = name_of(values)
    try:
        return Cell(name, dict(values), parse_config(_laid_over(base, values)))
    except ConfigError as error:
        raise ConfigError(f"the cell {name} cannot be: {str(error).removeprefix('config: ')}") from error


def name_of(values: Mapping[str, Any]) -> str:
    """What a cell is called: its values, by the settings' last names."""
    return " ".join(f"{field.partition('.')[2]}={_shown(value)}" for field, value in values.items())


def check_ends(base: RunConfig, axes: Sequence[Axis]) -> None:
    """Raises ConfigError where an end of a range, or a value beside it, makes no config."""
    first = {axis.field: axis.low if axis.is_range else axis.values[0] for axis in axes}
    for axis in axes:
        ends = (axis.low, axis.high) if axis.is_range else axis.values
        for value in ends:
            cell_of(base, first | {axis.field: int(value) if axis.is_range and axis.whole else value})


def _product(axes: Sequence[Axis]) -> Iterator[tuple[Any, ...]]:
    return itertools.product(*(axis.values for axis in axes))


def _laid_over(base: RunConfig, values: Mapping[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in values.items():
        section, field = name.split(".")
        given.setdefault(section, {})[field] = value
    return merge(base.model_dump(mode="json"), given)


def _check_field(field: str, *, search: bool) -> None:
    known = field_names()
    if field not in known:
        near = get_close_matches(field, VARIED, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "see docs/configuration.md"
        raise ConfigError(f"--grid: there is no setting {field}; {hint}")
    if field not in VARIED:
        why = (
            "it changes which rows or questions there are"
            if field.startswith("data.")
            else "it changes who is asked, or how"
            if field.startswith(("model.", "eval."))
            else "it is no choice between better and worse"
        )
        raise ConfigError(
            f"--grid: {field} is not varied in a sweep: {why}, so that the cells could not be compared on the same "
            "questions; compare such runs with: ftspace runs compare"
        )
    if search and field in _MEASURED_BY:
        raise ConfigError(f"--grid: a search goes by the validation loss, which {field} changes the meaning of")


def _range(field: str, low_text: str, high_text: str) -> Axis:
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"--grid {field}={low_text}..{high_text}: a range goes from a number up to a larger one")
    return Axis(field, low=low, high=high, whole=_is_whole(field))


def _is_whole(field: str) -> bool:
    """Whether a setting takes whole numbers only."""
    section, name = field.split(".")
    kind: Any = (TrainConfig if section == "train" else LoraConfig).model_fields.get(name)
    return kind is not None and kind.annotation in (int, int | None)


def _values(word: str, text: str) -> Iterator[Any]:
    """The values between commas; those within brackets stand together."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    for part in map(str.strip, parts):
        if not part or depth:
            raise ConfigError(f"--grid {word}: a value is missing; give them between commas, without empty ones")
        yield _value(word, part)


def _value(word: str, text: str) -> Any:
    """A value as the config takes it: it reads numbers from text by itself."""
    if text == "null":
        return None
    if not text.startswith("["):
        return text
    try:
        return [str(one) for one in yaml.safe_load(text)]
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"--grid {word}: {text} is no list; give it as [q_proj,v_proj]") from error


def _shown(value: Any) -> str:
    match value:
        case None:
            return "auto"
        case list():
            return "+".join(map(str, value))
        case float():
            return f"{value:.3g}"
        case _:
            return str(value)
