"""What must be known before a judge is believed: its leanings and failures, as findings. Pure: no files, no models.

Each has a threshold that is written here and a reason in figures. A finding is called bad only where nothing is left to
believe; a warning weakens what the judge says.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from evals.judge.family import families
from evals.judge.outcomes import Outcome
from evals.judge.records import Judgement
from evals.results import Finding, JudgeSummary
from evals.stats import ALPHA, kappa, mcnemar_mid_p, wilson, win_rate

MANY_FLIPS = 0.3
"""Share of samples in which the order changed the verdict, from which on it is told."""
MOST_FLIPS = 0.6
"""From here on little but the order is left."""
MISSING = 0.05
"""Share of samples without a verdict from which on it is told."""
MOSTLY_MISSING = 0.5
AGREEMENT = 0.4
"""Cohen's kappa below which two judges are said to disagree."""
FEW = 10
"""Fewer samples say nothing of a leaning."""


def position(judge: str, summary: JudgeSummary, found: Sequence[Outcome]) -> list[Finding]:
    """Whether the answer's place decides."""
    asked = [one for one in found if one.asked]
    firsts = sum(one.firsts == 2 for one in asked)
    lasts = sum(one.firsts == 0 and one.decided == 2 for one in asked)
    leans = mcnemar_mid_p(firsts, lasts) <= ALPHA
    if len(asked) < FEW or not (leans or summary.flips >= MANY_FLIPS):
        return []
    verdicts = sum(one.decided for one in asked)
    low, high = map(float, wilson(sum(one.firsts for one in asked), max(verdicts, 1)))
    tone = "bad" if summary.flips >= MOST_FLIPS else "warning"
    message = (
        f"{judge} changed its verdict with the order of the answers in {_percent(summary.flips)} of {len(asked)} "
        f"samples, and preferred what stood first in {_percent(summary.first_share)} of its verdicts (95 % interval "
        f"{_percent(low)} to {_percent(high)}); such samples count as ties, so a difference may go unseen: take "
        "another judge"
    )
    return [Finding(kind="judge favours a position", tone=tone, message=message)]


def length(judge: str, summary: JudgeSummary, found: Sequence[Outcome]) -> list[Finding]:
    """Whether the longer answer wins, whatever else is in it."""
    decided = [one for one in found if one.winner != "tie" and one.longer]
    if len(decided) < FEW:
        return []
    wins = sum((one.winner == summary.side) == (one.longer > 0) for one in decided)
    low, high = map(float, wilson(wins, len(decided)))
    if low <= 0.5:
        return []
    rate, rate_low, rate_high = win_rate(summary.wins, summary.losses, summary.ties)
    changes = _side_of_half(rate_low, rate_high) != _side_of_half(summary.controlled_low, summary.controlled_high)
    equal = (
        f"{_percent(summary.controlled)} at equal length ({_percent(summary.controlled_low)} to "
        f"{_percent(summary.controlled_high)}), which {'changes what it says' if changes else 'says the same'}"
    )
    if math.isnan(summary.controlled):
        equal = "at equal length that can't be told, so closely does it follow length"
    message = (
        f"{judge} preferred the longer answer in {_percent(wins / len(decided))} of {len(decided)} decided samples "
        f"(95 % interval {_percent(low)} to {_percent(high)}); {summary.side} wins {_percent(rate)} as judged, "
        f"and {equal}; the longer answers may be the better ones: read some"
    )
    return [Finding(kind="judge favours length", tone="warning" if changes or low > 0.75 else "note", message=message)]


def failures(judge: str, summary: JudgeSummary, judgements: Sequence[Judgement]) -> list[Finding]:
    """How much is missing, and why."""
    whole = summary.n + summary.missing
    share = summary.missing / whole if whole else 0.0
    if share <= MISSING:
        return []
    reasons = Counter(one.missing for one in judgements if one.missing is not None)
    told = "; ".join(f"{reason} ({count} times)" for reason, count in reasons.most_common(3))
    what = "verdict in both orders" if summary.kind == "pairwise" else "rating of both sides"
    message = (
        f"{judge} gave no {what} on {summary.missing} of {whole} samples, which are left out: {told}; judge again, and "
        "only what is missing is asked"
    )
    return [Finding(kind="judge fails", tone="bad" if share >= MOSTLY_MISSING else "warning", message=message)]


def family(judge: str, model: str, judged: Mapping[str, str]) -> list[Finding]:
    """Whether the judge is of the family of a side. `judged`: side to its model's name or folder."""
    own = families(model)
    kin = {
        side: sorted(own & families(name)) or ["the same model"]
        for side, name in judged.items()
        if own & families(name) or model == name
    }
    if not kin:
        return []
    sides, names = ", ".join(kin), ", ".join(sorted({name for found in kin.values() for name in found}))
    message = (
        f"{judge} is of the family of what it judges ({names}: {sides}): models tend to prefer their own kind, so have "
        "another judge of another family say the same"
    )
    return [Finding(kind="judge is family", tone="warning", message=message)]


def disagreement(by_judge: Mapping[str, Sequence[Outcome]]) -> list[Finding]:
    """Whether two judges say the same of the same samples."""
    found: list[Finding] = []
    names = list(by_judge)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            first = {(each.entry.task, each.entry.id): each.winner for each in by_judge[one] if each.asked}
            second = {(each.entry.task, each.entry.id): each.winner for each in by_judge[other] if each.asked}
            both = [key for key in first if key in second]
            if len(both) < FEW:
                continue
            value, low, high, agreement, n = kappa([first[key] for key in both], [second[key] for key in both])
            if not value < AGREEMENT:
                continue
            message = (
                f"{one} and {other} agree on {_percent(agreement)} of {n} samples, Cohen's kappa {value:.2f} (95 % "
                f"interval {low:.2f} to {high:.2f}), little more than by chance: read some samples and see who is right"
            )
            found.append(Finding(kind="judges disagree", tone="warning", message=message))
    return found


def _side_of_half(low: float, high: float) -> int:
    return 1 if low > 0.5 else -1 if high < 0.5 else 0


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
