"""HTML of blind votes: two answers without names, what was said last, what all votes say. Texts are escaped here.

Of a ballot only a `Paper` comes in, which does not know whose answers they are.
"""

import math

from evals.arena.tally import ENOUGH, Calibration, Player, Rate, Tally
from ftspace.report.results_markup import block, safe
from ftspace.voting import Paper, Said, Turn
from ftspace.words import Tone, asked_of, side_name

_SAID = {"first": "A is better", "second": "B is better", "tie": "they are equal", "bad": "both are bad"}


def ballot(turn: Turn, result: Tally | None = None) -> str:
    """The question with both answers, and how far one is; once all is voted on, what it came to."""
    if turn.total == 0:
        return (
            '<section class="ft-ballot" tabindex="-1"><h3>Nothing to vote on here</h3><p>The answers of these sides '
            "are all the same, or no words: choices are not voted on.</p></section>"
        )
    bar = (
        f'<div class="ft-bar" aria-hidden="true"><span style="width:{100 * turn.done / turn.total:.1f}%"></span></div>'
    )
    if turn.paper is None:
        return (
            f'<section class="ft-ballot" tabindex="-1">{bar}<h3 role="status">All {turn.total:,} are voted on</h3>'
            f"{''.join(f'<p>{safe(one)}</p>' for one in outcome(result))}</section>"
        )
    return f"{bar}{_paper(turn.paper, f'{turn.done + 1:,} of {turn.total:,}')}"


def _paper(paper: Paper, place: str) -> str:
    expected = (
        f"<details><summary>What the dataset expects</summary>{block(paper.expected)}</details>"
        if paper.expected.strip()
        else ""
    )
    answers = "".join(
        f'<article><h4>{name}</h4><div class="ft-answer" tabindex="0" role="region" aria-label="Answer {name}">'
        f"{block(text)}</div></article>"
        for name, text in (("A", paper.first.strip()), ("B", paper.second.strip()))
    )
    return (
        f'<section class="ft-ballot" tabindex="-1" aria-label="Question {place}"><header><h3>Which answer is better?'
        f'</h3><span role="status">{place}</span></header><h4>Question</h4><div class="ft-answer" tabindex="0" '
        f'role="region" aria-label="Question">{block(paper.question)}</div>{expected}'
        f'<div class="ft-pair">{answers}</div></section>'
    )


def last(said: Said | None) -> str:
    """What the voter said last, and whose answers those were once that was asked; "" before the first vote."""
    if said is None:
        return ""
    question = " ".join(said.question.split())
    cut = question if len(question) <= 80 else question[:79] + "…"
    words = f'Of <q translate="no">{safe(cut)}</q> you said: {_SAID.get(said.choice, "")}.'
    if said.whose is not None:
        first, second = (safe(side_name(side)) for side in said.whose)
        words += f" A was by <strong>{first}</strong>, B by <strong>{second}</strong>. This vote stands."
    return f'<p class="ft-vote-said" role="status">{words}</p>'


def outcome(found: Tally | None) -> list[str]:
    """What all votes came to, a sentence for each two sides and each judge."""
    if found is None or not found.rates:
        return ["What the votes say stands below."]
    return [_came_to(one) for one in found.rates] + [_agrees(one) for one in found.judges if one.n]


def _came_to(one: Rate) -> str:
    n = one.wins + one.losses + one.ties
    verdict, _ = _preferred(one)
    rate = f"{100 * one.rate:.0f} of 100, between {100 * one.low:.0f} and {100 * one.high:.0f}"
    return (
        f"{verdict[:1].upper()}{verdict[1:]}. Of {n:,} question{'s' if n > 1 else ''} people preferred "
        f"{asked_of(one.side)} on {one.wins:,} and {asked_of(one.against)} on {one.losses:,}, and found "
        f"{one.ties:,} equal or both bad: it wins {rate}, ties counted as halves."
    )


def _agrees(one: Calibration) -> str:
    believed = "so it can be believed" if one.proven else "which does not prove it yet"
    few = f" ({ENOUGH} are needed)" if one.n < ENOUGH else ""
    return f"The judge {one.judge} said the same on {100 * one.agreement:.0f} of 100 of {one.n:,}{few}, {believed}."


def tally(found: Tally) -> str:
    """What all votes say, with intervals, and how far judges agree."""
    if not found.votes:
        return '<p class="ft-legend">No votes yet.</p>'
    rates = "".join(_rate(one) for one in found.rates)
    players = "".join(_player(one) for one in found.players)
    strengths = (
        "<h4>Strength among all that were voted on</h4><p>Bradley and Terry's: the logarithm of the odds to be "
        f"preferred to an average one.</p><ul>{players}</ul>"
        if players
        else ""
    )
    judges = "".join(_judge(one) for one in found.judges)
    agreed = f"<h4>How far judges agree with people</h4><ul>{judges}</ul>" if judges else ""
    bad = f", {found.bad:,} of them that both answers are bad" if found.bad else ""
    return (
        f'<section class="ft-tally"><p>{found.votes:,} vote{"s" if found.votes > 1 else ""} of all who voted{bad}.</p>'
        f"<ul>{rates}</ul>{strengths}{agreed}</section>"
    )


def _rate(one: Rate) -> str:
    verdict, tone = _preferred(one)
    pair = f"{side_name(one.side)} or {side_name(one.against)}"
    counted = f"{one.wins:,} for {side_name(one.side)}, {one.losses:,} for {side_name(one.against)}, {one.ties:,} equal"
    rate = f"{100 * one.rate:.0f} % (95 % interval {100 * one.low:.0f} to {100 * one.high:.0f})"
    return (
        f'<li><strong>{safe(pair)}</strong> <span class="ft-chip ft-{tone}">{safe(verdict)}</span><br>'
        f"{safe(side_name(one.side))} wins {rate}: {safe(counted)}.</li>"
    )


def _preferred(one: Rate) -> tuple[str, Tone]:
    """Whose answers people prefer, as far as the votes show it."""
    n = one.wins + one.losses + one.ties
    if n < ENOUGH:
        return f"too few votes to tell: {n} of {ENOUGH}", "idle"
    if one.low > 0.5:
        return f"{asked_of(one.side)} is preferred", "good"
    if one.high < 0.5:
        return f"{asked_of(one.against)} is preferred", "bad"
    return "no preference shown", "idle"


def _player(one: Player) -> str:
    return (
        f"<li><strong>{safe(side_name(one.side))}</strong>: {one.strength:+.2f} (95 % interval {one.low:+.2f} to "
        f"{one.high:+.2f})</li>"
    )


def _judge(one: Calibration) -> str:
    if not one.n:
        return f"<li><strong>{safe(one.judge)}</strong>: nothing that both have a verdict on.</li>"
    few = f", too few to tell: {ENOUGH} are needed" if one.n < ENOUGH else ""
    proven = "proven" if one.proven else "unproven"
    beyond = (
        f" (kappa {one.kappa:.2f}, 95 % interval {one.low:.2f} to {one.high:.2f})"
        if math.isfinite(one.kappa + one.low + one.high)
        else ""
    )
    return (
        f'<li><strong>{safe(one.judge)}</strong> <span class="ft-chip ft-{"good" if one.proven else "idle"}">{proven}'
        f"</span><br>Agrees on {100 * one.agreement:.0f} % of {one.n:,}{beyond}{few}.</li>"
    )
