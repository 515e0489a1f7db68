"""HTML of several runs compared. Knows neither gradio nor folders; every text that comes in is escaped here."""

import math
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from evals.wording import amount
from ftspace.redact import redact
from ftspace.report.overlay import Drawn, overlay
from ftspace.several import LETTERS, Board, Contender, Duel, Line, Place, Several
from ftspace.ui import markup
from ftspace.words import Tone

_LONGEST, _SHORT = 300, 40
"""Characters of a setting's value, and of a title in the key of the curves."""
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "differs": "warn"}


def several(found: Several, hidden: int = 0) -> str:
    """All of it: the runs, what makes them unlike, a board for each task, curves and settings."""
    parts = [
        _back(),
        markup.heading(f"{len(found.runs)} runs compared", _explained(found)),
        left_out(hidden),
        *(markup.note(one, "warn") for one in found.unfair),
        _runs(found.runs),
        _metrics(found),
        *(_board(one, found.runs) for one in found.boards),
        "" if found.boards else markup.empty("No scores to compare", "None of these runs was compared with its base."),
        _curves(found),
        _settings(found),
    ]
    return f'<div class="ft-several">{"".join(parts)}</div>'


def refused(why: str, hidden: int = 0) -> str:
    """What stands there when nothing can be compared."""
    back = '<p class="ft-legend">Choose runs in the list: at least two that you may see.</p>'
    return f'<div class="ft-several">{_back()}{left_out(hidden)}{markup.note(why, "bad")}{back}</div>'


def reading() -> str:
    """What stands there while answers are read."""
    return f'<div class="ft-several">{_back()}{markup.empty("Reading the answers of these runs …", "")}</div>'


def left_out(hidden: int) -> str:
    """How many runs of the address are not shown; "" where all are."""
    if not hidden:
        return ""
    runs, they = ("One run is", "it is") if hidden == 1 else (f"{hidden} runs are", "they are")
    return markup.note(f"{runs} left out: {they} not here, cannot be read, or not shown to you by the owner.", "warn")


def _back() -> str:
    return f'<p class="ft-to-runs">{markup.anchor("← All runs", "?runs")}</p>'


def _explained(found: Several) -> str:
    tests = (
        f"Runs are tested against each other on the same answers; p is adjusted for all {found.tests} tests (Holm)."
        if found.tests > 1
        else "Runs are tested against each other on the answers to the same questions."
    )
    return f"Best first at each task. {tests}"


def _runs(runs: Sequence[Contender]) -> str:
    items = "".join(
        f'<li><span class="ft-letter ft-run-{place}">{one.letter}</span>'
        f'<a class="ft-run-title" href="?run={escape(one.id)}">{escape(one.title)}</a>'
        f'<span class="ft-run-when">{escape(one.when)}</span></li>'
        for place, one in enumerate(runs)
    )
    return f'<ul class="ft-contenders">{items}</ul>'


def address_of(found: Several, metric: str | None = None, by_tokens: bool | None = None) -> str:
    """The address of the same comparison, by another metric or along another axis."""
    chosen = found.metric if metric is None else metric
    tokens = found.by_tokens if by_tokens is None else by_tokens
    ids = ",".join(one.id for one in found.runs)
    return f"?compare={ids}" + (f"&metric={quote(chosen)}" if chosen else "") + ("&x=tokens" if tokens else "")


def _metrics(found: Several) -> str:
    if len(found.metrics) < 2:
        return ""
    links = [("First of each task", ""), *((name, name) for name in found.metrics)]
    items = "".join(
        f'<a class="ft-tag" href="{markup.address(address_of(found, name))}"'
        f"{' aria-current=true' if name == found.metric else ''}>{escape(words)}</a>"
        for words, name in links
    )
    return f'<nav class="ft-tags ft-metrics" aria-label="Metric"><span>Score by</span>{items}</nav>'


def _board(board: Board, runs: Sequence[Contender]) -> str:
    titles = {one.letter: one.title for one in runs}
    duels = {(one.letter, one.against): one for one in board.duels}
    scored = [one.letter for one in board.places if not one.why]
    best = scored[0] if scored else ""
    rows = "".join(
        _row(rank, one, titles[one.letter], duels.get((best, one.letter)), board, best)
        for rank, one in enumerate(board.places, start=1)
    )
    lower = ", lower is better" if board.better == "lower" else ""
    unit = ", in points of 100" if board.share else ""
    heads = "".join(
        f'<th scope="col">{one}</th>' for one in ("Run", "Score", "Against its own base", "Best against it")
    )
    return (
        f'<section class="ft-board"><h3>{escape(board.task)} <small>{escape(board.metric)}{lower}{unit}</small></h3>'
        f'<p class="ft-board-words">{escape(redact(board.words))}</p>'
        f'<div class="ft-scroll" tabindex="0" role="region" aria-label="{escape(board.task)}"><table><thead><tr>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div>{_rest(board, best)}</section>"
    )


