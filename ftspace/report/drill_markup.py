"""HTML of single questions: the list, one in full with scores and judges, and the worst regressions.

Every text that comes in is escaped here, and secrets are taken out of it.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

from evals.judge.records import Judgement
from evals.metrics import metric
from evals.titles import task_title
from ftspace.differences import differences
from ftspace.redact import redact
from ftspace.report.drill import PAGE, Drill, winners
from ftspace.report.lanes import axis
from ftspace.report.pairs import Change, Pair
from ftspace.report.regressions import MOST_OF_TASK, losing
from ftspace.report.results_markup import block, preformatted, safe, table
from ftspace.report.results_view import ResultLine
from ftspace.words import Tone, side_name

_TONES: dict[Change, Tone] = {"right to wrong": "bad", "wrong to right": "good", "unscored": "warn"}
_CELL = 160


def breakdown(drill: Drill, lines: Sequence[ResultLine]) -> str:
    """A task's scores by category, folded away; "" where there are no categories."""
    if not lines:
        return ""
    heads = (side_name(drill.sides[0]), side_name(drill.sides[1]))
    rows = table(heads, lines, f"{safe(task_title(drill.task))} by category", axis(line.span for line in lines))
    return (
        f'<details class="ft-results ft-by-category"><summary>By category: {len(lines)} of them, by '
        f"{safe(drill.metric)}</summary>{rows}</details>"
    )


def listing(drill: Drill, found: Sequence[int], page: int, chosen: int | None, address: str) -> str:
    """One page of the questions, each a button that opens it; `chosen` is the place in `drill.pairs` of the open one.

    `address` is that of the whole page as it now is.
    """
    whole = f'<div class="ft-drill" data-address="{escape(address)}">'
    if not found:
        why = "No question is like that; take a filter off." if drill.pairs else "The answers are not there any more."
        return f'{whole}<p class="ft-drill-none" role="status">{why}</p></div>'
    start = (page - 1) * PAGE
    shown = found[start : start + PAGE]
    there = [drill.pairs[at] for at in shown]
    cells = iter(_cells([text for one in there for text in (one.question, one.first, one.second)]))
    rows = "".join(
        _row(one, at == chosen, next(cells), next(cells), next(cells)) for at, one in zip(shown, there, strict=True)
    )
    last = (len(found) - 1) // PAGE + 1
    pager = (
        f'<nav class="ft-pager" aria-label="Pages of questions">{_turn(page - 1, "Earlier", page > 1)}'
        f"<span>{start + 1:,} to {start + len(shown):,} of {len(found):,}</span>{_turn(page + 1, 'Later', page < last)}"
        "</nav>"
    )
    counted = f'<p class="ft-counted" role="status">{len(found):,} question{"s" if len(found) > 1 else ""}, worst first'
    return f"{whole}{counted}</p><ol>{rows}</ol>{pager if last > 1 else ''}</div>"


def _row(pair: Pair, chosen: bool, question: str, first: str, second: str) -> str:
    current = ' aria-current="true"' if chosen else ""
    said = f'<span translate="no">{f"{first} → {second}" if pair.differs else second}</span>'
    same = said if pair.differs else f"both: {said}"
    return (
        f'<li><button type="button" data-sample="{escape(pair.id)}"{current}>{_chip(pair)}'
        f'<span class="ft-drill-question" translate="no">{question}</span>'
        f'<span class="ft-drill-answers">{same}</span></button></li>'
    )


def _turn(page: int, words: str, there: bool) -> str:
    off = "" if there else " disabled"
    return f'<button type="button" class="ft-plain" data-page="{page}"{off}>{words}</button>'


def sample(drill: Drill, at: int, place: str = "") -> str:
    """One question in full: what both answered, what that is worth, what judges said. `place` says where in a list."""
    pair = drill.pairs[at]
    names = (side_name(drill.sides[0]), side_name(drill.sides[1]))
    about = f"{task_title(drill.task)}, sample {pair.id}" + (f", {pair.category}" if pair.category else "")
    marks = [
        ("contaminated", pair.contaminated, "warn"),
        ("cut off", pair.cut, "warn"),
        ("the same answer", not pair.differs, "idle"),
    ]
    chips = "".join(f'<span class="ft-chip ft-{tone}">{word}</span>' for word, there, tone in marks if there)
    return (
        f'<section class="ft-sample" aria-label="Question {safe(pair.id)}"><header><span class="ft-drill-place">'
        f"{safe(place)}</span>{_chip(pair)}{chips}<small>{safe(about)}</small></header>"
        f"{body(pair, names)}{_judges(drill.judged.get(pair.id, ()))}"
        f"<details><summary>The prompt as the base was given it</summary>{block(pair.prompt)}</details></section>"
    )


def body(pair: Pair, names: tuple[str, str]) -> str:
    """Question, what was expected, both answers, choices and scores."""
    found = differences(redact(pair.first), redact(pair.second))
    figures = "".join(
        f"<figure><figcaption>{safe(who)}</figcaption>{preformatted([(one.text, one.only) for one in pieces])}</figure>"
        for who, pieces in zip(names, (found.first, found.second), strict=True)
    )
    return (
        f"<dl><dt>Question</dt><dd>{block(pair.question)}</dd><dt>Expected</dt><dd>{block(pair.expected)}</dd></dl>"
        f'<div class="ft-pair">{figures}</div>{_choices(pair, names)}{_scores(pair, names)}'
    )


