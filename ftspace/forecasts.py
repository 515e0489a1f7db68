"""How long runs like one took, and how long one at work may still take. Knows runs on disk; what it read it keeps.

A page asks for it every few seconds: of each run's events only what is new is read.
"""

import json
import statistics
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspace.events import Finished, parse_event
from ftspace.runs import Run, RunReader, RunStore

LOOKED_AT = 200
"""Newest runs among which alike ones are looked for."""
ALIKE = 10
"""Finished runs that count."""
_KEPT = 1000


@dataclass(frozen=True)
class Took:
    """Seconds of a run, or the medians of several."""

    seconds: float
    """Of all its jobs."""
    after: float
    """Of those that follow the training."""


@dataclass(frozen=True)
class Past:
    """What a run was, and what it took."""

    model: str
    dataset: str
    took: Took | None
    """None when the run did not finish."""


_lock = threading.Lock()
_past: OrderedDict[Path, tuple[tuple[int, int], Past | None]] = OrderedDict()
_readers: OrderedDict[Path, RunReader] = OrderedDict()


def history(store: RunStore) -> list[Past]:
    """What the newest runs took, those that finished, the newest first."""
    with _lock:
        runs = [run for run in store.list()[:LOOKED_AT] if not run.ticket.exists()]  # those are not finished
        return [found for run in runs if (found := _look(run)) is not None and found.took]


def past_of(run: Run) -> Past | None:
    """What a run was, and what it took; None when it cannot be read."""
    with _lock:
        return _look(run)


def typical(run: Run, past: list[Past]) -> Took | None:
    """The medians of the runs in `past` with the run's model and dataset, else its model; None without one."""
    with _lock:
        asked = _look(run)
    if asked is None:
        return None
    found = _alike(past, asked.model, asked.dataset)
    if not found:
        return None
    return Took(statistics.median(one.seconds for one in found), statistics.median(one.after for one in found))


def after_training(run: Run) -> float | None:
    """Seconds that runs like it took for what follows the training; None where none is known."""
    model, dataset = run.config.model.id, run.config.data.id
    same = _alike(history(RunStore(run.path.parent)), model, dataset)
    return statistics.median(one.after for one in same) if same else None


def remaining(run: Run, past: list[Past], now: float) -> float | None:
    """Seconds until a run at work is over, by its own pace and what follows; None when nothing is known."""
    with _lock:
        reader = _readers.pop(run.path, None) or RunReader(run)
        _keep(_readers, run.path, reader)
        reader.refresh()
        state = reader.state
        eta, trained, began = state.eta_seconds, state.ended.get("train"), state.started_at
    usual = typical(run, past)
    after = usual.after if usual else 0.0
    if trained is not None:
        return max(0.0, after - (now - trained.time))
    if eta is not None:
        return eta + after
    return None if usual is None else max(0.0, usual.seconds - (now - (began or now)))


def _alike(past: list[Past], model: str, dataset: str) -> list[Took]:
    same = [one.took for one in past if one.took and (one.model, one.dataset) == (model, dataset)]
    return (same or [one.took for one in past if one.took and one.model == model])[:ALIKE]


def _look(run: Run) -> Past | None:
    """What a run was and took; None when it cannot be read. Read again only when its events have grown."""
    try:
        stat = run.events.stat()
        known = (stat.st_size, stat.st_mtime_ns)
    except OSError:
        known = (0, 0)
    if (kept := _past.get(run.path)) and kept[0] == known:
        return kept[1]
    try:
        config = json.loads((run.path / "config.json").read_bytes())
        jobs = ["train", "evaluate"] if config["eval"]["tasks"] else ["train"]
        here = config.get("launch", {}).get("launcher") != "hf-jobs"  # else the time is another machine's
        found = Past(config["model"]["id"], config["data"]["id"], _took(run, jobs) if here else None)
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    _keep(_past, run.path, (known, found))
    return found


def _took(run: Run, jobs: list[str]) -> Took | None:
    """Seconds of a run, when all its jobs have finished. Only the lines that say so are parsed."""
    seconds: dict[str, float] = {}
    try:
        with run.events.open("rb") as file:
            for line in file:
                if b'"type":"finished"' in line and isinstance(event := parse_event(line), Finished):
                    seconds.pop(event.job, None)
                    if event.status == "finished":
                        seconds[event.job] = event.seconds
    except OSError:
        return None
    if not all(job in seconds for job in jobs):
        return None
    return Took(sum(seconds.values()), sum(seconds.values()) - seconds["train"])


def _keep(kept: OrderedDict[Path, Any], path: Path, value: Any) -> None:
    kept[path] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)
