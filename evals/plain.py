"""A comparison in one sentence for who reads no statistics: how many more questions are answered right, what was lost.

Knows Results only. The table's own sentence, with its terms and figures, is `evals.wording`'s.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from evals.metrics import metric
from evals.results import Results, Row
from evals.titles import task_title
from evals.wording import asked_enough, headlines

Feel = Literal["good", "bad", "warn", "idle"]
"""Whether it is good news."""
_NAMED = 3
"""So many tasks are told one by one; of more there are counts."""
_RIGHT = frozenset({"exact_match", "contains", "accuracy", "em", "acc", "acc_norm"})
"""Metrics that say of an answer whether it is right."""
_PASSED = frozenset({"checks", "json_valid"})
"""Metrics that say of an answer whether its form is as asked."""
_UNRELIABLE: dict[str, str] = {
    "adapter did nothing": "the adapter changes nothing",
    "adapter not applied": "the adapter was not in use",
    "answers do not follow questions": "the tuned model's answers do not depend on what it is asked",
    "contaminated test": "the test's questions were in the training rows",
    "scores missing": "most answers have no score",
}


def headline(results: Results) -> tuple[str, Feel]:
    """The comparison in one sentence, and whether it is good news."""
    bad = (one.kind for one in results.findings if one.tone == "bad")
    if wrong := next((kind for kind in bad if not kind.startswith("judge")), None):  # a judge's failing harms no score
        return f"These numbers cannot be relied on: {_UNRELIABLE.get(wrong, wrong)}.", "bad"
    gains, kept = headlines(results.rows, "gain"), headlines(results.rows, "forgetting")
    lost = [row for row in kept if row.verdict == "worse"]
    said = "; ".join(part for part in (_gained(gains), _lost(kept, begun=bool(gains))) if part)
    if not said:
        return "Nothing was compared.", "idle"
    mixed = "Mixed: " if any(row.verdict == "better" for row in gains) and (lost or _worse(gains)) else ""
    words = f"{mixed}{said}."
    return (words if mixed else f"{words[:1].upper()}{words[1:]}"), _feel(gains, lost)


def _feel(gains: Sequence[Row], lost: Sequence[Row]) -> Feel:
    better, worse = any(row.verdict == "better" for row in gains), _worse(gains)
    if lost:
        return "warn" if better else "bad"
    return "bad" if worse else "good" if better else "idle"


def _worse(rows: Sequence[Row]) -> bool:
    return any(row.verdict == "worse" for row in rows)


def _gained(rows: Sequence[Row]) -> str:
    """What the tasks say that were asked for a gain; "" where there are none."""
    better, worse, alike, few = (
        [row for row in rows if row.verdict in verdicts]
        for verdicts in (("better",), ("worse",), ("no difference shown", "differs"), ("too few to tell",))
    )
    if not rows:
        return ""
    if not better and not worse:
        return _untold(alike, few)
    alone = len(rows) == 1
    told = [_listed(found, alone) for found in (better, worse) if found]
    rest = [f"no difference was shown on {_titles(alike)}"] if alike else []
    rest += [f"too few questions or differing answers to tell on {_titles(few)}"] if few else []
    return "; ".join([f"the tuned model {', but '.join(told)}", *rest])


def _untold(alike: Sequence[Row], few: Sequence[Row]) -> str:
    """Where neither better nor worse was shown: how large a difference is still possible."""
    if not alike:
        if all(map(asked_enough, few)):
            return "too few answers differ to tell: ask more questions, and more of them will"
        return "too few questions to tell: ask more of them, and the difference can be judged"
    first = alike[0]
    known = (
        first.share
        and first.better == "higher"
        and math.isfinite(first.ci_low + first.ci_high)
        and first.ci_low <= 0 <= first.ci_high
    )
    if len(alike) > 1 or few or not known:
        return "no difference shown: the tuned model may be like its base, or the test is too small to tell"
    show = _figures(first)
    low, high = show(first.ci_low), show(first.ci_high)
    if first.metric in _RIGHT:
        span = f"answer up to {low} of 100 questions fewer right than its base, or up to {high} more"
    elif first.metric in _PASSED:
        span = f"give up to {low} of 100 answers fewer in the form asked than its base, or up to {high} more"
    else:
        span = f"score up to {low} points of 100 lower than its base by {first.metric}, or up to {high} higher"
    return f"no difference shown: the tuned model may {span}"


def _lost(rows: Sequence[Row], *, begun: bool) -> str:
    """What the tasks say that were asked for what tuning takes away; "" where there are none."""
    worse = [row for row in rows if row.verdict == "worse"]
    few = [row for row in rows if row.verdict == "too few to tell"]
    kept = [row for row in rows if row.verdict not in ("worse", "too few to tell")]
    who = "it" if begun else "the tuned model"
    parts = [f"of what the base could do, {who} now {_listed(worse, alone=False)}"] if worse else []
    parts += [f"no loss was found on {_titles(kept)}"] if kept else []
    parts += [f"whether anything was lost on {_titles(few)} cannot be told from so few questions"] if few else []
    return "; ".join(parts)


def _listed(rows: Sequence[Row], alone: bool) -> str:
    """What was better on some tasks, or what was worse."""
    if alone:
        return f"{_does(rows[0])}{_between(rows[0], ', {}')}"
    if len(rows) <= _NAMED:
        parts = [f"{_does(row)} on {task_title(row.task)}{_between(row, ' ({})')}" for row in rows]
        return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    most = max(rows, key=lambda row: abs(row.delta) if row.share else 0.0)
    way = "better" if most.verdict == "better" else "worse"
    return f"does {way} on {len(rows)} tasks, most of all on {task_title(most.task)}, where it {_does(most)}"


def _does(row: Row) -> str:
    """What the tuned model does otherwise, with the difference."""
    much, many = (("more", "higher") if row.delta > 0 else ("fewer", "lower")), _figures(row)(row.delta)
    if row.share and row.metric in _RIGHT:
        return f"answers {many} of 100 {much[0]} questions right"
    if row.share and row.metric in _PASSED:
        return f"gives {many} of 100 {much[0]} answers in the form asked"
    unit = " points of 100" if row.share else f" {metric(row.metric).unit}"
    good = ", which is better," if row.better == "lower" and row.delta < 0 else ""
    bad = ", which is worse," if row.better == "lower" and row.delta > 0 else ""
    return f"scores {many}{unit} {much[1]}{good}{bad} by {row.metric}"


def _between(row: Row, form: str) -> str:
    """The ends of the interval; "" where there is none, or where it says less than the test did."""
    if not math.isfinite(row.ci_low + row.ci_high) or row.ci_low * row.ci_high <= 0:
        return ""
    show = _figures(row)
    low, high = sorted((row.ci_low, row.ci_high), key=abs)
    return form.format(f"between {show(low)} and {show(high)}")


def _figures(row: Row) -> Callable[[float], str]:
    """How a row's differences are written: whole numbers of 100 where that says enough, without their signs."""
    if not row.share:
        return lambda value: f"{abs(value):,.0f}" if abs(value) >= 100 else f"{abs(value):.3g}"
    known = [abs(value) for value in (row.delta, row.ci_low, row.ci_high) if math.isfinite(value) and value]
    digits = 0 if min(known, default=1.0) >= 0.01 and abs(row.delta) >= 0.095 else 1
    return lambda value: f"{100 * abs(value):.{digits}f}".removesuffix(".0")


def _titles(rows: Sequence[Row]) -> str:
    named = [task_title(row.task) for row in rows]
    if len(named) > _NAMED:
        return f"{len(named)} other tasks"
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
