"""The config's fields as command-line flags, with their docstrings as help. Knows no command: it adds to any parser."""

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, Literal

from pydantic_settings import BaseSettings, CliSettingsSource, SettingsError

from ftspace.config import RunConfig, field_names
from ftspace.errors import ConfigError
from ftspace.sections import DataConfig, HubConfig, ModelConfig, TrainConfig

SHORT = {
    "--model": "--model.id",
    "--dataset": "--data.id",
    "--launcher": "--launch.launcher",
    "--flavor": "--launch.flavor",
    "--processes": "--launch.processes",
    "--nnodes": "--launch.nnodes",
    "--rdzv-endpoint": "--launch.rdzv_endpoint",
}
"""Flags that people type most, and the fields that they mean."""


class _Flags(RunConfig, BaseSettings):
    """RunConfig under pydantic-settings, which makes the flags. Only its shape is used; no environment is read."""


class _InspectFlags(BaseSettings):
    """The sections that have a say in how a dataset is read and rendered."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig()
    hub: HubConfig = HubConfig()


class _PrepareFlags(BaseSettings):
    """The sections that have a say in which rows there are."""

    data: DataConfig = DataConfig()
    hub: HubConfig = HubConfig()


_SHAPES: dict[str, type[BaseSettings]] = {"run": _Flags, "inspect": _InspectFlags, "prepare": _PrepareFlags}


def add_flags(
    parser: argparse.ArgumentParser, command: Literal["run", "inspect", "prepare"] = "run"
) -> CliSettingsSource[Any]:
    """Adds a `--SECTION.FIELD` flag for every field of RunConfig; give the result to `overrides`.

    For `inspect` only those of the sections that shape a dataset, for `prepare` those that choose its rows.
    """
    return CliSettingsSource(
        _SHAPES[command],
        root_parser=parser,
        parse_args_method=argparse.ArgumentParser.parse_args,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_use_class_docs_for_groups=True,
        formatter_class=argparse.HelpFormatter,
    )


def overrides(source: CliSettingsSource[Any], parsed: argparse.Namespace) -> dict[str, Any]:
    """What was given on the command line, by section; only that. Raises ConfigError."""
    try:
        return source(parsed_args=parsed)()  # pyright: ignore[reportCallIssue]
    except SettingsError as error:
        raise ConfigError(f"the flags given: {error}; see: ftspace run --help") from error


def unknown_flags(words: Sequence[str]) -> str:
    """One line for what no command takes, with the flag that was probably meant."""
    known = [*SHORT, "--preset", "--json", "--data-dir", *(f"--{name}" for name in field_names())]
    hints = {word: difflib.get_close_matches(word.partition("=")[0], known, n=1) for word in words}
    said = "; ".join(f"{word} (did you mean {hint[0]}?)" if hint else word for word, hint in hints.items())
    return f"not understood: {said}; see: ftspace run --help"


def spell_out(argv: Sequence[str]) -> list[str]:
    """`argv` with the flags of SHORT replaced by the fields that they mean."""
    spelled: list[str] = []
    for word in argv:
        flag, equals, value = word.partition("=")
        spelled.append(SHORT.get(flag, flag) + equals + value)
    return spelled
