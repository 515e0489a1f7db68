"""HTML of answers beside each other: turns with what differs marked, a table of many questions, did anything change.

Every text that comes in is escaped here, and secrets are taken out of it: what models write is text, never markup.
"""

from collections.abc import Mapping, Sequence

from ftspace.answering import Answer, Turn, differing, verdict
from ftspace.differences import Piece, differences
from ftspace.questions import Question
from ftspace.report.changed import Changed
from ftspace.report.results_markup import safe
from ftspace.words import Tone

SHOWN = 20
"""Turns of a conversation that stand above the newest."""
CELL = 400
"""Letters of an answer that a table shows at once, and of a question above its answers."""


def changed(found: Changed) -> str:
    """The card at the top: did anything change?"""
    lines = "".join(f"<li>{safe(one)}</li>" for one in found.sentences)
    return (
        f'<section class="ft-changed ft-{found.tone}"><h2>Did anything change?</h2>'
        f'<p class="ft-changed-head">{safe(found.headline)}</p>{f"<ul>{lines}</ul>" if lines else ""}</section>'
    )


def kept(run_id: str, *, mine: bool) -> str:
    """What becomes of what is asked here; `run_id` is "" while nothing was."""
    if not mine:
        return '<p class="ft-legend">What you ask here is kept nowhere: with a reload it is gone.</p>'
    link = f' <a href="export/{safe(run_id)}/chats" download>Download all of it</a>' if run_id else ""
    return (
        '<p class="ft-legend">What you ask, here and under Many questions, is kept with the run, and only you see it.'
        f"{link}</p>"
    )


def turns(found: Sequence[Turn], names: Mapping[str, str]) -> str:
    """Turns that are over, the oldest first; of a long conversation the newest."""
    earlier = len(found) - SHOWN
    said = f"{earlier:,} earlier ones are not shown here." if earlier > 0 else ""
    told = f'<p class="ft-legend">{said}</p>' if said else ""
    return told + "".join(turn(one, names, newest=False) for one in found[-SHOWN:])


def turn(found: Turn, names: Mapping[str, str], max_tokens: int = 0, *, newest: bool = True) -> str:
    """One question and its answers; what differs is marked once all have answered."""
    over = all(one.done for one in found.answers.values())
    marked = _marked(found.answers) if over else {}
    columns = "".join(
        _column(side, names.get(side, side), one, marked.get(side), max_tokens, newest=newest)
        for side, one in found.answers.items()
    )
    said = differing(found.answers) if over else ""
    told = f'<p class="ft-differs">{safe(_said(found.answers, said))}</p>' if said else ""
    return (
        f'<article class="ft-asked" aria-busy="{"false" if over else "true"}">'
        f"{_asked(found.question)}"
        f'<div class="ft-answers-row ft-of-{len(found.answers)}">{columns}</div>{told}</article>'
    )


def _asked(question: str) -> str:
    """What was asked; of a long question the beginning, so that the answers are not far below."""
    head = f'<h3 class="ft-question" translate="no">{safe(_clip(question))}</h3>'
    if len(question) <= CELL:
        return head
    whole = f'<p class="ft-question-whole" translate="no">{safe(question)}</p>'
    return f"{head}<details><summary>The whole question</summary>{whole}</details>"


def _said(answers: Mapping[str, Answer], said: str) -> str:
    written = sum(bool(one.text.strip()) for one in answers.values())
    if said == "the same answer":
        return "Both gave the same answer." if written == 2 else "The first two gave the same answer."
    beside = " The third is marked where it differs from the second." if written > 2 else ""
    return f"{said[:1].upper()}{said[1:]}; words that only one of the two has are marked.{beside}"


def _marked(answers: Mapping[str, Answer]) -> dict[str, Sequence[Piece]]:
    """The pieces of each answer: the first two against each other, the others against the second."""
    sides = [side for side, one in answers.items() if one.text.strip()]
    if len(sides) < 2:
        return {}
    texts = [answers[side].text for side in sides]
    both = differences(texts[0].strip(), texts[1].strip())
    found: dict[str, Sequence[Piece]] = {sides[0]: both.first, sides[1]: both.second}
    for side, text in zip(sides[2:], texts[2:], strict=True):
        found[side] = differences(texts[1].strip(), text.strip()).second
    return found


