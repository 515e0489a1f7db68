"""Results as a table: for a terminal (rich), Markdown and CSV, and the samples side by side.

Knows only Results: nothing of logs, statistics or files but the two it writes. Scores are shown in points of a hundred.
"""

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

from evals.log import Results, Row, SideBySide, write_text

if TYPE_CHECKING:
    from rich.console import RenderableType

HEADINGS = ("task", "metric", "base", "tuned", "difference", "95 % interval", "n", "unscored", "verdict")
_CELL = 300


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's texts, one for each of HEADINGS."""
    return (
        row.task,
        row.metric,
        f"{_points(row.base)} ± {_points(row.base_stderr)}",
        f"{_points(row.tuned)} ± {_points(row.tuned_stderr)}",
        _points(row.delta, "+"),
        f"{_points(row.ci_low, '+')} to {_points(row.ci_high, '+')}",
        str(row.n),
        str(row.unscored),
        row.verdict,
    )


def to_rich(results: Results) -> "RenderableType":
    """Return the table, the verdict and the samples for a rich Console; it fits into 80 columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    if results.rows:
        title = "Points of 100 ± standard error; difference with its 95 % interval"
        table = Table(title=title, box=box.SIMPLE_HEAD, show_lines=True, pad_edge=False, collapse_padding=True)
        for heading in ("task", "base", "tuned", "difference", "n", "verdict"):
            numeric = heading not in ("task", "verdict")
            table.add_column(heading, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
        colours = {"better": "green", "worse": "red"}
        for row in results.rows:
            task, metric, base, tuned, delta, interval, n, unscored, words = cells(row)
            table.add_row(
                Text(f"{task}\n{metric}"),
                base,
                tuned,
                f"{delta}\n{interval}",
                f"{n}\n{unscored} unscored" if row.unscored else n,
                Text(words, style=colours.get(row.verdict, "")),
            )
        parts.append(table)
    parts.append(Text.assemble(("Verdict: ", "bold"), results.verdict))
    if results.samples:
        answers = Table(title="Samples, not chosen by their outcome", show_lines=True)
        for heading in ("prompt", "expected", "base", "tuned"):
            answers.add_column(heading, overflow="fold")
        for one in results.samples:
            answers.add_row(*(Text(cell) for cell in _sample_cells(one)))
        parts.append(answers)
    return Group(*parts)


def to_markdown(results: Results) -> str:
    """Return the table, the verdict and the samples as Markdown."""
    parts: list[str] = []
    if results.rows:
        parts.append(_markdown_table(HEADINGS, [cells(row) for row in results.rows], "llrrrrrrl"))
        parts.append("Scores are points of 100 ± standard error; the interval is of the paired difference.")
    parts.append(f"**Verdict:** {_escaped(results.verdict)}")
    if results.samples:
        headings = ("prompt", "expected", "base", "tuned")
        parts.append(_markdown_table(headings, [_sample_cells(one) for one in results.samples], "llll"))
    return "\n\n".join(parts) + "\n"


def to_csv(results: Results) -> str:
    """Return the rows as CSV with a heading line, numbers in full and as fractions.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row.model_fields)
    for row in results.rows:
        writer.writerow(_harmless(value) if isinstance(value, str) else value for value in row.model_dump().values())
    return out.getvalue()


def write_tables(folder: Path, results: Results) -> None:
    """Write `table.md` and `table.csv` into a folder. Raises LogError if the disk refuses."""
    write_text(folder / "table.md", to_markdown(results))
    write_text(folder / "table.csv", to_csv(results))


def _sample_cells(one: SideBySide) -> tuple[str, ...]:
    answers = ((one.base, one.base_score), (one.tuned, one.tuned_score))
    return (
        _short(one.prompt),
        _short(one.expected),
        *(f"{_short(text)} [{'unscored' if math.isnan(score) else f'{score:g}'}]" for text, score in answers),
    )


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _points(share: float, sign: str = "") -> str:
    return "–" if math.isnan(share) else f"{100 * share:{sign}.1f}"


def _short(text: str) -> str:
    flat = text.strip()
    return flat if len(flat) <= _CELL else flat[: _CELL - 1] + "…"


def _markdown_table(headings: tuple[str, ...], rows: list[tuple[str, ...]], align: str) -> str:
    rule = [":---" if side == "l" else "---:" for side in align]
    lines = [headings, rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escaped(text: str) -> str:
    """Make a text safe inside a Markdown table: model output may hold anything."""
    for character in "\\`*_[]<>|~":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
