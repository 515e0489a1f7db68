"""HTML for what gradio has no widget for. Knows neither gradio nor runs; every text that comes in is escaped here."""

from collections.abc import Sequence
from html import escape

from ftspace.redact import redact
from ftspace.ui.views import RunLine
from ftspace.words import Tone


def header(run: RunLine | None, status: tuple[str, Tone] | None = None) -> str:
    """The page's head: a way past it, the name, and the open run with its status and a way back to the start."""
    mark = (
        '<svg class="ft-mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 17c4 0 5-10 9-10s4 6 9 6" fill="none" '
        'stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/><circle cx="21" cy="13" r="2.2" '
        'fill="currentColor"/></svg>'
    )
    name = f'<a class="ft-name" href="?">{mark}<span>ftspace</span></a>'
    if run is None:
        aside = (
            '<h1 class="ft-lead">Fine-tune a model. See whether it got better.</h1>'
            '<button type="button" class="ft-link" data-tour hidden>Take the tour</button>'
        )
    else:
        chip = f'<span class="ft-chip ft-{status[1]}">{escape(status[0])}</span>' if status else ""
        aside = (
            f'<h1 class="ft-open-title" title="Run {escape(run.id)}">'
            f'<span translate="no">{escape(run.title)}</span></h1>{chip}'
            f'<a class="ft-link" href="?">New run</a><a class="ft-link" href="?runs">All runs</a>'
        )
    aside += (
        '<button type="button" class="ft-link" data-language="zh-CN" lang="zh-CN" translate="no">中文</button>'
        '<button type="button" class="ft-link" data-language="en" lang="en" translate="no">English</button>'
    )
    skip = '<a class="ft-skip" href="#steps">Skip to the open step</a>'
    return f'<header class="ft-header">{skip}{name}<div class="ft-open">{aside}</div></header>'


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


def preview(texts: Sequence[tuple[str, Sequence[tuple[int, int]]]], words: str) -> str:
    """Rendered conversations; the stretches that are trained are marked."""
    cards = "".join(f'<pre class="ft-row" tabindex="0">{_marked(text, spans)}</pre>' for text, spans in texts)
    marked = '<span class="ft-marked">Marked</span>'
    legend = f'<p class="ft-legend">{marked} is what the model learns to write. The rest it only reads.</p>'
    return f'<div class="ft-preview">{legend}<p class="ft-words">{escape(words)}</p>{cards}</div>'


def _marked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts: list[str] = []
    at = 0
    for start, stop in spans:
        parts.append(f"{escape(text[at:start])}<mark>{escape(text[start:stop])}</mark>")
        at = stop
    return "".join(parts) + escape(text[at:])


def bar(fraction: float | None) -> str:
    """How far something is, from 0 to 1; None while that cannot be said."""
    if fraction is None:
        return '<div class="ft-bar ft-unknown" role="progressbar" aria-label="Progress"><span></span></div>'
    percent = round(100 * fraction)
    return (
        f'<div class="ft-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><span style="width:{percent}%"></span></div>'
    )
