"""The terminal: where results and everything else go, and a run's events as lines or a moving bar.

Knows events and rich; starts and stops nothing.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ftspace.events import (
    AdapterSaved,
    Awaiting,
    Event,
    Finished,
    Prepared,
    Preparing,
    Resumed,
    Started,
    Step,
    Submitted,
    Validation,
    Warned,
)
from ftspace.events import Progress as Asked

WIDTH = 140
"""Columns of a table that goes to a file or a pipe."""

stdout = Console(width=None if sys.stdout.isatty() else WIDTH)
stderr = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)

LINE_EVERY = 0.1
"""Where nothing can move, a line is printed each time so large a share of a job is done."""


def show(events: Iterable[Event], console: Console, diagnosis: Callable[[], str] = str) -> None:
    """Prints a run's events as they come, until there are no more; with the training's end what its curves say."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bars:
        view = _View(console, bars)
        for event in events:
            view.take(event)
            if isinstance(event, Finished) and event.job == "train" and (said := diagnosis()):
                console.print(f"  {_plain(said)}", highlight=False)


class _View:
    """What is on the screen: one bar for the training and one for each task asked of each model."""

    def __init__(self, console: Console, bars: Progress) -> None:
        self._console = console
        self._bars = bars
        self._ids: dict[str, TaskID] = {}
        self._printed: dict[str, float] = {}
        self._total = 0

    def take(self, event: Event) -> None:
        """Shows one event."""
        say: Callable[..., None] = self._console.print
        match event:
            case Started(job="train"):
                say("[bold]train[/]: loading libraries, data and model …")
            case Started():
                say("[bold]evaluate[/]: loading base and tuned …")
            case Submitted():
                say(f"  a job of the Hub on {event.flavor}, for {event.minutes:g} minutes at most: {event.url}")
            case Preparing():
                self._bar("data", f"{event.rows:,} rows looked at", event.rows, None)
            case Prepared():
                self._total = event.total_steps
                rows = ", ".join(f"{count} {split}" for split, count in event.rows.items())
                share = event.trainable_parameters / event.parameters
                say(f"  rows: {rows} (format {_plain(event.format)})")
                if event.dropped:
                    reasons = ", ".join(f"{count} with {_plain(why)}" for why, count in event.dropped.items())
                    say(f"  [yellow]left out[/]: {reasons}")
                together = f"{event.processes} processes on " if event.processes > 1 else ""
                say(
                    f"  {event.total_steps} steps on {together}{event.device} in {event.dtype}; "
                    f"{event.trainable_parameters:,} of {event.parameters:,} parameters trained ({share:.1%})"
                )
                if event.predicted_bytes is not None and event.predicted_seconds is not None:
                    need = (
                        f"{event.predicted_bytes / 1e9:.1f} GB of memory, {event.predicted_seconds:.0f} s of training"
                    )
                    say(f"  estimated: {need}")
            case Step():
                self._bar("train", f"train, loss {event.loss:.3f}", event.step, self._total)
            case Validation():
                accuracy = "" if event.token_accuracy is None else f", {event.token_accuracy:.1%} of tokens right"
                score = "" if event.score is None else f", F1 of the samples {event.score:.2f}"
                say(f"  step {event.step}: validation loss {event.loss:.3f}{accuracy}{score}")
            case Resumed():
                say(f"  goes on from step {event.step}")
            case Asked():
                name = f"{event.task}, {event.which}"
                self._bar(name, name, event.done, event.total)
            case Warned():
                say(f"  [yellow]warning[/]: {_plain(event.message)}")
            case Awaiting():
                why = f": {_plain(event.message)}" if event.message else ""
                say(f"  waiting for GPU time{why}")
            case AdapterSaved():
                say(f"  adapter saved, {event.bytes / 1e6:.1f} MB")
            case Finished():
                colour = {"finished": "green", "failed": "red", "cancelled": "yellow"}[event.status]
                why = f": {_plain(event.message)}" if event.message else ""
                say(f"[bold]{event.job}[/]: [{colour}]{event.status}[/] after {event.seconds:.0f} s{why}")
            case _:
                pass

    def _bar(self, key: str, text: str, done: int, total: int | None) -> None:
        if not self._console.is_terminal:
            if total is None:
                self._console.print(f"  {text}")
                return
            share = done / max(total, 1)
            if done == total or share >= self._printed.get(key, 0.0) + LINE_EVERY:
                self._printed[key] = share
                self._console.print(f"  {text}: {done}/{total}")
            return
        if key not in self._ids:
            self._ids[key] = self._bars.add_task(text, total=total)
        self._bars.update(self._ids[key], description=text, completed=done, total=total)


def _plain(text: Any) -> str:
    return str(text).replace("[", "\\[")
