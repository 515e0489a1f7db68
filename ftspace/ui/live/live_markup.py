"""A run at work and after it as HTML, for live.js to keep up to date. Every text that comes in is escaped here.

Of the words only those of the phase are told to screen readers by themselves: steps change each second.
"""

from collections.abc import Sequence
from html import escape

from ftspace.answers import Answered, Change
from ftspace.ui.live.curves_markup import curves
from ftspace.ui.live.live_view import Live
from ftspace.ui.markup import address, bar, note
from ftspace.ui.tune.complaints import labelled
from ftspace.words import sentence

ANSWERED = 5
"""So many sample questions are shown of a run at work."""
CELL = 280
"""Characters shown of each."""


def live(view: Live) -> str:
    """The state of a run: its phases, where it is, how far, its curves, what they say, and the facts.

    Each part has its place, also while there is nothing in it: what is beside it stays the same to live.js.
    """
    phases = "".join(
        f'<li class="ft-{state}"{" aria-current=step" if state == "now" else ""}>{escape(name)}</li>'
        for name, state in view.phases
    )
    facts = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in view.facts)
    warnings = "".join(note(warning) for warning in view.warnings)
    return (
        f'<section class="ft-live ft-{view.tone}"><ol class="ft-phases" aria-label="Phases">{phases}</ol>'
        f'<h2>{escape(view.headline)}</h2><p class="ft-unseen" role="status">{escape(view.said or view.headline)}</p>'
        f'<p class="ft-detail">{escape(labelled(view.detail))}</p><div>{_bar(view)}</div><div>{_diagnosis(view)}</div>'
        f'<div>{curves(view.curves)}</div><dl class="ft-facts">{facts}</dl><div>{warnings}</div>'
        f"<div>{_answered(view.answers, view.changes)}</div></section>"
    )


def shown(html: str, tag: str) -> str:
    """The place that live.js keeps up to date: what is shown, and its tag."""
    return f'<div id="live-view" data-tag="{escape(tag)}">{html}</div>'


def _diagnosis(view: Live) -> str:
    """What the curves say; beneath it what it rests on, what to do, and links that do it."""
    if view.diagnosis is None:
        return ""
    found, tone = view.diagnosis
    evidence = f"<p>{escape(sentence('; '.join(found.evidence)))}</p>" if found.evidence else ""
    change = f"<p><b>What to do:</b> {escape(labelled(found.change))}</p>" if found.change else ""
    links = "".join(f'<a class="ft-way" href="{address(place)}">{escape(words)}</a>' for words, place in view.ways)
    ways = f'<p class="ft-ways">{links}</p>' if links else ""
    return (
        f'<div class="ft-note ft-diagnosis ft-{tone}"><p><b>{escape(found.words)}</b></p>{evidence}{change}{ways}</div>'
    )


def _answered(answers: Sequence[Answered], changes: Sequence[Sequence[Change]]) -> str:
    """The first few sample questions: what is expected, what the base said, what is said now, and all in between."""
    if not answers:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_clipped(one.question)}</th><td data-label="Expected">{_clipped(one.reference)}</td>'
        f'<td data-label="Before">{_clipped(one.first)}</td><td data-label="Now">{_clipped(one.newest)}'
        f"{_over_time(place, changed)}</td></tr>"
        for place, (one, changed) in enumerate(zip(answers[:ANSWERED], changes, strict=False))
    )
    return (
        '<div class="ft-scroll" tabindex="0" role="region" aria-label="Sample answers"><table class="ft-answers">'
        f'<thead><tr><th scope="col">Asked</th><th scope="col">Expected</th><th scope="col">Before</th>'
        f'<th scope="col">After step {answers[0].step}</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _over_time(place: int, changes: Sequence[Change]) -> str:
    if len(changes) < 2:
        return ""
    items = "".join(f"<dt>{_steps(one)}</dt><dd>{_clipped(one.answer)}</dd>" for one in changes)
    return (
        f'<details class="ft-over-time" data-keep="answers-{place}"><summary>It changed {len(changes) - 1} '
        f"time{'' if len(changes) == 2 else 's'}</summary><dl>{items}</dl></details>"
    )


def _steps(one: Change) -> str:
    if one.since == one.until:
        return f"step {one.since:,}" if one.since else "before"
    return f"steps {one.since:,} to {one.until:,}"


def _clipped(text: str) -> str:
    """Text of a cell: its end where it is long, as a question stands last."""
    flat = text.strip()
    shown = escape(flat if len(flat) <= CELL else f"…{flat[1 - CELL :]}")
    return f'<span translate="no">{shown or "–"}</span>'


def _bar(view: Live) -> str:
    return "" if view.tone != "busy" and view.fraction is None else bar(view.fraction)
