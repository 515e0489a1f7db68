"""What the page says of a run at work: a pure function from its state to words and numbers.

Knows no gradio and no HTML; time is an argument. `views.py` does the same for lists and results.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from ftspace.answers import Answered, Change, answered, changes
from ftspace.config import RunConfig
from ftspace.reasons import EXPLAINED
from ftspace.state import TERMINAL, RunState, Status
from ftspace.training.diagnosis import Diagnosis, Kind, diagnose
from ftspace.ui.live.curves import Curves
from ftspace.ui.live.footprint import footprint
from ftspace.words import (
    STATUS_WORDS,
    TONES,
    Tone,
    asked_of,
    asked_what,
    count,
    duration,
    number,
    points,
    sentence,
    short,
)

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
    changes: list[list[Change]] = field(default_factory=list[list[Change]])
    """How each of these answers came about."""
    said: str = ""
    """The headline without what changes each second."""
    diagnosis: tuple[Diagnosis, Tone] | None = None
    """What the curves say; None before the first step."""
    ways: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """What can be done about it: words and where they lead."""
    curves: Curves | None = None


@dataclass(frozen=True)
class Turn:
    """Where a run that waits stands."""

    place: int
    """From 1."""
    starts_in: float | None
    """Seconds, where that can be said."""


def live(
    state: RunState,
    status: Status,
    config: RunConfig,
    now: float,
    trouble: str = "",
    turn: Turn | None = None,
    after: float | None = None,
    run_id: str = "",
) -> Live:
    """What is going on, how far it is and what is next; without its curves.

    `trouble` is what is wrong with the run's folder, if anything: that matters where a run cannot tell it itself.
    `after` are the seconds that runs like it took for what follows the training, where any is known; `run_id` is
    where a new run starts from.
    """
    headline, detail, fraction = _words(state, status, config, turn, after)
    found = diagnose(state, config) if state.steps else None
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
        changes=changes(state),
        said=headline.partition(":")[0] if status == "running" else headline,
        diagnosis=(found, _TONES.get(found.kind, "warn")) if found else None,
        ways=_ways(found, run_id) if found and run_id else [],
    )


_TONES: Mapping[Kind, Tone] = {
    "early": "idle", "falling": "good", "converged": "good", "diverged": "bad", "unsupervised": "bad"
}  # fmt: skip
_MESSAGE = 600
"""Characters of why a run failed that stand before what to do; the log has the whole."""
_COUNTED = {"train.epochs": "epochs", "train.max_steps": "steps"}
_NAMES = {**_COUNTED, "train.learning_rate": "learning rate", "train.batch_size": "batch size"}


def _ways(found: Diagnosis, run_id: str) -> list[tuple[str, str]]:
    """New runs that do what a diagnosis advises."""
    return [
        (
            f"New run with {value:g} {_NAMES[name]}" if name in _COUNTED else f"New run with {_NAMES[name]} {value:g}",
            f"?from={quote(run_id)}&{name}={value:g}",
        )
        for name, value in found.sets
    ]


def advised(query: Mapping[str, str]) -> dict[str, float]:
    """What such an address asks to set, by the config's names; what is no number is not taken."""
    found: dict[str, float] = {}
    for name in _NAMES:
        try:
            value = float(query.get(name, "nan"))
        except ValueError:
            continue
        if 0 < value < 1e6:
            found[name] = int(value) if value.is_integer() else value
    return found


def page_title(view: Live, status: Status, config: RunConfig, name: str = "") -> str:
    """What the browser shows of the run, by its owner's name for it: how far it is while at work, then how it ended."""
    share = f"{100 * view.fraction:.0f} %" if view.fraction is not None else view.headline
    said = STATUS_WORDS[status] if status in TERMINAL or status == "queued" else share
    return f"{said} · {name or short(config.data.id)} · ftspace"


def _waiting(turn: Turn | None) -> str:
    if turn is None:
        return "It starts by itself as soon as the machine is free."
    place = "It is the next" if turn.place == 1 else f"{turn.place - 1} before it"
    when = "" if turn.starts_in is None else f", and starts in about {duration(turn.starts_in)}"
    return f"{place}{when}. It starts by itself."


def _words(
    state: RunState, status: Status, config: RunConfig, turn: Turn | None, after: float | None
) -> tuple[str, str, float | None]:
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
            why = sentence(end.message) if len(end.message) <= _MESSAGE else f"{sentence(end.message[:_MESSAGE])[:-1]}…"
            return f"Failed: {found.title}", f"{why} {found.advice}", None
        case "failed":
            return "Failed", "", None
        case "cancelled":
            return "Stopped", sentence(end.message) if end and end.message else saved, None
        case "interrupted":
            return "Interrupted", f"The process ended without a word: perhaps the machine was restarted. {saved}", None
        case "stopping":
            return "Stopping", "It ends after this step, as it was told to.", _fraction(state)
        case "waiting for GPU time":
            return "Waiting for GPU time", _awaiting(state), _fraction(state)
        case "running":
            return _at_work(state, config, after)


def _awaiting(state: RunState) -> str:
    """Why a run waits for GPU time, and what is kept of it meanwhile."""
    why = sentence(state.awaiting.message) if state.awaiting and state.awaiting.message else "Its lease is over."
    if state.job == "evaluate":
        return f"{why} It goes on by itself; answers that were given are kept."
    kept = f"it goes on by itself from step {state.checkpoint.step}" if state.checkpoint else "it goes on by itself"
    return f"{why} {sentence(kept)}"


def _at_work(state: RunState, config: RunConfig, after: float | None) -> tuple[str, str, float | None]:
    if state.submitted is not None:
        return "At the Hub", f"Its job waits for {state.submitted.flavor}, or sets it up.", None
    if state.job == "evaluate":
        if not state.progress:
            return "Comparing base and tuned", "Loading the model and the tasks.", None
        newest = list(state.progress.values())[-1]
        left = state.asking_seconds
        soon = "" if left is None else f" About {duration(left)} left."
        what = asked_what(newest.task, newest.which)
        asked = f"Asking {asked_of(newest.which)}: {what}, {newest.done} of {newest.total}."
        return "Comparing base and tuned", asked + soon, state.asked
    if state.prepared is None:
        looked_at = f"{state.looked_at:,} rows looked at." if state.looked_at else "Loading the dataset and the model."
        return "Getting ready", looked_at, None
    total = state.prepared.total_steps
    done = state.steps[-1].step if state.steps else 0
    eta = _left(state, config)
    detail = "The first step takes longest."
    if eta is not None:
        detail = f"About {duration(eta)} left of the training{_then(eta, config, after)}."
    elif state.prepared.predicted_seconds is not None:
        detail = f"About {duration(state.prepared.predicted_seconds)} of training, by the estimate."
    if done >= total:
        detail = "Measuring the validation loss and saving the adapter."
    return f"Training: step {done} of {total}", detail, _fraction(state)


def _left(state: RunState, config: RunConfig) -> float | None:
    """Seconds of training still to come: until its last step, or until its time is up."""
    eta, limit = state.eta_seconds, config.train.max_minutes
    if eta is None or limit is None:
        return eta
    return max(0.0, min(eta, 60 * limit - state.steps[-1].seconds))


def _then(eta: float, config: RunConfig, after: float | None) -> str:
    """What follows the training, and when all is done."""
    if not config.eval.tasks:
        return ""
    if after is None:
        return ", then both models are compared"
    return f", then about {duration(after)} of comparing: done in about {duration(eta + after)}"


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
        if state.prepared.processes > 1:
            facts.append(("Train together", f"{state.prepared.processes} processes"))
        facts += footprint(state)
    return facts
