"""HTML of the gallery: a card for each run, what can be done with it, and the form for its title, tags and note.

Knows neither gradio nor folders; every text that comes in is escaped here. Buttons say in `data-act` what they do, and
gallery.js does it.
"""

import json
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from ftspace.gallery import Entry
from ftspace.labels import NOTE, TAG, TAGS, TITLE, Label
from ftspace.redact import redact
from ftspace.trash import DAYS, Deleted
from ftspace.ui import markup
from ftspace.words import duration

NOTE_SHOWN = 220
"""Characters of a note on a card."""


def cards(entries: Sequence[Entry], *, mine: bool) -> str:
    """Runs as cards, each with a link that opens it; `mine`: with what only their owner may do and read."""
    return f'<ul class="ft-runs">{"".join(_card(one, mine) for one in entries)}</ul>'


def _card(one: Entry, mine: bool) -> str:
    run_id, title = escape(one.run.id), escape(one.title)
    pick = f'<input type="checkbox" class="ft-pick" value="{run_id}" aria-label="Choose {title} to compare it">'
    name = f'<a class="ft-run-title" translate="no" href="?run={run_id}">{title}</a>'
    if one.status is None:  # there is nothing to open
        name = f'<span class="ft-run-title">{title}</span>'
    made = f'<span class="ft-run-made" translate="no">{escape(one.made)}</span>' if one.made else ""
    facts = " · ".join(
        (one.when, *([duration(one.seconds)] if one.seconds else []), *(["on the Hub"] if one.pushed else []))
    )
    note = f'<p class="ft-run-note" translate="no">{_note(one.label.note)}</p>' if mine and one.label.note else ""
    acts = _acts(one.title) if mine else ""
    return (
        f'<li class="ft-run" data-run="{run_id}"{_values(one.label) if mine else ""}>'
        f'{pick if one.status is not None else "<span></span>"}<div class="ft-run-main">'
        f"{name}{made}"
        f'<div class="ft-run-state">{state(one)}</div>{_tags(one.label)}{note}</div>'
        f'<div class="ft-run-side"><span class="ft-run-when">{escape(facts)}</span>{acts}</div></li>'
    )


def state(one: Entry) -> str:
    """How a run is now; of a training also how far."""
    bar = markup.bar(one.fraction) if one.fraction is not None and one.is_at_work else ""
    return (
        f'<span class="ft-dot ft-{one.tone}"></span><span class="ft-run-words">{escape(redact(one.words))}</span>{bar}'
    )


def about(run_id: str, label: Label, *, mine: bool) -> str:
    """On a run's own page: its tags, and for its owner its note and how to change them; "" where there is nothing."""
    if not mine:
        tags = _tags(label)
        return f'<div class="ft-about">{tags}</div>' if tags else ""
    note = f'<p class="ft-run-note ft-whole" translate="no">{escape(label.note)}</p>' if label.note else ""
    return (
        f'<div class="ft-about ft-run" data-run="{escape(run_id)}" data-page="1"{_values(label)}>'
        f'<div class="ft-run-main">{_tags(label)}{note}</div>{_acts("this run")}{form()}</div>'
    )


def form() -> str:
    """The form that gallery.js puts into a card."""
    return (
        '<template class="ft-label-template"><form class="ft-label" aria-label="Title, tags and note">'
        f'<label>Title<input name="title" maxlength="{TITLE}" autocomplete="off" '
        'placeholder="Model and dataset"></label>'
        f"<label>Tags<small>with commas between them, at most {TAGS} of {TAG} characters</small>"
        f'<input name="tags" autocomplete="off" maxlength="{TAGS * (TAG + 2)}"></label>'
        f"<label>Note<small>only you see it; at most {NOTE:,} characters</small>"
        f'<textarea name="note" rows="3" maxlength="{NOTE}"></textarea></label>'
        '<p class="ft-label-trouble" role="alert"></p>'
        '<div class="ft-label-acts"><button type="submit" class="ft-button ft-primary">Save</button>'
        '<button type="button" class="ft-button" data-act="cancel">Cancel</button></div></form></template>'
    )


def choosing() -> str:
    """The line that says how many runs are chosen, and the button that compares them."""
    return (
        f'{form()}<div class="ft-choosing" hidden><span class="ft-chosen" role="status"></span>'
        '<button type="button" class="ft-button ft-primary" data-act="compare" disabled>Compare</button>'
        '<button type="button" class="ft-button" data-act="clear">Choose none</button></div>'
    )


def deleted(found: Sequence[Deleted]) -> str:
    """The deleted runs, each with a button that restores it; "" where there are none."""
    if not found:
        return ""
    items = "".join(
        f'<li class="ft-run" data-run="{escape(one.id)}"><span></span><div class="ft-run-main">'
        f'<span class="ft-run-title" translate="no">{escape(one.name)}</span>'
        f'<span class="ft-run-words">{_left(one.days_left)}</span></div>'
        f'<div class="ft-run-side"><button type="button" class="ft-button" data-act="restore" '
        f'aria-label="Restore {escape(one.name)}">Restore</button></div></li>'
        for one in found
    )
    count = f"{len(found)} deleted run{'s' if len(found) > 1 else ''}"
    return (
        f'<details class="ft-deleted"><summary>{count}</summary><p class="ft-legend">Each can be restored for '
        f"{DAYS:.0f} days, until <code>runs gc</code>, or until a new run needs its room.</p>"
        f'<ul class="ft-gone">{items}</ul></details>'
    )


def counted(shown: int, more: bool) -> str:
    """How many runs a list has, for who cannot see it."""
    words = f"{'More than ' if more else ''}{shown} run{'s' if shown != 1 or more else ''}"
    return f'<p class="ft-count" role="status">{words}</p>'


def _left(days: float) -> str:
    whole = max(0, round(days))
    return "goes for good today" if whole < 1 else f"{whole} day{'s' if whole > 1 else ''} left to restore it"


def _acts(name: str) -> str:
    return (
        '<span class="ft-run-acts">'
        f'<button type="button" class="ft-button" data-act="edit" aria-label="Title, tags and note of {escape(name)}">'
        f'Edit</button><button type="button" class="ft-button" data-act="delete" aria-label="Delete {escape(name)}">'
        "Delete</button></span>"
    )


def _values(label: Label) -> str:
    """What the form begins with."""
    values = {"title": label.title, "tags": ", ".join(label.tags), "note": label.note}
    return f' data-label="{escape(json.dumps(values))}"'


def _tags(label: Label) -> str:
    links = "".join(
        f'<a class="ft-tag" translate="no" href="?runs&amp;show={quote(f"tag:{tag}")}">{escape(tag)}</a>'
        for tag in label.tags
    )
    return f'<div class="ft-tags">{links}</div>' if links else ""


def _note(note: str) -> str:
    flat = " ".join(note.split())
    return escape(flat if len(flat) <= NOTE_SHOWN else f"{flat[:NOTE_SHOWN]} …")
