"""HTML of the screens that make a dataset understood. Knows neither gradio nor files; every text is escaped here."""

import re
from collections.abc import Mapping, Sequence
from html import escape

from ftspace.checks import Check
from ftspace.data.formats import Conversation, Format
from ftspace.data.report import DataReport, Found
from ftspace.hub.finding.names import Kind
from ftspace.hub.finding.shortlist import Short
from ftspace.lab import LabRow, LabToken
from ftspace.ui import markup

_ROLES = {
    "messages": "turns",
    "prompt": "question",
    "completion": "answer",
    "system": "system prompt",
    "tools": "functions",
}
_ADD = re.compile(r"add [a-z_ ]+ to data\.filters")
"""What a report advises, which is a switch here."""
_WEB = re.compile(r"(https?://[^\s<>\"',;()]*[^\s<>\"',;().])")
_LONGEST = 6000
"""Characters of one turn that are shown."""


def mapping_words(mapping: Mapping[str, str]) -> str:
    """A mapping for people: question = instruction + input, answer = output."""
    return ", ".join(f"{_ROLES.get(role, role)} = {column.replace('+', ' + ')}" for role, column in mapping.items())


def reading(found: Format | None, columns: Sequence[str], trouble: str) -> str:
    """How a dataset's rows are recognized, and its columns."""
    chips = " ".join(f"<code>{escape(column)}</code>" for column in columns)
    if found is None:
        ask = "Say below which columns hold the question and the answer, or the messages."
        facts = [("Columns", chips), ("To do", ask)] if columns else []
        return f'<div class="ft-reading">{markup.note(trouble, "bad")}{_facts(facts)}</div>'
    sure = "sure" if found.confidence >= 0.9 else "fairly sure" if found.confidence >= 0.6 else "a guess"
    facts = [
        ("Recognized as", f"{escape(found.name)} <small>({sure}, {found.confidence:.0%})</small>"),
        ("Because", escape(found.reason.replace("`", ""))),
        ("That is", escape(mapping_words(found.mapping))),
        ("Columns", chips),
    ]
    said = [warning for warning in found.warnings if not (found.readings and warning == found.warnings[0])]
    return f'<div class="ft-reading">{_facts(facts)}{"".join(markup.note(one) for one in said)}</div>'


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<div><dt>{escape(name)}</dt><dd>{html}</dd></div>' for name, html in facts)}</dl>"


def facts(name: str, pairs: Sequence[tuple[str, str]], page: str = "", note: str = "", ask: str = "") -> str:
    """What is known of a model or a dataset, with its page; `ask` is where access to it is asked for."""
    title = f"<p>{markup.anchor(name, page)}</p>" if page else ""
    told = "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for what, value in pairs)
    said = markup.note(note, "bad") if note else ""
    said += markup.note("It is gated.", link=("Ask for access", ask)) if ask else ""
    return f'<div class="ft-card">{title}<dl>{told}</dl>{said}</div>'


_SHELVES = {
    "model": ("Short list of models", "Models that many begin with"),
    "dataset": ("Short list of datasets", "Datasets that many begin with"),
}


def shelf(kind: Kind, found: Sequence[tuple[Short, bool]]) -> str:
    """A button, and the cards that it opens: each takes its entry. The second of a pair: whether it can be had now."""
    opener, title = _SHELVES[kind]
    cards = "".join(f"<li>{_offer(kind, one, there=there)}</li>" for one, there in found)
    place = f"shelf-{kind}"
    return (
        f'<button type="button" class="ft-button" data-opens="{place}" aria-haspopup="dialog">{opener}</button>'
        f'<dialog class="ft-shelf" id="{place}" aria-labelledby="{place}-title"><header><h2 id="{place}-title">{title}'
        f'</h2><button type="button" class="ft-button" data-closes="{place}">Close</button></header>'
        f"<ul>{cards}</ul></dialog>"
    )


