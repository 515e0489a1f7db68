"""Results in words: a phrase for a row, the whole table in a sentence, what changed, what a judge said."""

import math
from collections.abc import Callable, Sequence

from evals.results import Change, JudgeSummary, Role, Row
from evals.stats import ALPHA, FEWEST, FEWEST_GROUPS

_SPELLED = 3
"""So many tasks are told one by one; of more there are counts."""


def amount(value: float, share: bool, sign: str = "") -> str:
    """A score or a difference as a person reads it: in points of a hundred, or as it is; a dash when there is none."""
    if math.isnan(value):
        return "–"
    if share:
        return f"{100 * value:{sign}.1f}"
    return f"{value:{sign}.0f}" if abs(value) >= 100 else f"{value:{sign}.3g}"


def in_words(row: Row, name_metric: bool, said: str = "") -> str:
    """A row as a phrase.

    Args:
        row: the row.
        name_metric: name the metric too.
        said: what to say instead of the row's verdict.
    """
    where = f"{said or row.verdict} on {row.task}" + (f" by {row.metric}" if name_metric else "")
    if row.verdict == "too few to tell":
        what = "samples" if row.groups is None else "groups"
        few = f"; only {row.changed} {what} differ" if asked_enough(row) and row.changed is not None else ""
        return f"{where} (n = {row.n}{few})"
    unit = " points" if row.share else ""
    low, high = amount(row.ci_low, row.share), amount(row.ci_high, row.share)
    interval = "no CI" if math.isnan(row.ci_low) else f"{100 * (1 - ALPHA):.0f}% CI {low} to {high}"
    numbers = f"{amount(row.delta, row.share, '+')}{unit}, {interval}"
    if row.verdict == "no difference shown" and not math.isnan(row.detectable):
        numbers += f"; could miss less than {amount(row.detectable, row.share)}{unit}"
    return f"{where} ({numbers})"


def asked_enough(row: Row) -> bool:
    """Whether enough was asked to tell a difference, in enough groups: what is too few then are answers that differ."""
    return row.n >= FEWEST and (row.groups is None or row.groups >= FEWEST_GROUPS)


def headlines(rows: Sequence[Row], role: Role) -> list[Row]:
    """Of each task the first row of a role that carries a verdict."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.role == role and row.subset == "all" and row.better != "neither":
            found.setdefault(row.task, row)
    return list(found.values())


def sentence(rows: Sequence[Row]) -> str:
    """The table in a sentence: what was gained, what was lost, what a good prompt does, and how far the base errs."""
    metrics: dict[str, set[str]] = {}
    for row in rows:
        metrics.setdefault(row.task, set()).add(row.metric)

    def phrase(row: Row, said: str = "") -> str:
        return in_words(row, len(metrics[row.task]) > 1, said)

    lead = next((found for role in _LEADING if (found := headlines(rows, role))), [])
    parts = [phrase(row) for row in lead] if len(lead) <= _SPELLED else _counted(lead)
    parts += _lost(headlines(rows, "forgetting"), phrase)
    if lead and lead[0].role != "prompting":
        parts += _prompting(headlines(rows, "prompting"), phrase)
    noise = [row for row in headlines(rows, "noise") if row.share and not math.isnan(row.delta)]
    if noise:
        parts.append(f"the base differs from itself by at most {max(abs(100 * row.delta) for row in noise):.1f} points")
    return "; ".join(parts)


def change_in_words(change: Change) -> str:
    """How far tuning moved the model, whatever that is worth."""
    parts: list[str] = []
    if change.answers:
        parts.append(f"{100 * change.identical:.1f} % of {change.answers} answers are the same text")
    if change.kl_tokens:
        parts.append(f"predictions moved by {change.kl:.3g} nats a token (KL, {change.kl_tokens} tokens)")
    if not math.isnan(change.update_norm):
        parts.append(f"the updates are {100 * change.update_norm:.3g} % of the weights they change")
    return "; ".join(parts) or "nothing was measured"


def judge_in_words(one: JudgeSummary) -> str:
    """What a judge said of two sides, and what speaks against believing it."""
    of = f"{one.n} samples" + (f" ({one.missing} without a verdict)" if one.missing else "")
    if one.kind == "rubric":
        return f"{one.judge} rated {one.side} and {one.against} on {of}"
    said = (
        f"{one.judge} prefers {one.side} {one.wins} times, {one.against} {one.losses} times, neither {one.ties} times"
    )
    said += f", of {of}"
    if not math.isnan(one.flips):
        said += f"; the order of the answers changed {100 * one.flips:.0f} % of its verdicts"
    if not math.isnan(one.controlled):
        low, high = 100 * one.controlled_low, 100 * one.controlled_high
        said += f"; at equal length {one.side} would win {100 * one.controlled:.0f} % ({low:.0f} to {high:.0f} %)"
    return said


_LEADING: tuple[Role, ...] = ("gain", "earlier", "reference", "prompting", "judge")


def _counted(rows: Sequence[Row]) -> list[str]:
    """Many tasks: how many of each verdict, with the largest differences by name."""
    parts: list[str] = []
    of = f"of {len(rows)} tasks"
    for word in ("better", "worse", "differs"):
        found = sorted((row for row in rows if row.verdict == word), key=lambda row: -abs(row.delta))
        if found:
            named = [f"{row.task} {amount(row.delta, row.share, '+')}" for row in found[:_SPELLED]]
            parts.append(f"{word} on {len(found)} {of} ({', '.join(named)}{', …' * (len(found) > _SPELLED)})")
    unshown = [row for row in rows if row.verdict == "no difference shown"]
    if unshown:
        parts.append(f"no difference shown on {len(unshown)} {of}{_missed(unshown)}")
    few = [row for row in rows if row.verdict == "too few to tell"]
    if few:
        parts.append(f"too few to tell on {len(few)} {of}")
    return parts


def _lost(rows: Sequence[Row], phrase: Callable[[Row, str], str]) -> list[str]:
    worse = [row for row in rows if row.verdict == "worse"]
    parts = [phrase(row, "lost") for row in worse[:_SPELLED]]
    if len(worse) > _SPELLED:
        parts.append(f"lost on {len(worse) - _SPELLED} more tasks")
    kept = [row for row in rows if row.verdict in ("better", "no difference shown", "differs")]
    if kept:
        parts.append(f"no loss shown on {_named(kept)}{_missed(kept)}")
    few = [row for row in rows if row.verdict == "too few to tell"]
    if few:
        parts.append(f"too few to tell what was lost on {_named(few)}")
    return parts


def _prompting(rows: Sequence[Row], phrase: Callable[[Row, str], str]) -> list[str]:
    said = {
        "better": "better than the base with examples",
        "worse": "worse than the base with examples",
        "no difference shown": "no difference shown from the base with examples",
        "differs": "unlike the base with examples",
        "too few to tell": "against the base with examples too few to tell",
    }
    if len(rows) == 1:
        return [phrase(rows[0], said[rows[0].verdict])]
    found = {word: [row for row in rows if row.verdict == word] for word in said}
    return [f"{said[word]} on {_named(found[word])}" for word in said if found[word]]


def _named(rows: Sequence[Row]) -> str:
    return ", ".join(row.task for row in rows) if len(rows) <= _SPELLED else f"{len(rows)} tasks"


def _missed(rows: Sequence[Row]) -> str:
    """How large a difference may have been overlooked; nothing is said where it can't be told."""
    found = [row.detectable for row in rows if row.share and row.verdict == "no difference shown"]
    known = [value for value in found if not math.isnan(value)]
    return f" (could miss less than {100 * max(known):.1f} points)" if known else ""
