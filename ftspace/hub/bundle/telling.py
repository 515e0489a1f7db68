"""A run's events as a push carries them: `training.jsonl`, what the curve is drawn of. No text of a row is in it.

The file is an events file itself, so a run that is made of it shows as it did where it was trained.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ftspace.events import (
    AdapterSaved,
    Asking,
    Awaiting,
    Checkpoint,
    Evaluated,
    Event,
    Finished,
    Prepared,
    Preparing,
    Progress,
    Resumed,
    Sample,
    Started,
    Step,
    Submitted,
    Uploading,
    Validation,
    Verifying,
    Warned,
)

CURVE = "training.jsonl"


def told_events(events: Iterable[Event], *, texts: bool) -> Iterator[Event]:
    """The events that may be told, numbered anew; reasons that quote rows only where texts may be shown."""
    for seq, event in enumerate(_told(events, texts=texts)):
        yield event.model_copy(update={"seq": seq})


def write_curve(folder: Path, events: Iterable[Event], *, texts: bool) -> None:
    """Writes training.jsonl. Raises OSError."""
    lines = (event.model_dump_json() + "\n" for event in told_events(events, texts=texts))
    (folder / CURVE).write_text("".join(lines), encoding="utf-8")


def _told(events: Iterable[Event], *, texts: bool) -> Iterator[Event]:
    for event in events:
        match event:
            case Started():
                yield event.model_copy(update={"pid": 0})
            case Prepared() if event.dropped and not texts:
                yield event.model_copy(update={"dropped": {"left out": sum(event.dropped.values())}})
            case Finished():
                yield event.model_copy(update={"message": ""})
            case Prepared() | Step() | Validation() | Resumed() | AdapterSaved() | Evaluated():
                yield event
            case Sample() | Warned() | Checkpoint() | Awaiting() | Preparing() | Asking() | Progress():
                pass  # texts of rows or of this machine, and what is of use only while the run is at work
            case Uploading() | Verifying():
                pass  # the same, of a push
            case Submitted():
                pass  # whose account it was
