"""What the page says about a run: pure functions from its state to words, numbers and plot data.

Knows no gradio and no HTML; time is an argument. `samples.py` does the same for single answers.
"""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

import pandas as pd

from evals.log import Results, Row
from evals.log import Verdict as RowVerdict
from ftspace.answers import Answered, answered
from ftspace.config import RunConfig
from ftspace.reasons import EXPLAINED
from ftspace.state import TERMINAL, RunState, Status
from ftspace.training.diagnosis import Diagnosis, Kind, diagnose
from ftspace.ui.footprint import footprint

Tone = Literal["idle", "busy", "good", "warn", "bad"]
PhaseState = Literal["done", "now", "next", "bad"]
POINTS = 300
"""So many points of a curve are drawn; longer ones are averaged in buckets."""

STATUS_WORDS: dict[Status, str] = {
    "queued": "Waiting",
    "running": "Running",
    "stopping": "Stopping",
    "finished": "Finished",
    "failed": "Failed",
    "cancelled": "Stopped",
    "interrupted": "Interrupted",
}
TONES: dict[Status, Tone] = {
    "queued": "idle",
    "running": "busy",
    "stopping": "busy",
    "finished": "good",
    "failed": "bad",
    "cancelled": "idle",
    "interrupted": "bad",
}


@dataclass(frozen=True)
class Live:
    """A run's state in words: what the Tune step shows while and after it is at work."""

    headline: str
    detail: str
    tone: Tone
    fraction: float | None
    """How far the present phase is, from 0 to 1; None when that cannot be said."""
    phases: list[tuple[str, PhaseState]]
    facts: list[tuple[str, str]]
    warnings: list[str]
    answers: list[Answered] = field(default_factory=list[Answered])
    """The sample questions with the newest answers."""
    diagnosis: tuple[str, Tone] | None = None
    """What the curves say; None before the first step."""


@dataclass(frozen=True)
class RunLine:
    """One run in a list of runs."""

    id: str
    title: str
    when: str
    words: str
    tone: Tone


@dataclass(frozen=True)
class ResultLine:
    """One row of the results, numbers as they are shown."""

    task: str
    metric: str
    base: str
    tuned: str
    delta: str
    interval: str
    n: str
    unscored: str
    verdict: RowVerdict
    tone: Tone
    span: tuple[float, float, float] | None
    """Where the difference and the ends of its interval lie, from -1 to 1; None when they are not known."""


def live(state: RunState, status: Status, config: RunConfig, now: float, trouble: str = "") -> Live:
    """What is going on, how far it is and what is next; `trouble` is what is wrong with the run's folder, if anything.

    That matters where a run cannot tell it itself.
    """
    headline, detail, fraction = _words(state, status, config)
    if trouble and status == "interrupted":
        detail = f"{_sentence(trouble)} Nothing can be saved there until that is mended. {detail}"
    return Live(
        headline=headline,
        detail=detail,
        tone=TONES[status],
        fraction=fraction,
        phases=_phases(state, status, config),
        facts=_facts(state, status, now),
        warnings=list(dict.fromkeys(state.warnings)),
        answers=answered(state),
        diagnosis=_diagnosis(diagnose(state, config)) if state.steps else None,
    )


def _diagnosis(found: Diagnosis) -> tuple[str, Tone]:
    tones: dict[Kind, Tone] = {"early": "idle", "falling": "good", "converged": "good"}
    tones |= {"diverged": "bad", "unsupervised": "bad"}
    return str(found), tones.get(found.kind, "warn")


def _words(state: RunState, status: Status, config: RunConfig) -> tuple[str, str, float | None]:
    end = state.end(["train", "evaluate"] if config.eval.tasks else ["train"])
    saved = "The adapter is saved." if state.adapter else "Nothing was saved."
    match status:
        case "queued":
            return "Waiting for its turn", "One run at a time has the machine; this one starts by itself.", None
        case "finished":
            took = duration((state.last_at or 0) - (state.started_at or 0))
            trained = state.ended.get("train")
            early = f" {_sentence(trained.message)}" if trained and trained.message else ""
            if state.verdict is not None:
                return "Finished", f"Trained and compared in {took}.{early}", 1.0
            why = " Nothing was compared: no question was left to ask." if config.eval.tasks else ""
            return "Finished", f"Trained in {took}.{why}{early}", 1.0
        case "failed" if end:
            found = EXPLAINED[end.reason]
            return f"Failed: {found.title}", f"{_sentence(end.message)} {found.advice}", None
        case "failed":
            return "Failed", "", None
        case "cancelled":
            return "Stopped", _sentence(end.message) if end and end.message else saved, None
        case "interrupted":
            return "Interrupted", f"The process ended without a word: perhaps the machine was restarted. {saved}", None
        case "stopping":
            return "Stopping", "It ends after this step, and keeps what it has learnt until then.", _fraction(state)
        case "running":
            return _at_work(state, config)


