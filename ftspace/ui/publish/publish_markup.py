"""HTML of the Publish step: a push, what it would hold, what can be taken along, what a deploy would do.

Every text that comes in is escaped here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ftspace.errands import State
from ftspace.hub.spaces.hardware import HOURS_A_MONTH, TABLE
from ftspace.redact import redact
from ftspace.ui import markup
from ftspace.ui.publish.publish_card import card_html
from ftspace.ui.publish.publish_view import PushView, size
from ftspace.words import Tone, sentence

_TONES: dict[str, Tone] = {"working": "busy", "stopping": "busy", "done": "good", "failed": "bad", "stopped": "idle"}
_FLAGS = {
    "or give --sleep MINUTES": "or set a time to sleep",
    "or give --private": "or tick “Only I see it”",
    "--storage keeps them": "a storage bucket keeps them",
    "choose more with --hardware": "choose larger hardware",
}


@dataclass(frozen=True)
class File:
    """Something to take along."""

    name: str
    kind: str
    """Its format, and its size where that is known."""
    words: str
    address: str


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


def bundle(
    where: str, files: Sequence[tuple[str, int]], left_out: Sequence[tuple[str, str]], card: str, picture: bytes
) -> str:
    """What a push would hold: where it goes, each file with its size, what is left out and why, the card."""
    there = "".join(
        f'<tr translate="no"><th scope="row">{escape(name)}</th><td class="ft-num">{size(count)}</td></tr>'
        for name, count in files
    )
    missing = "".join(f"<li><b>{escape(redact(what))}</b>: {escape(redact(why))}</li>" for what, why in left_out)
    whole = f"{len(files)} files, {size(sum(count for _, count in files))}"
    return (
        f'<section class="ft-results ft-bundle"><h3>What is pushed: {whole}</h3><p>{escape(where)}</p>'
        '<div class="ft-scroll" tabindex="0" role="region" aria-label="Files">'
        '<table><thead><tr><th scope="col">File</th><th scope="col" class="ft-num">Size</th></tr>'
        f"</thead><tbody>{there}</tbody></table></div>"
        f"{f'<h3>What is left out</h3><ul>{missing}</ul>' if missing else ''}</section>"
        f'<section class="ft-results ft-bundle"><h3>The card, as the Hub will show it</h3>{card_html(card, picture)}'
        f'<details><summary>Its text (README.md)</summary><pre class="ft-row" tabindex="0">{escape(redact(card))}</pre>'
        "</details></section>"
    )


def take_along(files: Sequence[File]) -> str:
    """What can be taken along now, each as a link."""
    items = "".join(
        f'<li><a class="ft-link" href="{_own(one.address)}" download>{escape(one.name)}'
        f'<span class="ft-kind"> ({escape(one.kind)})</span></a><span>{escape(one.words)}</span></li>'
        for one in files
    )
    return f'<ul class="ft-files">{items}</ul>'


def _own(address: str) -> str:
    """An address of this app's own files; any other leads nowhere."""
    return escape(address) if address.startswith(("export/", "report/")) else "#"


def line(text: str) -> str:
    """A quiet line."""
    return f'<p class="ft-words">{escape(redact(text))}</p>' if text else ""


def errand(state: State, head: str, more: str = "") -> str:
    """How far an errand is, or how it ended; `more` is HTML beneath it. "" when there was none."""
    if state.status == "none":
        return ""
    bar = markup.bar(state.done / state.total if state.total else None) if state.is_at_work else ""
    said = state.said if state.status != "stopping" else "It takes some seconds."
    dots = " …" if state.status == "working" else ""
    words = (said[:1].upper() + said[1:] + dots) if dots else sentence(said) if said else ""
    return (
        f'<section class="ft-live ft-{_TONES[state.status]}"><h3 role="status">{escape(head)}</h3>'
        f'<p class="ft-detail">{escape(redact(words))}</p>{bar}{more}</section>'
    )


def plan(told: Mapping[str, Any]) -> str:
    """What a deploy would do, in its order, what it costs, and what speaks against it."""
    steps = "".join(f"<li>{escape(redact(str(one)))}</li>" for one in told.get("steps", ()))
    doubts = "".join(markup.note(_in_the_app(str(one)), "warn") for one in told.get("doubts", ()))
    space = escape(str(told.get("space", "")))
    rows = {
        "Space": f"{space}, {'new' if told.get('new') else 'there already'}",
        "Runs on": escape(str(told.get("hardware_words", ""))),
        "Files": f"{told.get('files', 0)}, {size(int(told.get('bytes', 0)))}",
    }
    facts = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows.items())
    todo = f"<ol>{steps}</ol>" if steps else "<p>Nothing has to be done: the Space has all of it.</p>"
    return (
        f'<section class="ft-results ft-plan"><h3 role="status">What it would do</h3><dl>{facts}</dl>{todo}{doubts}'
        "</section>"
    )


def _in_the_app(doubt: str) -> str:
    """A doubt of a plan as a sentence, its flags by the names that they have on the page."""
    for flag, name in _FLAGS.items():
        doubt = doubt.replace(flag, name)
    return sentence(doubt)


def hardware() -> str:
    """What a Space can run on, and what that costs."""
    rows = "".join(
        f'<tr><th scope="row" translate="no">{escape(one.name)}</th><td>{escape(one.title)}</td>'
        f'<td class="ft-num">{_dollars(one.dollars_an_hour, 2)}</td>'
        f'<td class="ft-num">{_dollars((one.dollars_an_hour or 0) * HOURS_A_MONTH, 0)}</td></tr>'
        for one in TABLE
    )
    return (
        f'<details class="ft-prices"><summary>What each costs ({escape(TABLE[0].source)}; the plan asks the Hub)'
        '</summary><div class="ft-scroll" tabindex="0" role="region" aria-label="Hardware and prices"><table>'
        '<thead><tr><th scope="col">Name</th><th scope="col">What it is</th><th scope="col" class="ft-num">An hour</th>'
        '<th scope="col" class="ft-num">A month</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _dollars(amount: float | None, places: int) -> str:
    return "free" if not amount else f"${amount:,.{places}f}"


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
