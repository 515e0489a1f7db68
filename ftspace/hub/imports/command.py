"""The commands `import` and `runs evaluate`. Parses, calls, prints; decides nothing itself."""

import argparse
import json
from typing import Any

from ftspace.console import stderr, stdout
from ftspace.runs import RunReader, RunStore
from ftspace.settings import Settings


def add_import(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `import`."""
    parser = parsers.add_parser(
        "import",
        help="an adapter of the Hub as a run: to see, ask and compare",
        usage="%(prog)s OWNER/NAME [--revision R] [--base MODEL] [--json]",
        description="Makes a run of an adapter on the Hub. One that ftspace pushed comes with its recipe, curve, "
        "results and scores; any other PEFT adapter with its weights and base. Only safetensors are taken, compared "
        "with the Hub's hash. ftspace runs evaluate compares it anew; ftspace merge makes a model of it to train on.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("repo", metavar="OWNER/NAME", help="a model on the Hub")
    parser.add_argument("--revision", metavar="R", help="branch, tag or commit; the newest if not given")
    parser.add_argument("--base", metavar="MODEL", help="the base, where the adapter names none that is to be had")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def import_adapter(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace import`: a new run."""
    from ftspace.hub.imports.importing import import_run, imported

    stderr.print(f"importing {parsed.repo} …", markup=False, highlight=False)
    run = import_run(parsed.repo, RunStore(settings.runs_dir), parsed.revision, parsed.base)
    told = imported(run)
    assert told is not None
    for one in told.missing:
        stderr.print(f"note: {one}", markup=False, highlight=False, soft_wrap=True)
    if parsed.json:
        found = {"run_id": run.id, "status": RunReader(run).status(), **told.model_dump(mode="json")}
        stdout.file.write(json.dumps(found, indent=2) + "\n")
        return 0
    stdout.print(f"run {run.id} in {run.path}", markup=False, highlight=False, soft_wrap=True)
    say = [f"look at it: python -m ftspace runs show {run.id}", f"compare it: python -m ftspace runs evaluate {run.id}"]
    say += [f"train on: python -m ftspace merge {run.id} --out FOLDER, then python -m ftspace run --model FOLDER"]
    stderr.print("\n".join(say), markup=False, highlight=False, soft_wrap=True)
    return 0


def evaluate(parsed: argparse.Namespace, store: RunStore) -> int:
    """`ftspace runs evaluate`: the comparison once more."""
    from ftspace import jobs
    from ftspace.outcome import see_through
    from ftspace.settings import read_settings

    run = store.get(parsed.run)
    jobs.evaluate(run)
    reader = RunReader(run)
    reader.refresh()
    return see_through(reader, read_settings(getattr(parsed, "data_dir", None)), as_json=parsed.json)
