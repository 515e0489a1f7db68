"""Results as a table: for a terminal (rich), Markdown and CSV, by what is compared, with all that must be known first.

Knows only Results: nothing of logs, statistics or files but the two it writes. Shares are shown in points of a hundred.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evals.files import write_text
from evals.plain import headline
from evals.results import Results, Role, Row, SideBySide
from evals.wording import amount, change_in_words, judge_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType

TITLES: dict[Role, str] = {
    "gain": "What tuning gave",
    "forgetting": "What it lost, worst first",
    "prompting": "Against the base with examples",
    "earlier": "Against other adapters",
    "reference": "Against a reference model",
    "noise": "Noise floor: the base asked again",
    "judge": "What judges say",
}
HEADINGS = ("task", "metric", "base", "tuned", "difference", "95 % interval", "p", "n", "verdict")
_NOTE = "Scores ± standard error, in points of 100 where they are shares; the interval is of the paired difference."
_CLEAN = " Clean: without the samples that training rows repeat."
_CELL = 300


@dataclass(frozen=True)
class Section:
    """Rows of one role, with the names of the sides at the head of their columns."""

    title: str
    first: str
    """What stands at the head of the scores of `against`."""
    second: str
    """What stands at the head of the scores of `side`."""
    rows: tuple[Row, ...]


def sections(rows: Sequence[Row]) -> list[Section]:
    """The table in parts, one for each role and, within it, for each two sides."""
    found: dict[tuple[Role, str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.role, row.against, row.side), []).append(row)
    return [Section(TITLES[role], first, second, tuple(some)) for (role, first, second), some in found.items()]


def cells(row: Row) -> tuple[str, ...]:
    """Return a row's texts, one for each of HEADINGS."""
    return (
        row.task + (" (clean)" if row.subset == "clean" else ""),
        row.metric + (" (lower is better)" if row.better == "lower" else ""),
        f"{amount(row.base, row.share)} ± {amount(row.base_stderr, row.share)}",
        f"{amount(row.tuned, row.share)} ± {amount(row.tuned_stderr, row.share)}",
        amount(row.delta, row.share, "+"),
        f"{amount(row.ci_low, row.share, '+')} to {amount(row.ci_high, row.share, '+')}",
        _p(row.p),
        "; ".join((str(row.n), *_counts(row))),
        "; ".join((row.verdict, *_limits(row))),
    )


def to_rich(results: Results) -> "RenderableType":
    """Return findings, table, verdict and samples for a rich Console; it fits into 80 columns."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    tones = {"bad": "bold red", "warning": "yellow", "note": "dim"}
    parts: list[RenderableType] = [Text.assemble((f"{head} ", "bold"), text) for head, text in _in_short(results)]
    parts += [Text.assemble((f"{one.tone}: {one.kind}. ", tones[one.tone]), one.message) for one in results.findings]
    parts += [Text.assemble((f"{head} ", "bold"), text) for head, text in _in_short(results)]
    parts += [Text("")] * bool(parts)
    colours = {"better": "green", "worse": "red"}
    for section in sections(results.rows):
        table = Table(title=section.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, width=80)
        table.show_lines, table.pad_edge, table.padding = True, False, (0, 0)
        table.add_column("task", overflow="fold")
        for heading, width in ((section.first, 9), (section.second, 9), ("difference", 16), ("n", 4)):
            table.add_column(Text(heading.replace("base-", "base-\n")), justify="right", width=width, overflow="fold")
        table.add_column("verdict", width=19)
        for row in section.rows:
            task, metric, base, tuned, delta, interval, p, _, _ = cells(row)
            said = [row.verdict, *([] if p == "–" else [f"p {p}"]), *_limits(row), *_counts(row)]
            table.add_row(
                Text(f"{task}\n{metric}"),
                base.replace(" ", "\n", 1),
                tuned.replace(" ", "\n", 1),
                f"{delta}\n{interval}",
                str(row.n),
                Text("\n".join(said), colours.get(row.verdict, "")),
            )
        parts.append(table)
    if results.rows:
        parts.append(Text(_note(results), "dim"))
    parts += [Text.assemble((head, "bold"), " ", text) for head, text in _lines(results)]
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
    """Return findings, table, verdict and samples as Markdown."""
    parts = ["\n".join(f"- **{one.tone}: {one.kind}.** {_escaped(one.message)}" for one in results.findings)] * bool(
        results.findings
    )
    parts += [f"**{head}** {_escaped(text)}" for head, text in _in_short(results)]
    for section in sections(results.rows):
        headings = tuple({"base": section.first, "tuned": section.second}.get(one, one) for one in HEADINGS)
        parts.append(f"### {section.title}")
        parts.append(_markdown_table(headings, [cells(row) for row in section.rows], "llrrrrrrl"))
    if results.rows:
        parts.append(_note(results))
    parts += [f"**{head}** {_escaped(text)}" for head, text in _lines(results)]
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


def _in_short(results: Results) -> list[tuple[str, str]]:
    """What the table comes to, in a sentence for everybody, with its head; nothing where there is no table."""
    return [("In short:", headline(results)[0])] if results.rows else []


def _note(results: Results) -> str:
    return _NOTE + _CLEAN * any(row.subset == "clean" for row in results.rows)


def _lines(results: Results) -> list[tuple[str, str]]:
    """What is told below the table, each with its head."""
    changed = [("Did anything change:", change_in_words(results.change))] if results.change is not None else []
    return [*changed, *(("Judge:", judge_in_words(one)) for one in results.judges)]


def _counts(row: Row) -> list[str]:
    """How many groups the samples are in, and how many have no score."""
    parts = [f"in {row.groups} groups"] if row.groups is not None else []
    if row.unscored:
        parts.append(f"{row.unscored} unscored")
    return parts


def _limits(row: Row) -> list[str]:
    """What a row could not show: how large a difference it may have missed, and how many samples would show this."""
    if row.verdict not in ("no difference shown", "too few to tell"):
        return []
    parts = [] if math.isnan(row.detectable) else [f"could miss {amount(row.detectable, row.share)}"]
    if row.needed is not None and row.needed > row.n:
        parts.append(f"needs {row.needed} to show it")
    return parts


def _p(p: float) -> str:
    return "–" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _sample_cells(one: SideBySide) -> tuple[str, ...]:
    answers = ((one.base, one.base_score), (one.tuned, one.tuned_score))
    return (
        _short(one.prompt),
        _short(one.expected),
        *(f"{_short(text)} [{'unscored' if math.isnan(score) else f'{score:g}'}]" for text, score in answers),
    )


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _short(text: str) -> str:
    flat = text.strip()
    return flat if len(flat) <= _CELL else flat[: _CELL - 1] + "…"


def _markdown_table(headings: tuple[str, ...], rows: list[tuple[str, ...]], align: str) -> str:
    rule = [":---" if side == "l" else "---:" for side in align]
    lines = [[_escaped(cell) for cell in headings], rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escaped(text: str) -> str:
    """Make a text safe inside a Markdown table: model output may hold anything."""
    for character in "\\`*_[]<>|~":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())
