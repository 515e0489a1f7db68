"""The command `merge`: a run's tuned model as a folder of its own. Parses, calls, prints; decides nothing itself."""

import argparse
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ftspace.console import stderr, stdout
from ftspace.runs import RunStore
from ftspace.settings import Settings, go_offline

if TYPE_CHECKING:
    from ftspace.training.merge import Merged


def add_merge(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `merge`."""
    parser = parsers.add_parser(
        "merge",
        help="a run's adapter merged into its base: a complete model in a folder",
        usage="%(prog)s RUN --out FOLDER [--dtype auto|float32|bfloat16|float16] [--keep-anyway] [--json]",
        description="Merges a run's adapter into its base and writes a complete model, with tokenizer and chat "
        "template, which transformers and servers load as it is. The folder is loaded again and asked some of the "
        "run's test questions: unless logits agree with base plus adapter to rounding, nothing is kept.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="a new or empty folder to write")
    parser.add_argument(
        "--dtype",
        default="auto",
        metavar="DTYPE",
        help="of the weights: auto (the base's own; bfloat16 for a quantized base), float32, bfloat16 or float16",
    )
    parser.add_argument(
        "--keep-anyway", action="store_true", help="keep a model that does not answer as base plus adapter"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def merge(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace merge`: status 0 when the merged model answers as it must, 1 when it was only kept."""
    run = RunStore(settings.runs_dir).get(parsed.run)
    if run.config.hub.offline:
        go_offline()
    stderr.print("loading libraries …")
    from ftspace.training.merge import merge as merge_run

    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _Shown() as shown:
            merged = merge_run(run, Path(parsed.out), parsed.dtype, keep_anyway=parsed.keep_anyway, tell=shown.tell)
    finally:
        signal.signal(signal.SIGTERM, previous)
    for warning in merged.warnings():
        stderr.print(f"warning: {warning}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not merged.ok:
        said = f"the model is kept, but it does not answer as base plus adapter: {merged.parity}"
        stderr.print(f"error: {said}", style="red", markup=False, highlight=False, soft_wrap=True)
    if parsed.json:
        stdout.file.write(merged.model_dump_json(indent=2) + "\n")
    else:
        stdout.print(_table(merged))
    return 0 if merged.ok else 1


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM as Ctrl-C: what is half written goes."""
    raise KeyboardInterrupt


class _Shown:
    """The progress: a bar on a terminal, else a line for each part of the work."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        self._bars = Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True)
        self._bar = self._bars.add_task("", visible=False)
        self._last = ""

    def __enter__(self) -> "_Shown":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def tell(self, what: str, done: int, total: int) -> None:
        """Shows what is done now."""
        self._bars.update(self._bar, description=escape(what), completed=done, total=total, visible=total > 1)
        if what != self._last:
            stderr.print(f"{what} …", markup=False, highlight=False, soft_wrap=True)
            self._last = what


def _table(merged: "Merged") -> Table:
    table = Table(show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("found")
    rows = {
        "folder": merged.folder,
        "weights": f"{merged.dtype}, {merged.bytes / 1e6:,.1f} MB",
        "from base plus adapter": str(merged.parity) if merged.parity else "every weight was trained: copied",
        "allowed": f"mean KL {merged.tolerance:.1e} nats a token" if merged.tolerance else None,
        "from the base alone": str(merged.tuning) if merged.tuning else None,
        "from the quantized base plus adapter": str(merged.quantized) if merged.quantized else None,
    }
    for what, found in rows.items():
        if found:
            table.add_row(what, escape(found))
    return table