def _at_work(state: RunState, config: RunConfig) -> tuple[str, str, float | None]:
    if state.job == "evaluate":
        if not state.progress:
            return "Comparing base and tuned", "Loading the model and the tasks.", None
        newest = list(state.progress.values())[-1]
        parts = 2 * len(config.eval.tasks)
        done = sum(one.done / one.total for one in state.progress.values() if one.total)
        which = {"base": "the base", "tuned": "the tuned model"}.get(newest.which, newest.which)
        return (
            "Comparing base and tuned",
            f"Asking {which}: {newest.task}, {newest.done} of {newest.total}.",
            min(1.0, done / parts),
        )
    if state.prepared is None:
        looked_at = f"{state.looked_at:,} rows looked at." if state.looked_at else "Loading the dataset and the model."
        return "Getting ready", looked_at, None
    total = state.prepared.total_steps
    done = state.steps[-1].step if state.steps else 0
    eta = state.eta_seconds
    detail = "The first step takes longest."
    if eta is not None:
        detail = f"About {duration(eta)} left of the training."
    elif state.prepared.predicted_seconds is not None:
        detail = f"About {duration(state.prepared.predicted_seconds)} of training, by the estimate."
    if done >= total:
        detail = "Measuring the validation loss and saving the adapter."
    return f"Training: step {done} of {total}", detail, _fraction(state)


def _fraction(state: RunState) -> float | None:
    if state.prepared is None or not state.steps or state.job == "evaluate":
        return None
    return min(1.0, state.steps[-1].step / state.prepared.total_steps)


def _phases(state: RunState, status: Status, config: RunConfig) -> list[tuple[str, PhaseState]]:
    names = ["Get ready", "Train", *(["Compare"] if config.eval.tasks else []), "Done"]
    if status == "finished":
        return [(name, "done") for name in names]
    if status == "queued":
        return [(name, "next") for name in names]
    at = 2 if state.job == "evaluate" else 1 if state.prepared else 0
    here: PhaseState = "bad" if status in TERMINAL else "now"
    return [(name, "done" if place < at else here if place == at else "next") for place, name in enumerate(names)]


def _facts(state: RunState, status: Status, now: float) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if state.started_at is not None:
        until = now if status not in TERMINAL else state.last_at or now
        facts.append(("Time", duration(until - state.started_at)))
    if state.steps:
        newest = state.steps[-1]
        facts.append(("Training loss", number(newest.loss)))
    if state.validations:
        first, last = state.validations[0], state.validations[-1]
        words = number(last.loss) if last is first else f"{number(first.loss)} → {number(last.loss)}"
        facts.append(("Validation loss", words))
        shares = [one.token_accuracy for one in (first, last) if one.token_accuracy is not None]
        if shares:
            facts.append(("Tokens right", " → ".join(f"{points(one)} %" for one in dict.fromkeys(shares))))
        scores = [one.score for one in (first, last) if one.score is not None]
        if scores:
            facts.append(("F1 of the samples", " → ".join(points(one) for one in dict.fromkeys(scores))))
    if state.steps and state.steps[-1].seconds > 0:
        newest = state.steps[-1]
        facts.append(("Speed", f"{newest.tokens / newest.seconds:,.0f} tokens/s"))
    if state.prepared is not None:
        rows = state.prepared.rows
        kept = sum(rows.get(split, 0) for split in ("validation", "test"))
        facts.append(("Rows", f"{rows.get('train', 0):,} to train, {kept:,} kept back"))
        share = state.prepared.trainable_parameters / max(1, state.prepared.parameters)
        facts.append(("Trained weights", f"{count(state.prepared.trainable_parameters)} ({100 * share:.1f} %)"))
        facts.append(("Device", f"{state.prepared.device}, {state.prepared.dtype}"))
        facts += footprint(state.prepared, state.steps)
    return facts


def curves(state: RunState, points: int = POINTS) -> pd.DataFrame:
    """Step, loss and which loss it is, at most `points` of each curve; never empty, so that it can be plotted."""
    training = _thin([(step.step, step.loss) for step in state.steps if math.isfinite(step.loss)], points)
    validation = _thin([(one.step, one.loss) for one in state.validations if math.isfinite(one.loss)], points)
    rows = [(step, loss, "training") for step, loss in training]
    rows += [(step, loss, "validation") for step, loss in validation]
    frame = pd.DataFrame(rows or [(0, 0.0, "training")], columns=["step", "loss", "curve"])
    return frame.astype({"step": float, "loss": float})


