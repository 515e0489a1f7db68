"""HTML of a comparison: verdict, findings, tables by what they compare.

Every text that comes in is escaped here, and secrets are taken out of it.
"""

from collections.abc import Sequence
from html import escape

from ftspace.redact import redact
from ftspace.report.lanes import Axis, axis, lane, marks
from ftspace.report.results_view import ResultLine, ResultsView, Section, Told

_COLUMNS = 6
_LONG, _LONG_LINES = 500, 12


def results(view: ResultsView) -> str:
    """The verdict, what must be known before it is believed, and a table for each question that is answered."""
    change = (
        f'<p class="ft-change"><strong>Did anything change?</strong> {safe(view.change)}.</p>' if view.change else ""
    )
    judges = "".join(f"<li>{safe(line)}</li>" for line in view.judges)
    told = f'<section class="ft-part"><h3>Judges</h3><ul class="ft-judges">{judges}</ul></section>' if judges else ""
    on = axis(line.span for section in view.sections for line in section.lines)
    return (
        f'<section class="ft-results"><h2 class="ft-verdict ft-{view.tone}">{safe(view.verdict)}</h2>'
        f"{''.join(_finding(one) for one in view.findings)}{change}"
        f"{''.join(_section(one, on) for one in view.sections)}{told}"
        '<p class="ft-legend">Scores are points of 100, ± standard error, but where a metric counts something else. '
        "Beside each difference stands its 95 % interval; when that spans 0, the difference may be chance. Drawn are "
        "the difference as a dot and the interval as a line, all on one axis; the broken line is no difference."
        "</p></section>"
    )


def _finding(told: Told) -> str:
    role = "alert" if told.tone == "bad" else "status"
    return (
        f'<div class="ft-note ft-found-out ft-{told.tone}" role="{role}"><span><strong>{safe(told.title)}</strong> '
        f"{safe(told.message)}</span></div>"
    )


def _section(section: Section, on: Axis | None) -> str:
    title = safe(section.title)
    own = axis(line.span for line in section.more)
    more = (
        f'<details class="ft-more"><summary>{len(section.more)} more metrics</summary>'
        f"{table(section.heads, section.more, f'{title}, more metrics', own)}</details>"
        if section.more
        else ""
    )
    return (
        f'<section class="ft-part"><h3>{title}</h3><p>{safe(section.words)}</p>'
        f"{table(section.heads, section.lines, title, on)}{more}</section>"
    )


def table(heads: tuple[str, str], lines: Sequence[ResultLine], label: str, on: Axis | None) -> str:
    """Rows with their differences drawn on an axis, in a table called `label`, which is HTML already."""
    head = "".join(
        f'<th scope="col"{" class=ft-num" if numeric else ""}>{safe(word)}</th>'
        for word, numeric in [
            ("Task", False),
            (heads[0], True),
            (heads[1], True),
            ("Difference", False),
            ("n", True),
            ("Verdict", False),
        ]
    )
    drawn = on is not None and any(line.span for line in lines)
    foot = (
        f'<tfoot aria-hidden="true"><tr><td colspan="3"></td><td class="ft-forest">{marks(on)}</td>'
        '<td colspan="2"></td></tr></tfoot>'
        if on is not None and drawn
        else ""
    )
    return (
        f'<div class="ft-scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(_row(heads, line, on) for line in lines)}</tbody>{foot}</table></div>"
    )


def _row(heads: tuple[str, str], line: ResultLine, on: Axis | None) -> str:
    numbers = "".join(
        f'<td class="ft-num" data-label="{safe(label)}">{safe(value)}</td>'
        for label, value in zip(heads, (line.base, line.tuned), strict=True)
    )
    difference = f"<span><b>{safe(line.delta)}</b> <small>{safe(line.interval)}</small></span>"
    drawn = f'<div class="ft-{line.tone}">{lane(line.span, on)}</div>' if line.span and on else ""
    below = _below(line)
    under = f'<tr class="ft-below"><td colspan="{_COLUMNS}">{below}</td></tr>' if below else ""
    return (
        f'<tr class="ft-line"><th scope="row"><span translate="no">{safe(line.task)}</span>'
        f"<small>{safe(line.metric)}</small></th>{numbers}"
        f'<td class="ft-forest" data-label="Difference">{difference}{drawn}</td>'
        f'<td class="ft-num" data-label="n">{safe(line.n)}</td>'
        f'<td data-label="Verdict"><span class="ft-chip ft-{line.tone}">{safe(line.verdict)}</span></td></tr>{under}'
    )


def _below(line: ResultLine) -> str:
    """What stands beneath a row: the score without overlapping samples, and what a statistician asks for."""
    clean = f'<p class="ft-clean">{safe(line.clean)}</p>' if line.clean else ""
    facts = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in line.details)
    return f"{clean}<details><summary>Details</summary><dl>{facts}</dl></details>" if facts else clean


def safe(text: str) -> str:
    """A text that came from elsewhere as HTML, secrets taken out of it."""
    return escape(redact(text))


def block(text: str) -> str:
    """A text of any length that keeps its lines; one that may have to be scrolled can be reached by keyboard."""
    return preformatted([(redact(text), False)])


def preformatted(pieces: Sequence[tuple[str, bool]]) -> str:
    """The same of a text in pieces without secrets, some of them marked."""
    text = "".join(piece for piece, _ in pieces)
    if not text.strip():
        return '<pre class="ft-none">(nothing)</pre>'
    reached = ' tabindex="0"' if len(text) > _LONG or text.count("\n") > _LONG_LINES else ""
    html = "".join(f"<mark>{escape(one)}</mark>" if marked else escape(one) for one, marked in pieces)
    return f"<pre{reached}>{html}</pre>"
