"""HTML of a comparison: verdict, findings, tables by what they compare.

Every text that comes in is escaped here, and secrets are taken out of it.
"""

from collections.abc import Sequence
from html import escape

from ftspace.redact import redact
from ftspace.report.results_view import ResultLine, ResultsView, Section, Told

_COLUMNS = 6


def results(view: ResultsView) -> str:
    """The verdict, what must be known before it is believed, and a table for each question that is answered."""
    change = (
        f'<p class="ft-change"><strong>Did anything change?</strong> {safe(view.change)}.</p>' if view.change else ""
    )
    judges = "".join(f"<li>{safe(line)}</li>" for line in view.judges)
    told = f'<section class="ft-part"><h3>Judges</h3><ul class="ft-judges">{judges}</ul></section>' if judges else ""
    return (
        f'<section class="ft-results"><h2 class="ft-verdict ft-{view.tone}">{safe(view.verdict)}</h2>'
        f"{''.join(_finding(one) for one in view.findings)}{change}"
        f"{''.join(_section(one) for one in view.sections)}{told}"
        '<p class="ft-legend">Scores are points of 100, ± standard error, but where a metric counts something else. '
        "Beside each difference stands its 95 % interval; when that spans 0, the difference may be chance. The lines "
        "go from −100 to +100 points.</p></section>"
    )


def _finding(told: Told) -> str:
    role = "alert" if told.tone == "bad" else "status"
    return (
        f'<div class="ft-note ft-found-out ft-{told.tone}" role="{role}"><span><strong>{safe(told.title)}</strong> '
        f"{safe(told.message)}</span></div>"
    )


def _section(section: Section) -> str:
    title = safe(section.title)
    more = (
        f'<details class="ft-more"><summary>{len(section.more)} more metrics</summary>'
        f"{_table(section.heads, section.more, f'{title}, more metrics')}</details>"
        if section.more
        else ""
    )
    return (
        f'<section class="ft-part"><h3>{title}</h3><p>{safe(section.words)}</p>'
        f"{_table(section.heads, section.lines, title)}{more}</section>"
    )


def _table(heads: tuple[str, str], lines: Sequence[ResultLine], label: str) -> str:
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
    return (
        f'<div class="ft-scroll" tabindex="0" role="region" aria-label="{label}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(_row(heads, line) for line in lines)}</tbody></table></div>"
    )


def _row(heads: tuple[str, str], line: ResultLine) -> str:
    numbers = "".join(
        f'<td class="ft-num" data-label="{safe(label)}">{safe(value)}</td>'
        for label, value in zip(heads, (line.base, line.tuned), strict=True)
    )
    difference = f"<span><b>{safe(line.delta)}</b> <small>{safe(line.interval)}</small></span>{_forest(line)}"
    below = _below(line)
    under = f'<tr class="ft-below"><td colspan="{_COLUMNS}">{below}</td></tr>' if below else ""
    return (
        f'<tr class="ft-line"><th scope="row">{safe(line.task)}<small>{safe(line.metric)}</small></th>{numbers}'
        f'<td class="ft-forest" data-label="Difference">{difference}</td>'
        f'<td class="ft-num" data-label="n">{safe(line.n)}</td>'
        f'<td data-label="Verdict"><span class="ft-chip ft-{line.tone}">{safe(line.verdict)}</span></td></tr>{under}'
    )


def _below(line: ResultLine) -> str:
    """What stands beneath a row: the score without overlapping samples, and what a statistician asks for."""
    clean = f'<p class="ft-clean">{safe(line.clean)}</p>' if line.clean else ""
    facts = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in line.details)
    return f"{clean}<details><summary>Details</summary><dl>{facts}</dl></details>" if facts else clean


def _forest(line: ResultLine) -> str:
    """The difference as a dot with its interval, on a line from -100 to +100 points."""
    if line.span is None:
        return ""
    low, mid, high = (60 + 54 * end for end in line.span)
    said = safe(f"{line.delta} points, {line.interval}")
    return (
        f'<svg viewBox="0 0 120 14" class="ft-{line.tone}" role="img" aria-label="{said}">'
        '<line x1="6" x2="114" y1="7" y2="7" class="ft-axis"/><line x1="60" x2="60" y1="1" y2="13" class="ft-zero"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7" class="ft-ci"/>'
        f'<circle cx="{mid:.1f}" cy="7" r="3.5"/></svg>'
    )


def answers(question: str, expected: str, given: Sequence[tuple[str, str]], prompt: str) -> str:
    """One sample in full, both answers side by side, each with who gave it, all of it as plain text."""
    figures = "".join(f"<figure><figcaption>{safe(who)}</figcaption>{_block(text)}</figure>" for who, text in given)
    return (
        f'<section class="ft-sample"><dl><dt>Question</dt><dd>{_block(question)}</dd>'
        f"<dt>Expected</dt><dd>{_block(expected)}</dd></dl>"
        f'<div class="ft-pair">{figures}</div>'
        f"<details><summary>The prompt as the model was given it</summary>{_block(prompt)}</details></section>"
    )


def safe(text: str) -> str:
    """A text that came from elsewhere as HTML, secrets taken out of it."""
    return escape(redact(text))


def _block(text: str) -> str:
    return f"<pre>{safe(text)}</pre>" if text.strip() else '<pre class="ft-none">(nothing)</pre>'
