"""The command `preflight`: what stands in a run's way, as a list. Parses, calls, prints; decides nothing itself."""

import argparse
import json
from typing import Any

from pydantic_settings import CliSettingsSource
from rich.markup import escape
from rich.table import Table

from ftspace import commands
from ftspace.config import anchor
from ftspace.console import stderr, stdout
from ftspace.flags import add_flags
from ftspace.presets import add_preset
from ftspace.settings import Settings, go_offline

_COLOURS = {"ok": "green", "warning": "yellow", "stop": "red"}


def add_preflight(parsers: Any, where: argparse.ArgumentParser) -> CliSettingsSource[Any]:
    """Adds the parser of `preflight`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "preflight",
        help="what would stand in a run's way: token, licenses, memory, disk, rows, each with what to do",
        usage="%(prog)s [CONFIG.yaml] [--preset P] [--SECTION.FIELD VALUE ...] [--json]",
        description="Looks at all that can be known of a run before it is made, and changes nothing: base and dataset, "
        "who may read them and their licenses, the rows in tokens, tasks and judges, memory, disk and time, the token "
        "and the repository of hub.push. Each line is ok, a warning or a stop with what to do; the status is 2 where "
        "one is a stop. The Hub is waited for ten seconds in all. Its other flags are those of ftspace run.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    add_preset(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the table")
    return add_flags(parser)


def preflight(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    """`ftspace preflight`: the list; 2 where one line is a stop."""
    config = anchor(commands.configured(parsed.config, given, parsed.preset))
    if config.hub.offline:
        go_offline()
    from ftspace.preflight.report import examine

    stderr.print("looking at the model, the dataset, the tasks and this machine …")
    found = examine(config, settings.runs_dir)
    if parsed.json:
        lines = [{"level": c.level, "what": c.what, "detail": c.detail, "fix": c.fix} for c in found.checks]
        stdout.file.write(json.dumps({"level": found.level, "checks": lines}, indent=2) + "\n")
    else:
        table = Table("", "what", "found")
        for one in found.checks:
            fix = f"\n[bold]to do:[/] {escape(one.fix)}" if one.fix else ""
            table.add_row(f"[{_COLOURS[one.level]}]{one.level}[/]", escape(one.what), escape(one.detail) + fix)
        stdout.print(table)
    return 2 if found.level == "stop" else 0
