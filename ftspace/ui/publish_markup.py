"""HTML of the Publish step: a push, what it would hold, where a report is. Every text that comes in is escaped here."""

from collections.abc import Sequence
from html import escape

from ftspace.redact import redact
from ftspace.ui import markup
from ftspace.ui.publish_view import PushView


def push(view: PushView | None) -> str:
    """How far a push is, or how it ended; "" when there was none."""
    if view is None:
        return ""
    warnings = "".join(markup.note(warning, "warn") for warning in view.warnings)
    link = f'<p><a class="ft-link" href="{_page(view.url)}" target="_blank" rel="noopener">{escape(view.url)}</a></p>'
    bar = markup.bar(view.fraction) if view.at_work else ""
    return (
        f'<section class="ft-live ft-{view.tone}"><h2 role="status">{escape(redact(view.headline))}</h2>'
        f'<p class="ft-detail">{escape(redact(view.detail))}</p>{bar}{link if view.url else ""}{warnings}</section>'
    )


def _page(url: str) -> str:
    return escape(url) if url.startswith(("https://", "http://")) else "#"


def bundle(files: Sequence[tuple[str, str]], left_out: Sequence[tuple[str, str]], card: str) -> str:
    """What a push would hold, each file with its size; what it would not, with the reason; and the card as it is."""
    there = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="ft-num">{escape(size)}</td></tr>' for name, size in files
    )
    missing = "".join(f"<li><b>{escape(redact(what))}</b>: {escape(redact(why))}</li>" for what, why in left_out)
    return (
        '<section class="ft-results ft-bundle"><h3>What is pushed</h3>'
        '<div class="ft-scroll" tabindex="0" role="region" aria-label="Files">'
        '<table><thead><tr><th scope="col">File</th><th scope="col" class="ft-num">Size</th></tr>'
        f"</thead><tbody>{there}</tbody></table></div>"
        f"{f'<h3>What is left out</h3><ul>{missing}</ul>' if missing else ''}"
        f'<details><summary>The card (README.md)</summary><pre class="ft-row" tabindex="0">{escape(redact(card))}</pre>'
        "</details></section>"
    )


def reports(run_id: str) -> str:
    """Where a run's report is: as a page, as a file, and as a file without questions and answers."""
    page = f"report/{escape(run_id)}"
    return (
        '<p class="ft-reports">'
        f'<a class="ft-link" href="{page}" target="_blank" rel="noopener">Open the report</a>'
        f'<a class="ft-link" href="{page}?download=1" download>Download it (HTML)</a>'
        f'<a class="ft-link" href="{page}?download=1&amp;texts=no" download>Download it without questions and answers'
        "</a></p>"
    )
