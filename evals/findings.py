"""What a person must know before they believe the table, told from rows, logs and what changed. Pure: asks no model.

Each rule looks at one thing and says it with its figures and with what to do.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from evals.log import EvalLog
from evals.plan import BASE, TUNED
from evals.results import Change, Finding, Row
from evals.scorers.scoring import unanswered
from evals.shown import CUT, fits, forgetting_report, judges, key, missing, moved, score, shows_gain, size
from evals.stats import FEWEST
from evals.titles import task_title

SAME_KL = 1e-6
"""Nats a token below which two sides predict the same: rounding alone is less."""
FELT = 1e-3
"""An update norm from which on an adapter that is in use must change the predictions."""
REPEATED = 0.05
"""A share of repeated samples that weakens a score."""
MISSING, MOSTLY_MISSING = 0.05, 0.5
"""Shares of missing scores that weaken a task, and that take it away."""
HEARD = 0.1
"""Nats by which an expected answer must be likelier after its own question, if answers are to depend on questions."""
KEPT = 0.5
"""Of what the base's expected answers depend on their questions, the share that must be left."""


def find(rows: Sequence[Row], logs: Sequence[EvalLog], change: Change | None = None) -> tuple[Finding, ...]:
    """Return what was found, one rule after the other.

    Args:
        rows: the table.
        logs: of all sides and tasks that it was made of.
        change: what tuning changed, where that was measured.
    """
    by_side: dict[str, dict[str, EvalLog]] = {}
    for log in logs:
        by_side.setdefault(log.which, {})[log.spec.task] = log
    base, tuned = by_side.get(BASE, {}), by_side.get(TUNED, {})
    return (
        *_unchanged(base, tuned, change),
        *_unfollowing(base, tuned, change),
        *_contaminated(rows, tuned or base),
        *_incomplete(rows, base, tuned),
        *_forgotten(rows),
        *_manners(rows, tuned),
        *_prompted(rows),
        *_noisy(rows, by_side),
    )


def identical(first: Sequence[EvalLog], second: Sequence[EvalLog]) -> tuple[float, int]:
    """Return the share of written answers that are the same text in both, and of how many; NaN where there are none."""
    texts = {
        (log.spec.task, sample.id): sample.output for log in second for sample in log.samples if not unanswered(sample)
    }
    same = [
        sample.output == texts[log.spec.task, sample.id]
        for log in first
        for sample in log.samples
        if log.spec.kind != "choice" and (log.spec.task, sample.id) in texts and not unanswered(sample)
    ]
    return (sum(same) / len(same) if same else math.nan), len(same)


def _unchanged(base: dict[str, EvalLog], tuned: dict[str, EvalLog], change: Change | None) -> Iterator[Finding]:
    if not _same(base, tuned, change):
        return
    norm = math.nan if change is None else change.update_norm
    share, answers = identical(list(base.values()), list(tuned.values()))
    seen = f"{100 * share:.0f} % of {answers} answers are equal" if answers else "every choice is as likely as before"
    if change is not None and change.kl_tokens:
        seen += f" and the predictions differ by {change.kl:.1g} nats a token"
    if norm >= FELT:
        yield Finding(
            kind="adapter not applied",
            tone="bad",
            message=f"The tuned model answers as the base does ({seen}), though the adapter's weights would change the "
            f"base's by {100 * norm:.2g} %: it was loaded and is not in use. See that it is switched on, and that it "
            "belongs to this base.",
        )
        return
    weights = "" if math.isnan(norm) else f"; its weights change the base's by {100 * norm:.2g} %"
    yield Finding(
        kind="adapter did nothing",
        tone="bad",
        message=f"The tuned model is the base: {seen}{weights}. Name the adapter that was trained; if it is this one, "
        "train it longer or at a higher learning rate.",
    )


def _same(base: dict[str, EvalLog], tuned: dict[str, EvalLog], change: Change | None) -> bool:
    """Whether all that was measured says that the two sides are one model."""
    if not tuned:
        return False
    if change is not None and change.update_norm == 0:
        return True
    pairs = [(base[task], log) for task, log in tuned.items() if task in base]
    share, answers = identical([one for one, _ in pairs], [other for _, other in pairs])
    apart = [
        abs(a - b)
        for one, other in pairs
        for first, second in zip(one.samples, other.samples, strict=False)
        for a, b in zip(first.logprobs, second.logprobs, strict=False)
        if not (math.isnan(a) or math.isnan(b))
    ]
    known = change is not None and change.kl_tokens > 0
    return (
        (known or len(apart) > 0 or answers >= FEWEST)
        and (not known or (change is not None and change.kl < SAME_KL))
        and max(apart, default=0.0) < SAME_KL
        and (not answers or share == 1)
    )


