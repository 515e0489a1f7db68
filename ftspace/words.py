"""What screens and reports call things: runs, sides, scores, times. Pure functions to words; knows no file."""

import math
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

from evals.plan import AGAIN, BASE, PROMPTED, TUNED
from evals.titles import task_title
from ftspace.config import RunConfig
from ftspace.state import Status

Tone = Literal["idle", "busy", "good", "warn", "bad"]
SIDES = {
    BASE: "Base",
    TUNED: "Tuned",
    AGAIN: "Base again",
    PROMPTED: "Base with examples",
    "reference": "Reference",
    "judge": "Judge",
}
"""Names of the sides that have one for people."""
STATUS_WORDS: dict[Status, str] = {
    "queued": "Waiting",
    "running": "Running",
    "waiting for GPU time": "Waiting for GPU time",
    "stopping": "Stopping",
    "finished": "Finished",
    "failed": "Failed",
    "cancelled": "Stopped",
    "interrupted": "Interrupted",
}
TONES: dict[Status, Tone] = {
    "queued": "idle",
    "running": "busy",
    "waiting for GPU time": "idle",
    "stopping": "busy",
    "finished": "good",
    "failed": "bad",
    "cancelled": "idle",
    "interrupted": "bad",
}


def title(config: RunConfig) -> str:
    """A run in a few words: its model and its dataset."""
    return f"{clipped(short(config.model.id))} on {clipped(short(config.data.id))}"


def clipped(name: str, most: int = 60) -> str:
    """A name of any length in one line: of a longer one its two ends."""
    if len(name) <= most:
        return name
    return f"{name[: most // 2]}…{name[-(most - most // 2 - 1) :]}"


def short(name: str) -> str:
    """A Hub id as it is; of a path the last part, without the suffix."""
    path = PurePosixPath(name)
    local = name.startswith(("/", ".", "~", "assets/")) or len(path.parts) > 2
    return path.stem if local else name


def when(run_id: str) -> str:
    """The date and time in a run's id, UTC."""
    return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).strftime("%d %b %Y, %H:%M UTC")


def side_name(side: str) -> str:
    """Who was asked, as the head of a column."""
    return SIDES.get(side) or (side[:1].upper() + side[1:]).replace("-", " ", 1)


def asked_of(side: str) -> str:
    """Who is asked, in the middle of a sentence."""
    name = side_name(side)
    model = " model" if side in ("tuned", "reference") else ""
    return f"the {name[:1].lower()}{name[1:]}{model}" if side in SIDES else name


def asked_what(task: str, side: str) -> str:
    """What is asked of whom, as it is told of a run at work: a task by its title, a judge by its name."""
    return task if side == "judge" else task_title(task)


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


def sentence(text: str) -> str:
    """A message as a sentence of its own."""
    return text[:1].upper() + text[1:].rstrip(".") + "."
