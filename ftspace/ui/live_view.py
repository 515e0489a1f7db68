"""What the page says of a run at work: a pure function from its state to words and numbers.

Knows no gradio and no HTML; time is an argument. `views.py` does the same for lists and results.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ftspace.answers import Answered, answered
from ftspace.config import RunConfig
from ftspace.reasons import EXPLAINED
from ftspace.report.chart import Point
from ftspace.state import TERMINAL, RunState, Status
from ftspace.training.diagnosis import Diagnosis, Kind, diagnose
from ftspace.ui.footprint import footprint
from ftspace.words import STATUS_WORDS, TONES, Tone, asked_of, count, duration, number, points, sentence, short

PhaseState = Literal["done", "now", "next", "bad"]


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
    training: Sequence[Point] = ()
    validation: Sequence[Point] = ()
    """The curves."""
    every: int = 1
    """So many steps are put together in a point of the training curve."""


@dataclass(frozen=True)
class Turn:
    """Where a run that waits stands."""

    place: int
    """From 1."""
    starts_in: float | None
    """Seconds, where that can be said."""


def live(
    state: RunState, status: Status, config: RunConfig, now: float, trouble: str = "", turn: Turn | None = None
) -> Live:
    """What is going on, how far it is and what is next; without its curves.

    `trouble` is what is wrong with the run's folder, if anything: that matters where a run cannot tell it itself.
    """
    headline, detail, fraction = _words(state, status, config, turn)
    if trouble and status == "interrupted":
        detail = f"{sentence(trouble)} Nothing can be saved there until that is mended. {detail}"
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


def page_title(view: Live, status: Status, config: RunConfig) -> str:
    """What the browser shows of the run: how far it is while it is at work, then how it ended."""
    share = f"{100 * view.fraction:.0f} %" if view.fraction is not None else view.headline
    said = STATUS_WORDS[status] if status in TERMINAL or status == "queued" else share
    return f"{said} · {short(config.data.id)} · ftspace"


def _waiting(turn: Turn | None) -> str:
    if turn is None:
        return "One run at a time has the machine; this one starts by itself."
    place = "It is the next" if turn.place == 1 else f"{turn.place - 1} before it"
    when = "" if turn.starts_in is None else f", and starts in about {duration(turn.starts_in)}"
    return f"{place}{when}. It starts by itself."


def _words(state: RunState, status: Status, config: RunConfig, turn: Turn | None) -> tuple[str, str, float | None]:
    end = state.end(["train", "evaluate"] if config.eval.tasks else ["train"])
    kept = f"The checkpoint of step {state.checkpoint.step} is kept." if state.checkpoint else "Nothing was saved."
    saved = "The adapter is saved." if state.adapter else kept
    match status:
        case "queued":
            return "Waiting for its turn", _waiting(turn), None
        case "finished":
            took = duration((state.last_at or 0) - (state.started_at or 0))
            trained = state.ended.get("train")
            early = f" {sentence(trained.message)}" if trained and trained.message else ""
            if state.verdict is not None:
                return "Finished", f"Trained and compared in {took}.{early}", 1.0
            why = " Nothing was compared: no question was left to ask." if config.eval.tasks else ""
            return "Finished", f"Trained in {took}.{why}{early}", 1.0
        case "failed" if end:
            found = EXPLAINED[end.reason]
            return f"Failed: {found.title}", f"{sentence(end.message)} {found.advice}", None
        case "failed":
            return "Failed", "", None
        case "cancelled":
            return "Stopped", sentence(end.message) if end and end.message else saved, None
        case "interrupted":
            return "Interrupted", f"The process ended without a word: perhaps the machine was restarted. {saved}", None
        case "stopping":
            return "Stopping", "It ends after this step, and keeps what it has learnt until then.", _fraction(state)
        case "running":
            return _at_work(state)


def _at_work(state: RunState) -> tuple[str, str, float | None]:
    if state.job == "evaluate":
        if not state.progress:
            return "Comparing base and tuned", "Loading the model and the tasks.", None
        newest = list(state.progress.values())[-1]
        left = state.asking_seconds
        soon = "" if left is None else f" About {duration(left)} left."
        asked = f"Asking {asked_of(newest.which)}: {newest.task}, {newest.done} of {newest.total}."
        return "Comparing base and tuned", asked + soon, state.asked
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
        facts += footprint(state)
    return facts