def _row(rank: int, one: Place, title: str, duel: Duel | None, board: Board, best: str) -> str:
    head = (
        f'<th scope="row"><span class="ft-letter ft-run-{LETTERS.index(one.letter)}">{one.letter}</span> '
        f"<span>{escape(title)}</span></th>"
    )
    if one.why:
        return f'<tr>{head}<td colspan="3" class="ft-none-there">No score: {escape(one.why)}.</td></tr>'
    share = board.share
    score = f"<b>{amount(one.score, share)}</b><small>{_ends(one.low, one.high, share)}, n = {one.n:,}</small>"
    gain = f"<b>{amount(one.delta, share, '+')}</b><small>{_ends(one.delta_low, one.delta_high, share, '+')}</small>"
    gain += _chip(one.verdict or "", _TONES.get(one.verdict or "", "idle"))
    last = '<small class="ft-first">the best score</small>' if one.letter == best else _against(duel, share)
    return (
        f'<tr>{head}<td data-label="Score">{score}</td><td data-label="Against its own base">{gain}</td>'
        f'<td data-label="Best against it">{last}</td></tr>'
    )


def _against(duel: Duel | None, share: bool) -> str:
    if duel is None:
        return "<small>not tested</small>"
    if duel.why:
        return f"<small>not tested: {escape(duel.why)}</small>"
    words = {"better": "shown to be better", "no difference shown": "cannot be told apart"}
    said = words.get(duel.verdict or "", duel.verdict or "")
    p = "below 0.001" if duel.p < 0.001 else f"{duel.p:.3f}"
    numbers = f"{_ends(duel.low, duel.high, share, '+')}, p {p}, n = {duel.n:,}"
    tone: Tone = "good" if duel.verdict == "better" else "idle"
    return f"<b>{amount(duel.delta, share, '+')}</b><small>{numbers}</small>{_chip(said, tone)}"


def _rest(board: Board, best: str) -> str:
    """The tests between the others."""
    others = [one for one in board.duels if one.letter != best]
    if not others:
        return ""
    items = "".join(
        f'<li><span class="ft-pairing">{one.letter} against {one.against}</span> {_against(one, board.share)}</li>'
        for one in others
    )
    return f'<details class="ft-rest"><summary>The others against each other</summary><ul>{items}</ul></details>'


def _chip(words: str, tone: Tone) -> str:
    return f'<span class="ft-chip ft-{tone}">{escape(words)}</span>' if words else ""


def _ends(low: float, high: float, share: bool, sign: str = "") -> str:
    return "no interval" if math.isnan(low) else f"{amount(low, share, sign)} to {amount(high, share, sign)}"


def _curves(found: Several) -> str:
    across = "tokens seen" if found.by_tokens else "step"
    drawn = "".join(
        overlay([_drawn(one) for one in lines], across, title)
        for title, lines in (("Validation loss", found.validation), ("Training loss", found.training))
    )
    if not drawn:
        return ""
    other = markup.anchor(
        "by step" if found.by_tokens else "by tokens seen", address_of(found, by_tokens=not found.by_tokens)
    )
    return f'<section class="ft-board"><h3>Loss <small>{escape(across)}; {other}</small></h3>{drawn}</section>'


def _drawn(one: Line) -> Drawn:
    name = one.title if len(one.title) <= _SHORT else f"{one.title[:_SHORT]} …"
    return Drawn(LETTERS.index(one.letter), f"{one.letter} {name}", one.points)


def _settings(found: Several) -> str:
    if not found.differences:
        return '<section class="ft-board"><h3>Settings</h3><p>All of them are the same.</p></section>'
    heads = "".join(f'<th scope="col" title="{escape(one.title)}">{one.letter}</th>' for one in found.runs)
    rows = "".join(
        f'<tr><th scope="row">{escape(one.field)}</th>'
        f"{''.join(f'<td>{_value(value)}</td>' for value in one.values)}</tr>"
        for one in found.differences
    )
    return (
        '<section class="ft-board"><h3>Settings that differ</h3><div class="ft-scroll" tabindex="0" role="region" '
        f'aria-label="Settings that differ"><table class="ft-diff"><thead><tr><th scope="col">Setting</th>{heads}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div></section>"
    )


def _value(text: str) -> str:
    safe = redact(text)
    return escape(safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]} …")
