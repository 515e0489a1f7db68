"""The command `export`: what a run made, as a file. Parses, calls, prints; decides nothing itself."""

import argparse
import json
from pathlib import Path
from typing import Any

from ftspace.console import stderr, stdout
from ftspace.exporting import KINDS, write_export
from ftspace.merging import merge
from ftspace.runs import RunStore
from ftspace.settings import Settings


def add_export(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `export`."""
    parser = parsers.add_parser(
        "export",
        help="a run's adapter, merged model, config, answers, report or chats, to take along",
        usage="%(prog)s RUN --what adapter|merged|config|answers|report|chats --out PATH [--json]",
        description="Writes what a run made where other programs find it: the adapter's folder as a zip, the complete "
        "model in a folder (as ftspace merge does), the config as YAML, all answers as Parquet, the report as one HTML "
        "file, what was asked of its models on Compare, by ask and chat, as JSON Lines. There is no GGUF: llama.cpp's "
        "convert_hf_to_gguf.py makes it of the merged model.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument("--what", choices=KINDS, required=True, help="what to take")
    parser.add_argument("--out", required=True, metavar="PATH", help="a new file, or a new folder for the merged model")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def export(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace export`: status 0 when the file, or the model's folder, is there."""
    if parsed.what == "merged":
        return merge(argparse.Namespace(**vars(parsed), dtype="auto", keep_anyway=False), settings)
    run = RunStore(settings.runs_dir).get(parsed.run)
    out = Path(parsed.out)
    size = write_export(run, parsed.what, out)
    if parsed.json:
        stdout.file.write(json.dumps({"run_id": run.id, "what": parsed.what, "path": str(out), "bytes": size}) + "\n")
    stderr.print(f"{out}: {size:,} bytes", markup=False, highlight=False, soft_wrap=True)
    return 0
