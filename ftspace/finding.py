"""The command `find`: models and datasets to choose from. Parses, calls, prints; decides nothing itself."""

import argparse
import json
from typing import Any

from rich.markup import escape
from rich.table import Table

from ftspace.console import stderr, stdout
from ftspace.devices import Device, this_machine
from ftspace.errors import ConfigError, DatasetError, ModelError
from ftspace.hub.finding.facts import DatasetFacts, ModelFacts, dataset_words, fit_of_facts, model_words, plain
from ftspace.hub.finding.names import HOSTS, Kind, read_name
from ftspace.settings import Settings, hub_hosts, resolve_local

LIMIT = 20
_KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset"}
Facts = ModelFacts | DatasetFacts


def add_find(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `find`."""
    parser = parsers.add_parser(
        "find",
        help="models and datasets of the Hub: what they are, and whether they fit this machine",
        usage="%(prog)s models|datasets [TEXT] [--limit N] [--json]",
        description="Searches the Hub and shows what one needs to choose, the most downloaded first; models with "
        "weights in safetensors only. For an address of the Hub, such as https://huggingface.co/owner/name, or a "
        "path, all that is known of that one. Without TEXT: a short list for the first time, which needs no Hub.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("what", choices=list(_KINDS), metavar="models|datasets", help="what to look for")
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="part of a name, an address, or a path")
    parser.add_argument(
        "--limit", type=int, default=LIMIT, metavar="N", help=f"show at most so many (default: {LIMIT})"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def find(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace find`: 0 also where nothing is found."""
    kind = _KINDS[parsed.what]
    if not 1 <= parsed.limit <= 100:
        raise ConfigError(f"--limit {parsed.limit}: give a number from 1 to 100")
    if not parsed.text.strip():
        return _short(kind, as_json=parsed.json)
    here = this_machine(settings.data_dir)
    found = _found(kind, parsed.text, parsed.limit)
    if parsed.json:
        lines = [plain(one, fit_of_facts(one, here)) for one in found]
        stdout.file.write(json.dumps(lines, indent=2) + "\n")
    elif not found:
        stderr.print(f"no {parsed.what} found for {parsed.text}; try fewer letters", markup=False, highlight=False)
    elif len(found) == 1:
        stdout.print(_one(found[0], here))
    else:
        stdout.print(_table(found, here))
    return 0


def _found(kind: Kind, text: str, limit: int) -> list[Facts]:
    from ftspace.hub.finding import local, search

    path = resolve_local(text) if "/" in text else None
    if path is not None:
        return [local.model_here(text, path) if kind == "model" else local.dataset_here(text, path)]
    try:
        named = read_name(text, (*HOSTS, *hub_hosts()))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if named is None:
        return list(search.search_models(text, limit) if kind == "model" else search.search_datasets(text, limit))
    if named.kind not in (None, kind):
        raise ConfigError(f"{named.id} is a {named.kind} there; say: ftspace find {named.kind}s {text}")
    describe = search.describe_model if kind == "model" else search.describe_dataset
    facts = describe(named.id, named.revision)
    if facts is None:
        wrong = ModelError if kind == "model" else DatasetError
        raise wrong(f"nothing can be told of {named.id} while offline; leave HF_HUB_OFFLINE out")
    return [facts]


def _short(kind: Kind, *, as_json: bool) -> int:
    from ftspace.hub.finding.shortlist import shortlist

    found = shortlist(kind)
    if as_json:
        stdout.file.write(json.dumps([vars(one) for one in found], indent=2) + "\n")
        return 0
    table = Table(kind, "size", "license", "on this machine", "why")
    for one in found:
        license_words = (one.license or "see its card") + (", gated" if one.gated else "")
        table.add_row(one.id, one.size, license_words, "yes" if one.here else "needs the Hub", one.why)
    stdout.print(table)
    return 0


def _pairs(facts: Facts, here: Device) -> list[tuple[str, str]]:
    return model_words(facts, fit_of_facts(facts, here)) if isinstance(facts, ModelFacts) else dataset_words(facts)


def _table(found: list[Facts], here: Device) -> Table:
    """All of them, a line each."""
    lines = [_pairs(one, here) for one in found]
    table = Table("id", *(name for name, _ in lines[0]))
    for one, pairs in zip(found, lines, strict=True):
        table.add_row(escape(one.id), *(escape(value) for _, value in pairs))
    return table


def _one(facts: Facts, here: Device) -> Table:
    table = Table(escape(facts.id), "")
    for name, value in _pairs(facts, here):
        table.add_row(name, escape(value))
    for split in facts.splits if isinstance(facts, DatasetFacts) else ():
        rows = "not known" if split.rows is None else f"{split.rows:,}"
        table.add_row(escape(f"split {split.name}" + (f" of {split.subset}" if split.subset else "")), f"{rows} rows")
    return table
