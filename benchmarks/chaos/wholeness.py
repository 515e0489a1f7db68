"""What a run's folder must be once the run is over, and also where its processes were killed: whole, or not there."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, deserialize

from evals.errors import LogError
from evals.results import read_results
from ftspace.events import parse_event, read_events
from ftspace.runs import Run
from ftspace.state import fold
from ftspace.training import checkpoints
from ftspace.training.checkpoints import Torn

LEFTOVERS = (".new-", ".old-", ".gone-", ".adapter-building", ".gathering-")
TICKET = "ticket.json"


def torn(run: Run, kills: int, *, over: bool) -> list[str]:
    """What in the run's folder is not whole, or was left behind when the run is `over`; a kill may tear a line."""
    return [*_events(run, kills, over=over), *_weights(run), *_documents(run, over=over), *_left(run, over=over)]


def _events(run: Run, kills: int, *, over: bool) -> Iterator[str]:
    lines = run.events.read_bytes().split(b"\n") if run.events.exists() else [b""]
    tail = lines.pop()
    if over and tail:
        yield f"{run.events}: the last line has no end"
    closed = 0
    for number, line in enumerate(lines):
        event = parse_event(line)
        if event is None and _is_json(line):
            yield f"{run.events}: line {number + 1} is no event"
        elif event is None:
            closed += 1
        elif event.seq != number:
            yield f"{run.events}: line {number + 1} has number {event.seq}: two wrote at once"
    if closed > kills:
        yield f"{run.events}: {closed} torn lines after {kills} kills"


def _weights(run: Run) -> Iterator[str]:
    for step in checkpoints.steps(run.checkpoints):
        try:
            checkpoints.read(run.checkpoints, step)
        except Torn as why:
            yield f"{run.checkpoints / checkpoints.name(step)}: {why}"
    for file in [*run.checkpoints.glob("step-*/*.safetensors"), *run.adapter.glob("*.safetensors")]:
        try:
            deserialize(file.read_bytes())
        except SafetensorError as why:
            yield f"{file}: {why}"
    if run.adapter.exists() and not (run.adapter / "adapter_model.safetensors").exists():
        yield f"{run.adapter}: has no weights"


def _documents(run: Run, *, over: bool) -> Iterator[str]:
    """JSON that a process renames into place is always whole; what it writes in place (data/) is so at the end."""
    for file in sorted(run.path.rglob("*.json*")):
        place = file.relative_to(run.path)
        if _in_hidden(place) or (not over and place.parts[0] == run.data.name):
            continue
        if file != run.events:
            parts = file.read_bytes().splitlines() if file.suffix == ".jsonl" else [file.read_bytes()]
            if not all(map(_is_json, parts)):
                yield f"{file}: is no JSON"


def _left(run: Run, *, over: bool) -> Iterator[str]:
    if over:
        hidden = [path for path in run.path.rglob(".*") if not _in_hidden(path.parent.relative_to(run.path))]
        yield from (f"{path}: left behind" for path in [*hidden, *run.path.glob(TICKET)])
        beside = [path for path in run.path.parent.glob(".*") if path.name.startswith(LEFTOVERS)]
        yield from (f"{path}: left behind" for path in beside)


def _in_hidden(place: Path) -> bool:
    return any(part.startswith(".") for part in place.parts)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Outcome:
    """What must be the same in each run of one config, however often its processes were killed."""

    adapter: dict[str, str]
    """SHA-256 of the adapter's files, by name."""
    losses: list[tuple[int, float]]
    """Of each step."""
    validations: list[tuple[int, float, float | None]]
    """Step, loss and score."""
    answers: list[tuple[int, int, str]]
    """Step, number and text of each sample's."""
    rows: list[str] | None
    """Of the results; None where there are none, or none that can be read."""
    evaluated: bool
    """Whether there was anything to evaluate."""

    def unlike(self, other: "Outcome") -> list[str]:
        """What differs, in words."""
        names = ["adapter", "losses", "validations", "answers"]
        if self.evaluated and other.evaluated:
            names.append("rows")
        said = {"rows": "results", "answers": "sample answers", "losses": "training losses"}
        return [said.get(name, name) for name in names if getattr(self, name) != getattr(other, name)]


def outcome(run: Run) -> Outcome:
    """What became of a run that is finished."""
    state = fold(read_events(run.events)[0])
    files = sorted(run.adapter.iterdir()) if run.adapter.is_dir() else []
    return Outcome(
        {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        [(one.step, one.loss) for one in state.steps],
        [(one.step, one.loss, one.score) for one in state.validations],
        [(one.step, one.index, one.answer) for one in state.samples],
        _rows(run),
        bool(run.config.eval.tasks),
    )


def _rows(run: Run) -> list[str] | None:
    try:
        return [row.model_dump_json() for row in read_results(run.results).rows]  # in which no number is unlike itself
    except LogError:
        return None