def _offer(kind: Kind, one: Short, *, there: bool) -> str:
    facts = [one.size, one.license, "ask for access first" if one.gated else "", "" if there else "needs the Hub"]
    said = " · ".join(escape(fact) for fact in facts if fact)
    return (
        f'<button type="button" class="ft-offer" data-takes="{kind}" value="{escape(one.id)}">'
        f'<strong translate="no">{escape(one.id)}</strong><small>{said}</small><span>{escape(one.why)}</span></button>'
    )


def turns(conversation: Conversation, number: int, state: tuple[str, str], note: str) -> str:
    """One row as a conversation; `state` is what was decided about it, in a word, and that word's tone."""
    said = "".join(_turn(turn["role"], _said(turn), turn.get("name", "")) for turn in conversation)
    chip = f'<span class="ft-chip ft-{state[1]}">{escape(state[0])}</span>'
    noted = f'<p class="ft-noted">Note: <span translate="no">{escape(note)}</span></p>' if note else ""
    return (
        f'<article class="ft-turns" tabindex="0" aria-label="Row {number}, {escape(state[0])}">'
        f"<header><strong>Row {number:,}</strong>{chip}</header>{said}{noted}</article>"
    )


def _turn(role: str, text: str, name: str) -> str:
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text) - _LONGEST:,} more characters)"
    who = f"{role} {name}".strip()
    said = f'<p translate="no">{escape(shown)}</p>'
    return f'<div class="ft-turn ft-by-{escape(role)}"><small>{escape(who)}</small>{said}</div>'


def _said(turn: Mapping[str, object]) -> str:
    """A turn's text, with the functions that it calls written out."""
    calls = turn.get("tool_calls")
    return "\n".join(part for part in (str(turn["content"]), f"calls {calls}" if calls else "") if part)


def progress(looked: int, rows: int, dropped: int, elsewhere: int) -> str:
    """How far a review is; `elsewhere` are decisions about rows that are not here, or were read otherwise."""
    others = f"; {elsewhere:,} decisions are about rows not among these" if elsewhere else ""
    share = round(100 * looked / rows) if rows else 0
    return (
        f'<div class="ft-progress"><p role="status">{looked:,} of {rows:,} looked at, {dropped:,} dropped{others}</p>'
        f'<div class="ft-bar" role="progressbar" aria-label="Looked at" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{share}"><span style="width:{share}%"></span></div></div>'
    )


def legend(text: str) -> str:
    """A line of small words."""
    return f'<p class="ft-legend">{escape(text)}</p>'


def finding(found: Found | None) -> str:
    """How often something was found, and where for example; None for what was not found."""
    if found is None:
        return '<p class="ft-legend">not found</p>'
    share = f"{found.share:.0%}" if found.share >= 0.1 else f"{found.share:.1%}" if found.share >= 0.001 else "<0.1%"
    examples = "".join(f"<li><small>row {one.row:,}</small> {_own(one.excerpt)}</li>" for one in found.examples)
    listed = f"<details><summary>examples</summary><ul>{examples}</ul></details>" if examples else ""
    rows = "1 row" if found.rows == 1 else f"{found.rows:,} rows"
    left_out = " left out" if found.removed else ""
    return f'<div class="ft-found"><span class="ft-chip ft-busy">{rows}{left_out} ({share})</span>{listed}</div>'


def _own(text: str) -> str:
    """What stands in a row, which stays in its own language."""
    return f'<span translate="no">{escape(text)}</span>'


def report(found: DataReport, which: str, after: str) -> str:
    """What a look through rows found, in a sentence, with its warnings."""
    many = len(found.found)
    said = f"{many} finding{'s' if many > 1 else ''} in {which}." if many else f"Nothing was found in {which}."
    kinds = (("Languages", found.languages), ("Answers", found.answers))
    counted = [
        (name, escape(", ".join(f"{what} {count / max(1, sum(of.values())):.0%}" for what, count in [*of.items()][:8])))
        for name, of in kinds
        if len(of) > 1
    ]
    warnings = "".join(markup.note(_ADD.sub("leave them out below", warning), "warn") for warning in found.warnings)
    facts = _facts(counted) if counted else ""
    return f'<div class="ft-report"><p role="status">{escape(said)} {escape(after)}</p>{facts}{warnings}</div>'


