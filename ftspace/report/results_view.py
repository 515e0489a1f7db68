"""What there is to say of a comparison: a pure function from Results to words and numbers. Knows no gradio, no HTML."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.metrics import metric
from evals.plain import headline
from evals.results import Change, Finding, JudgeSummary, Results, Role, Row, Verdict
from evals.results import Tone as FindingTone
from evals.titles import task_title
from ftspace.words import Tone, points, side_name

_TONES: dict[FindingTone, Tone] = {"bad": "bad", "warning": "warn", "note": "idle"}
_VERDICTS: dict[Verdict, Tone] = {"better": "good", "worse": "bad", "differs": "warn"}
_TITLES: dict[Role, tuple[str, str]] = {
    "gain": ("What tuning gave", "The tuned model against its base."),
    "forgetting": ("What it lost", "Tasks asked for what tuning must not take away."),
    "prompting": (
        "Against a good prompt",
        "The base with solved examples before each question: tuning should beat it.",
    ),
    "earlier": ("Against {other}", "The tuned model against another adapter of the same base."),
    "reference": ("Against {other}", "The tuned model against a model of your choice, for scale."),
    "noise": ("Noise floor", "The base asked twice, in other batches: what differs here is no effect of tuning."),
    "judge": ("What judges prefer", "Shares of answers preferred, or ratings."),
}


@dataclass(frozen=True)
class ResultLine:
    """One row of the results, numbers as they are shown."""

    task: str
    """Its title."""
    metric: str
    base: str
    tuned: str
    delta: str
    interval: str
    n: str
    verdict: Verdict
    tone: Tone
    span: tuple[float, float, float] | None
    """Where the difference and the ends of its interval lie, from -1 to 1; None when they are not known."""
    clean: str = ""
    """The same without the samples that training rows repeat; "" when none are."""
    details: tuple[tuple[str, str], ...] = ()
    """What a statistician asks for, each with its name."""


@dataclass(frozen=True)
class Section:
    """Rows that answer one question."""

    title: str
    words: str
    heads: tuple[str, str]
    """Whose scores stand in the two columns."""
    lines: tuple[ResultLine, ...]
    more: tuple[ResultLine, ...] = ()
    """Further metrics of the same tasks."""


@dataclass(frozen=True)
class Told:
    """A finding as it is shown."""

    title: str
    message: str
    tone: Tone


@dataclass(frozen=True)
class ResultsView:
    """All that is said above the single questions."""

    verdict: str
    tone: Tone
    findings: tuple[Told, ...]
    change: str
    """Whether tuning changed anything, in a line; "" when that is not known."""
    sections: tuple[Section, ...]
    judges: tuple[str, ...]
    """A line for each judge."""


def results_view(results: Results) -> ResultsView:
    """A comparison in words and numbers."""
    words, tone = headline(results)
    return ResultsView(
        verdict=words,
        tone=tone,
        findings=tuple(_told(one) for one in results.findings),
        change=_changed(results.change) if results.change else "",
        sections=tuple(_sections(results.rows)),
        judges=tuple(_judge(one) for one in results.judges),
    )


def _sections(rows: Sequence[Row]) -> Iterator[Section]:
    """Rows by what they compare, in the order of the table; of each task the first metric before all others."""
    groups: dict[tuple[Role, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.role, row.against, row.side), []).append(row)
    for (role, against, side), found in groups.items():
        title, words = _TITLES[role]
        whole = [row for row in found if row.subset == "all"]
        clean = {(row.task, row.metric): row for row in found if row.subset == "clean"}
        lines = [line_of(row, clean.get((row.task, row.metric))) for row in whole]
        first = {row.task: place for place, row in reversed(list(enumerate(whole)))} if role != "judge" else {}
        leads = [not first or first[row.task] == place for place, row in enumerate(whole)]
        yield Section(
            title=title.format(other=_lower(side_name(against))),
            words=words,
            heads=(side_name(against), side_name(side)),
            lines=tuple(line for line, lead in zip(lines, leads, strict=True) if lead),
            more=tuple(line for line, lead in zip(lines, leads, strict=True) if not lead),
        )


def line_of(row: Row, clean: Row | None) -> ResultLine:
    """A row as it is shown; `clean` is that of the samples which training rows do not repeat."""
    ends = (row.ci_low, row.delta, row.ci_high)
    low, mid, high = (max(-1.0, min(1.0, end)) if math.isfinite(end) else math.nan for end in ends)
    drawn = row.share and math.isfinite(low + mid + high)
    return ResultLine(
        task=task_title(row.task),
        metric=row.metric + (", lower is better" if row.better == "lower" else ""),
        base=_score(row.base, row.base_stderr, row.share),
        tuned=_score(row.tuned, row.tuned_stderr, row.share),
        delta=_amount(row.delta, row.share, "+"),
        interval=_interval(row),
        n=f"{row.n:,}",
        verdict=row.verdict,
        tone=_tone(row),
        span=(low, mid, high) if drawn else None,
        clean=_without(row, clean) if clean else "",
        details=tuple(_details(row)),
    )


def _tone(row: Row) -> Tone:
    """Of the noise no difference is good news."""
    tone = _VERDICTS.get(row.verdict, "idle")
    return "warn" if row.role == "noise" and tone != "idle" else tone


def _without(row: Row, clean: Row) -> str:
    count = row.n - clean.n
    return (
        f"without {count:,} overlapping sample{'s' if count != 1 else ''}: {_amount(clean.delta, row.share, '+')} "
        f"({_interval(clean)}), {clean.verdict}"
    )


def _details(row: Row) -> Iterator[tuple[str, str]]:
    if words := metric(row.metric).words:
        yield "What a score says", words
    if row.test:
        yield "Test", row.test
    if math.isfinite(row.p):
        yield "p, for the whole table", "below 0.001" if row.p < 0.001 else f"{row.p:.3f}"
    if math.isfinite(row.detectable):
        yield "Would probably have shown", f"a difference of {_amount(row.detectable, row.share)} or more"
    if row.needed is not None:
        yield "Samples to show this difference", f"{row.needed:,}"
    if row.groups is not None:
        yield "Groups of dependent samples", f"{row.groups:,}"
    if row.changed is not None:
        yield "Answers that differ" if row.groups is None else "Groups with answers that differ", f"{row.changed:,}"
    if row.unscored:
        yield "Unscored, counted for neither", f"{row.unscored:,}"
    for name, spread in (
        (side_name(row.against), (row.base_std, row.base_min, row.base_max)),
        (side_name(row.side), (row.tuned_std, row.tuned_min, row.tuned_max)),
    ):
        if all(map(math.isfinite, spread)):
            std, least, most = (_amount(value, row.share) for value in spread)
            yield f"{name}, spread", f"standard deviation {std}, from {least} to {most}"


def _told(finding: Finding) -> Told:
    where = f" on {task_title(finding.task)}" if finding.task else ""
    return Told(f"{finding.kind[:1].upper()}{finding.kind[1:]}{where}", finding.message, _TONES[finding.tone])


def _changed(change: Change) -> str:
    """Did anything change: the shares and distances that are known."""
    parts = [
        f"{100 * change.identical:.0f} % of {change.answers:,} answers identical" if change.answers else "",
        f"KL {change.kl:.2g} nats a token" if math.isfinite(change.kl) else "",
        f"update norm {change.update_norm:.2g}" if math.isfinite(change.update_norm) else "",
        _followed(change),
    ]
    return ", ".join(part for part in parts if part)


def _followed(change: Change) -> str:
    """How far the answers depend on their questions, before and after."""
    if not math.isfinite(change.follows_base + change.follows_tuned):
        return ""
    before, after = f"{change.follows_base:+.2g}", f"{change.follows_tuned:+.2g}"
    return f"an expected answer is likelier after its own question than after another by {before} → {after} nats"


def _judge(one: JudgeSummary) -> str:
    parts = [f"{one.judge}: {one.n:,} judged"]
    if one.kind == "pairwise":
        parts.append(
            f"{side_name(one.side)} preferred {one.wins:,} times, {side_name(one.against)} {one.losses:,} times"
        )
        parts.append(f"{one.ties:,} ties")
    parts.append(f"{one.missing:,} missing" if one.missing else "")
    shares = ((one.flips, "order changed the verdict in"), (one.first_share, "the first answer won"))
    shares += ((one.longer_share, "the longer answer won"),)
    parts += [f"{words} {100 * share:.0f} %" for share, words in shares if math.isfinite(share)]
    if math.isfinite(one.controlled + one.controlled_low + one.controlled_high):
        low, mid, high = (f"{100 * value:.0f}" for value in (one.controlled_low, one.controlled, one.controlled_high))
        parts.append(f"at equal length it would win {mid} % ({low} to {high})")
    parts.append(f"{one.calls:,} calls" + (f" for {one.cost:.2f}" if one.cost is not None else "") if one.calls else "")
    return ", ".join(part for part in parts if part)


def _score(value: float, stderr: float, share: bool) -> str:
    return f"{_amount(value, share)} ± {_amount(stderr, share)}"


def _interval(row: Row) -> str:
    return f"{_amount(row.ci_low, row.share, '+')} to {_amount(row.ci_high, row.share, '+')}"


def _amount(value: float, share: bool, sign: str = "") -> str:
    """A score or a difference: in points of a hundred, or as it is; a dash when there is none."""
    if share or math.isnan(value):
        return points(value, sign)
    return f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.3g}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
