"""The command `report`: a run's report as an HTML file. Parses, calls, prints; decides nothing itself."""

import argparse
from pathlib import Path
from typing import Any

from evals.errors import LogError
from evals.files import write_text
from ftspace.console import stderr
from ftspace.errors import JobError
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings


def add_report(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `report`."""
    parser = parsers.add_parser(
        "report",
        help="a run's results as one HTML file to show to others",
        usage="%(prog)s RUN --out FILE.html [--no-texts]",
        description="Writes what a run came to into one HTML file that needs nothing besides: verdict, findings, table "
        "with intervals, plots, the worst regressions, recipe, data, versions, how to do it again. It can be opened "
        "without a network, printed and sent.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument("--out", required=True, metavar="FILE.html", help="the file to write; one that is there goes")
    parser.add_argument(
        "--no-texts", action="store_true", help="leave out questions, answers and prompts, as where rows are private"
    )


def report(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace report`: writes the file; the exit status."""
    run = RunStore(settings.runs_dir).get(parsed.run)
    out = Path(parsed.out).expanduser()
    try:
        write_text(out, report_html(run, texts=not parsed.no_texts))
    except LogError as error:
        raise JobError(str(error)) from error
    stderr.print(f"{out} holds the report, {out.stat().st_size / 1e3:,.0f} kB", markup=False, highlight=False)
    return 0


def report_html(run: Run, *, texts: bool = True, link: str = "") -> str:
    """A run's report as HTML. Raises JobError, and LogError for results that cannot be read."""
    from ftspace.report.gather import gather
    from ftspace.report.page import render

    return render(gather(run, texts=texts), link)