def _unfollowing(base: dict[str, EvalLog], tuned: dict[str, EvalLog], change: Change | None) -> Iterator[Finding]:
    if change is None or change.follows_n < FEWEST or _same(base, tuned, change):
        return
    if not any(log.role == "gain" and log.spec.kind == "generation" for log in tuned.values()):
        return  # choices and suites say nothing of the answers that were trained
    lost = change.follows_change_high < 0 and change.follows_tuned < KEPT * change.follows_base
    heard = change.follows_low > 0 and change.follows_high >= HEARD
    if not lost and (heard or change.follows_change_low > 0):
        return
    deaf = lost or change.follows_high < HEARD
    seen = (
        f"After its own question an expected answer is {change.follows_tuned:+.2f} nats likelier than after another "
        f"one (95 % interval {change.follows_low:+.2f} to {change.follows_high:+.2f}, n = {change.follows_n}; base "
        f"{change.follows_base:+.2f})"
    )
    if deaf:
        seen += ": the tuned model has learnt what answers look like and not which belongs to which question"
    else:
        seen += ": that the tuned model's answers depend on the questions is not shown"
    yield Finding(
        kind="answers do not follow questions",
        tone="bad" if deaf else "warning",
        message=f"{seen}. See whether the training rows' answers stand by their own questions.",
    )


def _contaminated(rows: Sequence[Row], logs: dict[str, EvalLog]) -> Iterator[Finding]:
    clean = {key(row): row for row in rows if row.subset == "clean"}
    for task, log in logs.items():
        repeated = sum(sample.overlap for sample in log.samples)
        if not repeated:
            continue
        share = repeated / len(log.samples)
        own = [row for row in rows if row.task == task and row.role in ("gain", "forgetting") and row.subset == "all"]
        own = [row for row in own if judges(row)]
        resting = [row for row in own if row.verdict == "better" and not shows_gain(clean.get(key(row)))]
        shown = next(iter(resting or own), None)
        told = "" if shown is None else f" {shown.metric} moved by {moved(shown)} over all of them"
        without = None if shown is None else clean.get(key(shown))
        if shown is not None:
            told += f" and by {moved(without)} without those." if without else ", and without those it can't be told."
        end = " The gain shown may be memory: take" if resting else " Take"
        yield Finding(
            kind="contaminated test",
            tone="bad" if resting else "warning" if share >= REPEATED else "note",
            task=task,
            message=f"The training rows repeat {repeated} of {len(log.samples)} samples of {task_title(task)} "
            f"({100 * share:.1f} %).{told}{end} those samples out of the task, or those rows out of the training.",
        )


def _incomplete(rows: Sequence[Row], base: dict[str, EvalLog], tuned: dict[str, EvalLog]) -> Iterator[Finding]:
    worst: dict[str, Row] = {}
    for row in rows:
        if row.role in ("gain", "forgetting") and row.subset == "all" and row.n + row.unscored:
            worst[row.task] = max(worst.get(row.task, row), row, key=missing)
    for task, row in worst.items():
        if missing(row) <= MISSING:
            continue
        samples = [one for log in (base.get(task), tuned.get(task)) if log for one in log.samples]
        reasons = Counter(one.unscored for one in samples if one.unscored)
        why = f" Most often: {reasons.most_common(1)[0][0]}." if reasons else ""
        yield Finding(
            kind="scores missing",
            tone="bad" if missing(row) >= MOSTLY_MISSING else "warning",
            task=task,
            message=f"{row.unscored} of {row.n + row.unscored} samples of {task_title(task)} have no {row.metric}, so "
            f"the score is of the others only.{why}",
        )


def _forgotten(rows: Sequence[Row]) -> Iterator[Finding]:
    report = forgetting_report(rows)
    lost = [row for row in report if row.verdict == "worse"]
    told: set[str] = set()
    for row in lost:
        if row.task not in told:
            told.add(row.task)
            yield Finding(
                kind="forgetting",
                tone="warning",
                task=row.task,
                message=f"Tuning lost something: {row.metric} on {task_title(row.task)} went from "
                f"{score(row, row.base)} to {score(row, row.tuned)}, {moved(row)}. A lower learning rate, fewer "
                "epochs or ordinary rows mixed in keep more.",
            )
    missed = [row for row in report if row.verdict == "no difference shown" and not math.isnan(row.detectable)]
    if missed and not lost:
        widest = max(missed, key=lambda row: row.detectable / max(1.0, abs(row.base)))
        yield Finding(
            kind="forgetting",
            tone="note",
            message=f"No loss is shown; one of less than {size(widest, widest.detectable)} on "
            f"{task_title(widest.task)} could have been missed.",
        )


