"""HTML for what gradio has no widget for. Knows neither gradio nor runs; every text that comes in is escaped here."""

from collections.abc import Sequence
from html import escape

from ftspace.answers import Answered
from ftspace.redact import redact
from ftspace.report import chart
from ftspace.ui.live_view import Live
from ftspace.ui.views import RunLine
from ftspace.words import Tone

ANSWERED = 5
"""So many sample questions are shown of a run at work."""
CELL = 280
"""Characters shown of each."""


def header(run: RunLine | None) -> str:
    """The page's head: the name, and the open run with a way back to the start."""
    mark = (
        '<svg class="ft-mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 17c4 0 5-10 9-10s4 6 9 6" fill="none" '
        'stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/><circle cx="21" cy="13" r="2.2" '
        'fill="currentColor"/></svg>'
    )
    name = f'<a class="ft-name" href="?">{mark}<span>ftspace</span></a>'
    if run is None:
        aside = '<p class="ft-lead">Fine-tune a model. See whether it got better.</p>'
    else:
        aside = (
            f'<div class="ft-open"><span class="ft-open-title" title="Run {escape(run.id)}">{escape(run.title)}</span>'
            f'<a class="ft-link" href="?">All runs</a></div>'
        )
    return f'<header class="ft-header">{name}{aside}</header>'


def heading(title: str, text: str) -> str:
    """The head of a step: what it is about, in a question, and a line beneath."""
    return f'<div class="ft-heading"><h2>{escape(title)}</h2><p>{escape(text)}</p></div>'


def note(text: str, tone: Tone = "idle", link: tuple[str, str] | None = None) -> str:
    """A line that says something, no secret in it; `link` is (words, address) behind it. "" for no text."""
    if not text:
        return ""
    role = "alert" if tone == "bad" else "status"
    after = f" {anchor(*link)}" if link else ""
    return f'<div class="ft-note ft-{tone}" role="{role}"><span>{escape(redact(text))}{after}</span></div>'


def address(place: str) -> str:
    """An address on this page or on the web; what would be run as a script leads nowhere."""
    return escape(place) if place.startswith(("?", "#", "https://", "http://")) else "#"


def anchor(words: str, place: str) -> str:
    """A link. One that leads away opens a page of its own: a Space's frame opens no other, and the form stays."""
    away = ' target="_blank" rel="noopener"' if place.startswith(("https://", "http://")) else ""
    return f'<a class="ft-link" href="{address(place)}"{away}>{escape(words)}</a>'


def empty(title: str, text: str) -> str:
    """What a panel shows while there is nothing to show."""
    return f'<div class="ft-empty"><h3>{escape(title)}</h3><p>{escape(text)}</p></div>'


def runs(lines: Sequence[RunLine], others: Sequence[RunLine] = ()) -> str:
    """The list of one's own runs, each a link that opens it; and beneath it that of others."""
    if not lines:
        own = empty("No runs yet", "Every run you start is kept here, with its curves, its answers and its verdict.")
    else:
        own = listed(lines)
    return own + (heading("Shown by others", "What they let everybody see.") + listed(others) if others else "")


def listed(lines: Sequence[RunLine]) -> str:
    """Runs, each a link that opens it."""
    items = "".join(
        f'<li><a href="?run={escape(line.id)}"><span class="ft-dot ft-{line.tone}"></span>'
        f'<span class="ft-run-title">{escape(line.title)}</span><span class="ft-run-words">{escape(line.words)}</span>'
        f'<span class="ft-run-when">{escape(line.when)}</span></a></li>'
        for line in lines
    )
    return f'<ul class="ft-runs">{items}</ul>'


def preview(texts: Sequence[tuple[str, Sequence[tuple[int, int]]]], words: str) -> str:
    """Rendered conversations; the stretches that are trained are marked."""
    cards = "".join(f'<pre class="ft-row" tabindex="0">{_marked(text, spans)}</pre>' for text, spans in texts)
    legend = '<p class="ft-legend"><mark>Marked</mark> is what the model learns to write. The rest it only reads.</p>'
    return f'<div class="ft-preview"><p class="ft-words">{escape(words)}</p>{cards}{legend}</div>'


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for start, stop in spans:
        parts.append(f"{escape(text[at:start])}<mark>{escape(text[start:stop])}</mark>")
        at = stop
    return "".join(parts) + escape(text[at:])


def live(view: Live) -> str:
    """The state of a run: its phases, where it is, how far, and the facts."""
    phases = "".join(
        f'<li class="ft-{state}"{" aria-current=step" if state == "now" else ""}>{escape(name)}</li>'
        for name, state in view.phases
    )
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in view.facts)
    warnings = "".join(note(warning) for warning in view.warnings)
    diagnosis = note(*view.diagnosis) if view.diagnosis else ""
    return (
        f'<section class="ft-live ft-{view.tone}"><ol class="ft-phases">{phases}</ol>'
        f'<h2 role="status">{escape(view.headline)}</h2><p class="ft-detail">{escape(view.detail)}</p>'
        f"{_bar(view)}{chart.draw(view.training, view.validation, view.every)}"
        f'<dl class="ft-facts">{facts}</dl>{diagnosis}{warnings}{_answered(view.answers)}</section>'
    )


def shown(html: str, tag: str, known: str) -> str:
    """The place that live.js keeps up to date: what is shown, its tag, and what the page's other widgets know."""
    return f'<div id="live-view" data-tag="{escape(tag)}" data-known="{escape(known)}">{html}</div>'


def _answered(answers: Sequence[Answered]) -> str:
    """The first few sample questions: what is expected, what the base said and what is said now."""
    if not answers:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_clipped(one.question)}</th><td data-label="Expected">{_clipped(one.reference)}</td>'
        f'<td data-label="Before">{_clipped(one.first)}</td><td data-label="Now">{_clipped(one.newest)}</td></tr>'
        for one in answers[:ANSWERED]
    )
    return (
        '<div class="ft-scroll" tabindex="0" role="region" aria-label="Sample answers"><table class="ft-answers">'
        f'<thead><tr><th scope="col">Asked</th><th scope="col">Expected</th><th scope="col">Before</th>'
        f'<th scope="col">After step {answers[0].step}</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _clipped(text: str) -> str:
    """Text of a cell: its end where it is long, as a question stands last."""
    flat = text.strip()
    return escape(flat if len(flat) <= CELL else f"…{flat[1 - CELL :]}") or "–"


def _bar(view: Live) -> str:
    return "" if view.tone != "busy" and view.fraction is None else bar(view.fraction)


def bar(fraction: float | None) -> str:
    """How far something is, from 0 to 1; None while that cannot be said."""
    if fraction is None:
        return '<div class="ft-bar ft-unknown" role="progressbar" aria-label="Progress"><span></span></div>'
    percent = round(100 * fraction)
    return (
        f'<div class="ft-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><span style="width:{percent}%"></span></div>'
    )
