"""The command `flavors`: the hardware that a Hub job can have, and its price. Parses, calls, prints."""

import argparse
import dataclasses
import json
from typing import Any

from rich.markup import escape
from rich.table import Table

from ftspace.console import stderr, stdout
from ftspace.settings import Settings


def add_flavors(parsers: Any) -> None:
    """Adds the parser of `flavors`."""
    parser = parsers.add_parser(
        "flavors",
        help="the hardware that a job of the Hub can have, and its price",
        description="Lists what `ftspace run --launcher hf-jobs --flavor FLAVOR` can name: what each has and costs, as "
        "the Hub says now, or by a list where it does not answer. What a run takes on one says: ftspace preflight.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def flavors(parsed: argparse.Namespace, _settings: Settings) -> int:
    """`ftspace flavors`."""
    from ftspace.hub.jobs.flavors import offered

    found = offered()
    if parsed.json:
        stdout.file.write(json.dumps([dataclasses.asdict(one) for one in found], indent=2) + "\n")
        return 0
    table = Table("flavor", "what it has", "price")
    for one in found:
        table.add_row(escape(one.name), escape(one.has), one.price)
    stdout.print(table)
    stderr.print(f"prices: {', '.join(dict.fromkeys(one.source for one in found))}", markup=False, highlight=False)
    return 0
