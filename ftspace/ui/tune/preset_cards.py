"""The faces of the three presets, and what is to mend before Start, as HTML. Pure; knows no gradio."""

from collections.abc import Mapping, Sequence
from html import escape

from ftspace.fields import group_of, id_of, label_of
from ftspace.presets import PRESETS, Preset
from ftspace.redact import redact
from ftspace.training.forecast import gigabytes
from ftspace.ui.tune.complaints import Wrong, labelled
from ftspace.ui.tune.outlook import ROUGH, Outlook
from ftspace.words import sentence

Seen = Outlook | str | None
"""What one preset takes, why that cannot be told, or None while it is being reckoned."""


def faces(seen: Mapping[str, Seen], chosen: str, legend: str = "") -> str:
    """The faces, each with what it takes, by the names of the presets; and beneath them what is reckoned for.

    Beside them stands what is said of the chosen one, for who hears the page.
    """
    cards = "".join(_face(one, seen.get(one.name)) for one in PRESETS)
    told = _aloud(chosen, seen.get(chosen))
    said = f'<p class="ft-legend">{escape(legend)}</p>' if legend else ""
    return f'<div class="ft-faces">{cards}</div><p class="ft-unseen" role="status">{escape(told)}</p>{said}'


def about(seconds: float, *, rough: bool = False) -> str:
    """A time as far as it is known: about 8 min, or from 3 to 25 min."""
    if rough:
        return f"{_round(seconds / ROUGH)} to {_round(seconds * ROUGH)}"
    return f"about {_round(seconds)}"


def mending(wrong: Sequence[Wrong], *, asked: bool = False) -> str:
    """What has to be mended before a run can start; "" for nothing. Where Start `asked` for it, it leads to the first.

    What is wrong across fields is said in full, as it stands nowhere else.
    """
    if not wrong:
        return ""
    many = "One thing has" if len(wrong) == 1 else f"{len(wrong)} things have"
    items = "".join(f"<li>{_leading(one)}{escape(one.said)}.</li>" for one in wrong)
    lead = " data-lead" if asked else ""
    role, tone = ("alert", "bad") if asked else ("status", "warn")
    return (
        f'<div class="ft-note ft-{tone} ft-mend" role="{role}"{lead}><strong>{many} to be mended before Start.</strong>'
        f"<ul>{items}</ul></div>"
    )


def changes(changed: Mapping[str, object], chosen: Preset) -> str:
    """How the form differs from the preset; "" where it does not."""
    if not changed:
        return ""
    count = len(changed)
    names = ", ".join(label_of(name) for name in list(changed)[:4])
    more = f" and {count - 4} more" if count > 4 else ""
    words = "One setting differs" if count == 1 else f"{count} settings differ"
    head = f"<strong>{words} from {escape(chosen.name)}</strong>"
    return f'<p class="ft-changes" role="status">{head}: {escape(names + more)}.</p>'


def _leading(one: Wrong) -> str:
    """The field's name, as a button that leads there where it is on the page."""
    group = group_of(one.field)
    if group:
        to = f'data-to="{id_of(one.field)}" data-in="{group.id}"'
        return f'<button type="button" class="ft-lead-to" {to}>{escape(label_of(one.field))}</button>: '
    return f"<strong>{escape(one.field)}</strong>: " if one.field else ""


def _face(one: Preset, seen: Seen) -> str:
    rows = _facts(seen) if isinstance(seen, Outlook) else _unknown(seen)
    return (
        f'<div class="ft-face" id="face-{escape(one.word)}"><p>{escape(one.words)}</p>'
        f"<dl>{''.join(f'<div><dt>{escape(name)}</dt><dd>{html}</dd></div>' for name, html in rows)}</dl></div>"
    )


def _facts(seen: Outlook) -> list[tuple[str, str]]:
    chip = "fits" if seen.fits else "does not fit"
    memory = f'{gigabytes(seen.needs)} <span class="ft-chip ft-{"good" if seen.fits else "bad"}">{chip}</span>'
    memory += f"<small>{gigabytes(seen.has)} are free</small>"
    parts = f"{_steps(seen.steps)} {_round(seen.training)}"
    if seen.asking:
        parts += f", asking {_round(seen.asking)}"
    time = f"{about(seen.seconds, rough=seen.rough)}<small>{_why(seen, parts)}</small>"
    asked = f"{seen.questions:,}<small>asked of {seen.sides} sides</small>" if seen.questions else "none"
    rows = [("Time", time), ("Memory", memory), ("Questions", asked)]
    if seen.leases:
        lent = f"{seen.leases.count:,}<small>of {seen.leases.seconds} s each</small>"
        rows.append(("GPU leases", lent))
    if seen.cost is None:
        return rows
    spread = f"${seen.cost / ROUGH:.2f} to ${seen.cost * ROUGH:.2f}" if seen.flavor else f"${seen.cost:.2f}"
    return [*rows, ("Cost", spread)]


def _why(seen: Outlook, parts: str) -> str:
    if seen.flavor:
        return escape(f"a guess, for {seen.flavor}; setting it up is included")
    if seen.rough:
        return "a guess: this machine is not measured yet"
    runs = f"; as {'a run' if seen.like == 1 else f'{seen.like} runs'} like it took" if seen.like else ""
    return escape(parts + runs)


def _unknown(seen: str | None) -> list[tuple[str, str]]:
    if seen is None:
        return [(name, '<span class="ft-reckoning">…</span>') for name in ("Time", "Memory", "Questions")]
    return [("Time and memory", f"cannot be estimated<small>{escape(sentence(redact(labelled(seen))))}</small>")]


def _aloud(chosen: str, seen: Seen) -> str:
    if seen is None:
        return ""
    if isinstance(seen, str):
        return f"{chosen}: time and memory cannot be estimated."
    fits = "fits into memory" if seen.fits else "does not fit into memory"
    return f"{chosen}: {about(seen.seconds, rough=seen.rough)}, {fits}."


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count:,} steps"


def _round(seconds: float) -> str:
    """A time of which no more is said than is known."""
    if seconds < 90:
        return f"{max(10, 10 * round(seconds / 10))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 10 else f"{hours:,.0f} h" if hours < 72 else f"{hours / 24:,.0f} days"