def _manners(rows: Sequence[Row], tuned: dict[str, EvalLog]) -> Iterator[Finding]:
    own = [row for row in rows if row.side == TUNED and row.against == BASE and row.subset == "all"]
    for task in dict.fromkeys(row.task for row in own):
        named = {row.metric: row for row in own if row.task == task}
        cut, loops, refusals = named.get("cut_off"), named.get("repetition"), named.get("refusal")
        endless = next((row for row in (loops, cut) if row and row.verdict == "worse"), None)
        if endless is not None and (endless is loops or fits(tuned.get(task))):
            what = "of the tuned answers are cut off" if endless is cut else "of the tuned answers' text repeat itself"
            yield Finding(
                kind="never stops",
                tone="warning",
                task=task,
                message=f"On {task_title(task)} {100 * endless.tuned:.0f} % {what}, of the base's "
                f"{100 * endless.base:.0f} %. See that the training rows end with the token that ends a turn.",
            )
        elif cut is not None and max(cut.tuned, cut.base) >= CUT:
            both = cut.tuned >= CUT
            yield Finding(
                kind="answers cut off",
                tone="warning" if both else "note",
                task=task,
                message=f"On {task_title(task)} {100 * cut.base:.0f} % of the base's answers and "
                f"{100 * cut.tuned:.0f} % of the tuned ones are cut off at the longest length. "
                + (
                    "Allow longer answers: what is cut off is scored too low."
                    if both
                    else "Part of the difference is that the tuned model ends its answers."
                ),
            )
        if refusals is not None and refusals.verdict == "worse":
            yield Finding(
                kind="refuses more",
                tone="warning",
                task=task,
                message=f"On {task_title(task)} the tuned model refuses {100 * refusals.tuned:.1f} % of the questions, "
                f"the base {100 * refusals.base:.1f} %, {moved(refusals)}. Look for refusals among the training rows.",
            )


def _prompted(rows: Sequence[Row]) -> Iterator[Finding]:
    kept = {row.task for row in rows if row.role == "forgetting"}
    for row in rows:
        if row.role != "prompting" or row.side != TUNED or row.subset != "all" or row.task in kept:
            continue
        if row.n >= FEWEST and row.verdict != "better" and judges(row):
            yield Finding(
                kind="prompting does as well",
                tone="warning",
                task=row.task,
                message=f"With solved examples before the question the base reaches {score(row, row.base)} in "
                f"{row.metric} on {task_title(row.task)}, and the tuned model {score(row, row.tuned)} "
                f"({moved(row)}): tuning is not shown to beat a prompt.",
            )


def _noisy(rows: Sequence[Row], by_side: dict[str, dict[str, EvalLog]]) -> Iterator[Finding]:
    again = [row for row in rows if row.role == "noise" and row.subset == "all" and not math.isnan(row.delta)]
    if not again:
        return
    worst = max(again, key=lambda row: abs(row.delta) / max(1.0, abs(row.base)))
    pairs = [(by_side.get(worst.against, {}).get(task), log) for task, log in by_side.get(worst.side, {}).items()]
    share, answers = identical([one for one, _ in pairs if one], [log for one, log in pairs if one])
    if worst.delta == 0 and (not answers or share == 1):
        return
    gains = {(row.task, row.metric): row for row in rows if row.role == "gain" and row.subset == "all"}
    drowned = [
        row
        for row in again
        if (gain := gains.get((row.task, row.metric)))
        and gain.verdict == "better"
        and abs(gain.delta) <= abs(row.delta)
    ]
    shown = drowned[0] if drowned else worst
    alike = f" and {100 * share:.0f} % of its answers are the same" if answers else ""
    yield Finding(
        kind="noise",
        tone="warning" if drowned or shown.verdict in ("better", "worse") else "note",
        task=shown.task if drowned else None,
        message=f"Asked once more in other batches the base's {shown.metric} on {task_title(shown.task)} moves by "
        f"{moved(shown)}{alike}: "
        + ("the gain there is no larger." if drowned else "smaller differences than that are rounding.")
        + " In float32 there is next to none.",
    )
