"""Writes docs/configuration.md and docs/cli.md from docstrings and parsers: `python -m ftspace.reference`.

A test compares the files with what this would write, so help and docs cannot drift apart.
"""

import argparse
import functools

from ftspace import cli
from ftspace.config import RunConfig, help_of, sections
from ftspace.fields import CHOSEN_BEFORE, GROUPS, NOT_IN_THE_APP
from ftspace.settings import DEFAULT_CONFIG, ROOT

DOCS = ROOT / "docs"


def configuration() -> str:
    """docs/configuration.md: every field of RunConfig with its default and its help."""
    lines = [
        "# Configuration",
        "",
        "A run is made from these fields, given as YAML sections (`ftspace run CONFIG.yaml`), as flags",
        "(`--train.learning_rate 1e-4`, which win over the YAML), or in the app. `ftspace runs config RUN` gives the",
        "YAML of any run back. Unknown fields are refused.",
        "",
        "The embedded default differs from the defaults below in this:",
        "",
        "```yaml",
        DEFAULT_CONFIG.read_text(encoding="utf-8").strip(),
        "```",
    ]
    defaults = RunConfig().model_dump(mode="json")
    for section, kind in sections().items():
        lines += [
            "",
            f"## {section}",
            "",
            str(kind.__doc__),
            "",
            "| field | default | what it does |",
            "| --- | --- | --- |",
        ]
        lines += [
            f"| `{section}.{name}` | `{_value(defaults[section][name])}` | {help_of(f'{section}.{name}')} |"
            for name in kind.model_fields
        ]
    return "\n".join([*lines, *_in_the_app()]) + "\n"


def _in_the_app() -> list[str]:
    """Where the fields are in the app."""
    lines = ["", "## In the app", "", "Step 2 has these fields in groups, which can be searched:", ""]
    lines += [f"- **{group.name}**: {', '.join(f'`{name}`' for name in group.fields)}" for group in GROUPS]
    lines += ["", "Step 1 has the model, the dataset and what belongs to them:", ""]
    lines += [f"- {', '.join(f'`{name}`' for name in CHOSEN_BEFORE)}", "", "For the command line only:", ""]
    return lines + [f"- `{name}`: {why}" for name, why in NOT_IN_THE_APP.items()]


def commands() -> str:
    """docs/cli.md: the help text of every command."""
    lines = ["# Command line", "", "`ftspace` stands for `.venv/bin/python -m ftspace`."]
    for words, parser in _walk("ftspace", cli.build_parser()[0]):
        parser.formatter_class = functools.partial(argparse.HelpFormatter, width=100)
        lines += ["", f"## {words}", "", "```", parser.format_help().strip(), "```"]
    return "\n".join(lines) + "\n"


def _walk(words: str, parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser]]:
    found = [(words, parser)]
    for action in parser._actions:  # pyright: ignore[reportPrivateUsage]
        if isinstance(action, argparse._SubParsersAction):  # pyright: ignore[reportPrivateUsage]
            for name, sub in action.choices.items():
                found += _walk(f"{words} {name}", sub)
    return found


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)


def main() -> None:
    """Writes both files."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "configuration.md").write_text(configuration(), encoding="utf-8")
    (DOCS / "cli.md").write_text(commands(), encoding="utf-8")


if __name__ == "__main__":
    main()