_KINDS = {"trained": "trained", "context": "only read", "cut": "cut off", "padding": "padding"}
_TOKENS = 3000
"""So many tokens of a row are shown."""


def lab(row: LabRow, view: str, title: str) -> str:
    """A row in tokens: each as a box, as ids, or the raw text."""
    padding = sum(token.kind == "padding" for token in row.tokens)
    counts = f"{row.kept:,} tokens kept, {row.trained:,} trained, {row.cut:,} cut off"
    padded = f", {padding:,} padding" if padding else ""
    head = f'<p class="ft-words" role="status">{escape(title)}: {counts}{padded}.</p>'
    shown = row.tokens[:_TOKENS]
    more = legend(f"{len(row.tokens) - _TOKENS:,} more tokens are not shown.") if len(row.tokens) > _TOKENS else ""
    if view == "text":
        text = row.text if len(row.text) <= 4 * _TOKENS else f"{row.text[: 4 * _TOKENS]} …"
        body = f'<pre class="ft-row" tabindex="0">{escape(text)}</pre>'
    else:
        boxes = "".join(_token(token, place, as_id=view == "ids") for place, token in enumerate(shown))
        kinds = [kind for kind in _KINDS if any(token.kind == kind for token in shown)]
        keys = "".join(f'<span class="ft-token ft-{kind}">{_KINDS[kind]}</span> ' for kind in kinds)
        body = (
            '<div class="ft-row ft-tokens" role="group" aria-label="Tokens; arrow keys go from one to the next">'
            f'{boxes}</div>{more}<p class="ft-token-told" aria-live="polite">Point at a token to read its id.</p>'
            f'<p class="ft-legend ft-kinds">{keys}<span class="ft-token ft-context ft-special">special</span></p>'
        )
    lost = "" if row.trained else markup.note("Nothing of this row would be trained: its answer is cut off.", "bad")
    return f'<div class="ft-preview">{head}{lost}{body}</div>'


_MARKS = {"ok": ("✓", "good"), "warning": ("!", "idle"), "stop": ("✕", "bad")}


def checks(found: Sequence[Check]) -> str:
    """What was checked of the tokens, the worst first, each with what to do about it."""
    order = list(_MARKS)
    items = "".join(_check(one) for one in sorted(found, key=lambda one: -order.index(one.level)))
    return f'<ul class="ft-checks">{items}</ul>'


def _check(check: Check) -> str:
    mark, tone = _MARKS[check.level]
    fix = f'<p class="ft-fix">To do: {_linked(check.fix)}.</p>' if check.fix else ""
    level = f'<span class="ft-chip ft-{tone}"><span aria-hidden="true">{mark}</span> {check.level}</span>'
    begins = check.detail.partition(" ")[0]
    detail = check.detail if set(begins) & set("/'_.") else check.detail[:1].upper() + check.detail[1:]  # a name
    said = f"<strong>{escape(check.what.capitalize())}</strong><p>{escape(detail)}.</p>{fix}"
    return f'<li class="ft-{tone}">{level}<div>{said}</div></li>'


def _linked(text: str) -> str:
    """Text whose web addresses are links."""
    parts = _WEB.split(text)
    return "".join(markup.anchor(part, part) if place % 2 else escape(part) for place, part in enumerate(parts))


def _token(token: LabToken, place: int, *, as_id: bool) -> str:
    shown = token.text.replace(" ", "·").replace("\t", "⇥").replace("\n", "↵") or "◦"
    shown = str(token.id) if as_id else shown
    kind = f"{_KINDS[token.kind]}{', special' if token.special else ''}"
    told = f"{token.text or '(part of a character)'} · id {token.id} · {kind}"
    classes = f"ft-token ft-{token.kind}{' ft-special' if token.special else ''}"
    return (
        f'<span class="{classes}" data-token tabindex="{0 if place == 0 else -1}" '
        f'title="{escape(told)}">{escape(shown)}</span>{"<br>" if token.text.endswith(chr(10)) else ""}'
    )