def _column(
    side: str, name: str, answer: Answer, pieces: Sequence[Piece] | None, max_tokens: int, *, newest: bool
) -> str:
    text = _own(_pieces(pieces) if pieces is not None else safe(answer.text.strip("\n")))
    waiting = not answer.done and not answer.text
    body = '<span class="ft-none">waiting …</span>' if waiting else text
    if answer.done and not answer.text.strip():
        body = '<span class="ft-none">(no text)</span>'
    caret = "" if answer.done or waiting else '<span class="ft-caret" aria-hidden="true"></span>'
    place = f' id="{safe(side)}-answer"' if newest and side in ("base", "tuned") else ""
    failed = f'<p class="ft-failed" role="alert">{safe(answer.failed)}</p>' if answer.failed else ""
    shown = "" if answer.failed and not answer.text else f'<div class="ft-said"{place}>{body}{caret}</div>'
    facts = "".join(f'<li class="ft-{tone}">{safe(words)}</li>' for words, tone in _facts(answer, max_tokens))
    return (
        f'<section class="ft-side" aria-label="{safe(name)}"><h4>{safe(name)}</h4>{shown}{failed}'
        f"<ul>{facts}</ul></section>"
    )


def _facts(answer: Answer, max_tokens: int) -> list[tuple[str, Tone]]:
    found: list[tuple[str, Tone]] = []
    if answer.first is not None:
        found.append((f"first word after {answer.first:.1f} s", "idle"))
    if answer.done and answer.rate is not None:
        found.append((f"{answer.rate:.0f} words a second", "idle"))
    if answer.cut:
        found.append((f"cut off at {max_tokens:,} tokens: raise it" if max_tokens else "cut off", "warn"))
    if answer.stopped:
        found.append(("stopped", "warn"))
    return found


def _pieces(pieces: Sequence[Piece]) -> str:
    return "".join(f"<mark>{safe(one.text)}</mark>" if one.only else safe(one.text) for one in pieces)


def table(
    rows: Sequence[tuple[Question, Mapping[str, Answer]]], names: Mapping[str, str], *, differing_only: bool = False
) -> str:
    """Many questions with their answers; a row for each that has been asked."""
    numbered = [
        (number, question, answers)
        for number, (question, answers) in enumerate(rows, 1)
        if not (differing_only and verdict(question, answers).startswith("same"))
    ]
    if not numbered:
        return '<p class="ft-legend">No answers differ so far.</p>' if rows else ""
    expecting = any(question.expected for question, _ in rows)
    heads = ["#", "Question", *(["Expected"] if expecting else []), *names.values(), "Verdict"]
    head = "".join(f'<th scope="col">{safe(one)}</th>' for one in heads)
    body = "".join(_row(number, question, answers, names, expecting) for number, question, answers in numbered)
    return (
        '<div class="ft-scroll" tabindex="0" role="region" aria-label="Answers to many questions">'
        f'<table class="ft-many"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(
    number: int, question: Question, answers: Mapping[str, Answer], names: Mapping[str, str], expecting: bool
) -> str:
    marked = _marked(answers)
    cells = "".join(
        f'<td data-label="{safe(name)}">{_cell(answers[side], marked.get(side))}</td>' for side, name in names.items()
    )
    expected = f'<td data-label="Expected">{_own(safe(_clip(question.expected)))}</td>' if expecting else ""
    said = verdict(question, answers)
    tone: Tone = "idle" if said.startswith("same") else "warn" if said.startswith(("differs", "no answer")) else "busy"
    return (
        f'<tr><td class="ft-number">{number}</td><th scope="row" translate="no">'
        f"{safe(_clip(question.question))}</th>{expected}{cells}"
        f'<td data-label="Verdict"><span class="ft-chip ft-{tone}">{safe(said)}</span></td></tr>'
    )


def _cell(answer: Answer, pieces: Sequence[Piece] | None) -> str:
    if answer.failed and not answer.text:
        return f'<span class="ft-none">{safe(answer.failed)}</span>'
    if not answer.text.strip():
        return '<span class="ft-none">(no text)</span>'
    whole = _own(_pieces(pieces) if pieces is not None else safe(answer.text.strip()))
    cut = ' <small class="ft-warn">(cut off)</small>' if answer.cut else ""
    if len(answer.text) <= CELL:
        return whole + cut
    return f"<details><summary>{_own(safe(_clip(answer.text.strip())))}</summary>{whole}</details>{cut}"


def _own(html: str) -> str:
    """What a person or a model wrote, which stays in its own language."""
    return f'<span translate="no">{html}</span>'


def _clip(text: str) -> str:
    return text if len(text) <= CELL else f"{text[: CELL - 1]}…"


def progress(done: int, total: int, words: str) -> str:
    """How many of the questions are answered."""
    percent = round(100 * done / total) if total else 0
    return (
        f'<div class="ft-progress"><p>{safe(words)}</p><div class="ft-bar" role="progressbar" aria-label="Questions" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}"><span style="width:{percent}%"></span></div>'
        "</div>"
    )