def _thin(points: list[tuple[int, float]], most: int) -> list[tuple[float, float]]:
    """The points, or as many averages over equally long stretches of them."""
    if len(points) <= most:
        return [(step, loss) for step, loss in points]
    thinned: list[tuple[float, float]] = []
    for place in range(most):
        stretch = points[place * len(points) // most : (place + 1) * len(points) // most]
        thinned.append((stretch[-1][0], sum(loss for _, loss in stretch) / len(stretch)))
    return thinned


def run_line(run_id: str, config: RunConfig | None, status: Status | None, verdict: str | None) -> RunLine:
    """One run in the list of runs; without config for a run that cannot be read."""
    if config is None or status is None:
        return RunLine(run_id, "A run that cannot be read", when(run_id), "One of its files is damaged.", "bad")
    words = STATUS_WORDS[status]
    if status == "finished" and verdict:
        words = verdict
    return RunLine(run_id, title(config), when(run_id), words, TONES[status])


def title(config: RunConfig) -> str:
    """A run in a few words: its model and its dataset."""
    return f"{short(config.model.id)} on {short(config.data.id)}"


def short(name: str) -> str:
    """A Hub id as it is; of a path the last part, without the suffix."""
    path = PurePosixPath(name)
    local = name.startswith(("/", ".", "~", "assets/")) or len(path.parts) > 2
    return path.stem if local else name


def when(run_id: str) -> str:
    """The date and time in a run's id, UTC."""
    return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).strftime("%d %b %Y, %H:%M UTC")


def headline(results: Results) -> tuple[str, Tone]:
    """The comparison in one sentence, and whether it is good news."""
    tasks = list(dict.fromkeys(row.task for row in results.rows))
    if not tasks:
        return "Nothing was compared.", "idle"
    better = [task for task in tasks if any(row.task == task and row.verdict == "better" for row in results.rows)]
    worse = [task for task in tasks if any(row.task == task and row.verdict == "worse" for row in results.rows)]
    if all(row.verdict == "too few to tell" for row in results.rows):
        return "Too few questions to tell: ask more of them, and the difference can be judged.", "idle"
    if not better and not worse:
        return "No difference shown: the tuned model may be like its base, or the test is too small to tell.", "idle"
    of = f"of {len(tasks)} task{'s' if len(tasks) > 1 else ''}"
    if not worse:
        return f"The tuned model is better on {len(better)} {of}, and shown to be worse on none.", "good"
    if not better:
        return f"The tuned model is worse on {len(worse)} {of}, and shown to be better on none.", "bad"
    return f"Mixed: the tuned model is better on {len(better)} {of} and worse on {len(worse)}.", "bad"


def result_lines(results: Results) -> list[ResultLine]:
    """The rows of the comparison as they are shown, in points of a hundred."""
    return [_result_line(row) for row in results.rows]


def _result_line(row: Row) -> ResultLine:
    ends = (row.ci_low, row.delta, row.ci_high)
    low, mid, high = (max(-1.0, min(1.0, end)) if math.isfinite(end) else math.nan for end in ends)
    tones: dict[RowVerdict, Tone] = {"better": "good", "worse": "bad"}
    return ResultLine(
        task=row.task,
        metric=row.metric,
        base=f"{points(row.base)} ± {points(row.base_stderr)}",
        tuned=f"{points(row.tuned)} ± {points(row.tuned_stderr)}",
        delta=points(row.delta, "+"),
        interval=f"{points(row.ci_low, '+')} to {points(row.ci_high, '+')}",
        n=f"{row.n:,}",
        unscored=f"{row.unscored:,}",
        verdict=row.verdict,
        tone=tones.get(row.verdict, "idle"),
        span=(low, mid, high) if math.isfinite(low + mid + high) else None,
    )


def points(share: float, sign: str = "") -> str:
    """A fraction in points of a hundred; a dash when there is none."""
    return "–" if math.isnan(share) else f"{100 * share:{sign}.1f}"


def number(value: float) -> str:
    """A loss, short."""
    return f"{value:.3f}" if math.isfinite(value) else "not a number"


def count(value: int) -> str:
    """A number of parameters, short: 3.4 M."""
    for size, word in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.1f}{word}"
    return str(value)


def duration(seconds: float) -> str:
    """A time that a person would say: 40 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10 and rest:
        return f"{minutes} min {rest} s"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def tail(text: str, lines: int = 40) -> str:
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-lines:])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
