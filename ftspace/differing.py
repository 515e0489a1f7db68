"""In what several runs differ: bases, rows, and settings one by one. Tells no place of this machine."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftspace.config import RunConfig
from ftspace.data.prepare import read_manifest
from ftspace.hub.bundle.origins import known_origins
from ftspace.hub.bundle.published import published
from ftspace.runs import Run
from ftspace.state import RunState


@dataclass(frozen=True)
class Difference:
    """A setting in which the runs differ, with the value of each, in their order."""

    field: str
    values: tuple[str, ...]


def unfair(runs: Mapping[str, Run]) -> Iterator[str]:
    """In what the runs differ that makes scores say less of how they were tuned."""
    configs = {letter: run.config for letter, run in runs.items()}
    shown = {letter: _shareable(run) for letter, run in runs.items()}
    bases = {letter: (one.model.id, one.model.revision) for letter, one in configs.items()}
    if len(set(bases.values())) > 1:
        said = _grouped(bases, {letter: one.model.id for letter, one in shown.items()})
        yield f"They start from different bases: {said}. What differs may be the bases' own."
    rows = {letter: (one.data.id, one.data.config) for letter, one in configs.items()}
    if len(set(rows.values())) > 1:
        said = _grouped(rows, {letter: one.data.id for letter, one in shown.items()})
        yield f"They learned from different datasets: {said}. The questions kept back differ, too."
        return
    hashes = {letter: found.content_hash if (found := read_manifest(run.data)) else "" for letter, run in runs.items()}
    if len(set(hashes.values()) - {""}) > 1:
        yield f"They learned different rows of the same dataset: {_grouped(hashes, {})}."


def _grouped(values: Mapping[str, object], names: Mapping[str, str]) -> str:
    """Which runs have which value in common: "A, C from x; B from y"."""
    groups: dict[object, list[str]] = {}
    for letter, value in values.items():
        groups.setdefault(value, []).append(letter)
    return "; ".join(
        ", ".join(letters) + (f" from {names[letters[0]]}" if letters[0] in names else "")
        for letters in groups.values()
    )


def _shareable(run: Run) -> RunConfig:
    """The config without this machine's places."""
    return published(run.config, known_origins(run))[0]


def differences(runs: Mapping[str, Run], states: Mapping[str, RunState]) -> Iterator[Difference]:
    """The settings that differ, as they were chosen, with what was made of them where the run chose by itself."""
    real = [_flat(run.config) for run in runs.values()]
    shown = [_flat(_shareable(run)) for run in runs.values()]
    recipes = [state.prepared.recipe if state.prepared else {} for state in states.values()]
    for name in real[0]:
        chosen = [one[name] for one in real]
        made = [
            recipe.get(name.removeprefix("train.")) if value is None and name.startswith("train.") else None
            for value, recipe in zip(chosen, recipes, strict=True)
        ]
        if len({_text(one) for one in chosen}) == 1 and None in made:
            continue
        used = [_text(value if one is None else one) for value, one in zip(chosen, made, strict=True)]
        if name.startswith(("hub.", "launch.")) or len(set(used)) < 2:
            continue
        said = [
            f"{_text(one)}, by itself" if one is not None else _text(values[name])
            for one, values in zip(made, shown, strict=True)
        ]
        yield Difference(name, tuple(_told_apart(said, used)))


def _told_apart(values: Sequence[str], real: Sequence[str]) -> list[str]:
    """Values whose names are the same though they are not, such as two files, are numbered."""
    if len(set(values)) >= len(set(real)):
        return list(values)
    numbers = {one: number for number, one in enumerate(dict.fromkeys(real), start=1)}
    return [f"{value} ({numbers[one]})" for value, one in zip(values, real, strict=True)]


def _flat(config: RunConfig) -> dict[str, Any]:
    sections = config.model_dump(mode="json")
    return {f"{section}.{name}": value for section, fields in sections.items() for name, value in fields.items()}


def _text(value: Any) -> str:
    match value:
        case None | [] | {} | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name}: {one}" for name, one in value.items())
        case _:
            return str(value)