def _choices(pair: Pair, names: tuple[str, str]) -> str:
    """How likely each found each choice."""
    first, second = pair.given
    if not first.choices or len(second.logprobs) != len(first.choices) or len(first.logprobs) != len(first.choices):
        return ""
    rows = [
        (f"{choice.strip()} ✓" if choice in first.expected else choice.strip(), f"{one:.2f}", f"{other:.2f}")
        for choice, one, other in zip(first.choices, first.logprobs, second.logprobs, strict=True)
    ]
    return _table(("Choice, log-probability in nats", *names), rows)


def _scores(pair: Pair, names: tuple[str, str]) -> str:
    first, second = (one.scores for one in pair.given)
    rows = [
        (name, _score(first, name), _score(second, name), metric(name).words)
        for name in dict.fromkeys([*first, *second])
    ]
    return _table(("Score", *names), [row[:3] for row in rows], [row[3] for row in rows]) if rows else ""


def _table(heads: tuple[str, str, str], rows: Sequence[tuple[str, str, str]], words: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in _cells(heads))
    said = [f"<small>{escape(one)}</small>" if one else "" for one in words] or [""] * len(rows)
    names = _cells([row[0] for row in rows])
    lines = "".join(
        f'<tr><th scope="row">{name}{more}</th><td>{escape(one)}</td><td>{escape(other)}</td></tr>'
        for name, (_, one, other), more in zip(names, rows, said, strict=True)
    )
    return f'<table class="ft-scores"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def _score(scores: Mapping[str, float], name: str) -> str:
    value = scores.get(name, math.nan)
    return "–" if math.isnan(value) else f"{value:.4g}"


def _judges(said: Sequence[Judgement]) -> str:
    """What each judge said, in its own words where they were kept."""
    won = winners(said)
    parts: list[str] = []
    for judge in dict.fromkeys(one.judge for one in said):
        theirs = [one for one in said if one.judge == judge]
        verdict = won.get(judge)
        words = "" if verdict is None else "a tie" if verdict == "tie" else f"prefers {side_name(verdict)}"
        lines = "".join(f"<li>{safe(_told(one))}{_reply(one)}</li>" for one in theirs)
        parts.append(f"<li><strong>{safe(judge)}</strong>{f': {safe(words)}' if words else ''}<ul>{lines}</ul></li>")
    return f'<h3>Judges</h3><ul class="ft-judged">{"".join(parts)}</ul>' if parts else ""


def _told(one: Judgement) -> str:
    if one.way == "rubric":
        rated = f"{one.score:.0f} of 10" if not math.isnan(one.score) else f"no rating, {one.missing or 'unknown why'}"
        return f"{side_name(one.side)}: {rated}"
    if one.same:
        return "Both answers are the same text: a tie, without asking"
    words = f"no verdict, {one.missing or 'unknown why'}"
    if one.verdict:
        words = "a tie" if one.verdict == "tie" else f"{side_name(one.verdict)} is better"
    return f"With {side_name(one.first or '')} first: {words}"


def _reply(one: Judgement) -> str:
    return f"<details><summary>In its own words</summary>{block(one.reply)}</details>" if one.reply.strip() else ""


def regressions(drills: Sequence[Drill]) -> str:
    """Of each task the questions that lost most, each opening its answers; and on which tasks none did."""
    lost = [(one, losing(one)) for one in drills]
    parts = "".join(_lost(one, pairs) for one, pairs in lost if pairs)
    kept = ", ".join(f"{task_title(one.task)} ({len(one.pairs):,})" for one, pairs in lost if not pairs)
    none = f'<p class="ft-kept">No answer is worth less than before on {safe(kept)}.</p>' if kept else ""
    words = "" if drills else '<p class="ft-kept">No single answers have scores, so none can be said to have lost.</p>'
    return f'<div class="ft-results ft-regressions">{parts}{none}{words}</div>'


def _lost(drill: Drill, lost: Sequence[Pair]) -> str:
    names = (side_name(drill.sides[0]), side_name(drill.sides[1]))
    items = "".join(
        f'<details><summary>{_chip(pair)}<span translate="no">{_cells([pair.question])[0]}</span>'
        f"<small>{pair.first_score:.3g} → "
        f'{pair.second_score:.3g}</small></summary><div class="ft-sample">{body(pair, names)}</div></details>'
        for pair in lost[:MOST_OF_TASK]
    )
    more = f"; these {MOST_OF_TASK} lost most" if len(lost) > MOST_OF_TASK else ""
    name = safe(task_title(drill.task))
    return (
        f'<section class="ft-part"><h3 translate="no">{name}</h3><p>{len(lost):,} of {len(drill.pairs):,} '
        f"answers are worth less than before{more}.</p>{items}</section>"
    )


def _chip(pair: Pair) -> str:
    return f'<span class="ft-chip ft-{_TONES.get(pair.change, "idle")}">{pair.change}</span>'


def _cells(texts: Sequence[str]) -> list[str]:
    """Texts in one line each, safe: secrets are looked for in all of them at once, as each look costs."""
    flat = [" ".join(one.split()) for one in texts]
    cut = [one if len(one) <= _CELL else one[: _CELL - 1] + "…" for one in flat]
    found = redact("\n".join(cut)).split("\n")
    if len(found) != len(cut):  # a secret with a line break in it
        found = [redact(one) for one in cut]
    return [escape(one) or "(nothing)" for one in found]
