"""Who waits for the machine, in which order, and since when. Knows no process: a ticket in a run's folder is all.

A run has its ticket from the wish to have it worked on until it is over. Tickets are written and taken away under one
lock beside the runs, `.queue`, which is held for moments only.
"""

import fcntl
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ftspace import stopping
from ftspace.access import LOCAL
from ftspace.errors import DiskError, FtspaceError, JobError
from ftspace.events import Event, EventLog, Finished, JobName, Started, Step, Warned, read_events
from ftspace.forecasts import history, remaining, typical
from ftspace.runs import Run, RunReader, RunStore
from ftspace.slots import slots_of
from ftspace.state import TERMINAL, fold

LOCK = ".queue"
SECONDS = 1.0
"""For how long what `waiting` found is taken for true: many pages ask for it."""
TRIES = 3
"""How often in a row a run goes on by itself without a new step."""


_guard = threading.RLock()  # a signal's handler may come in between
_seen: "dict[Path, tuple[float, list[Waiting]]]" = {}


class Ticket(BaseModel):
    """A wish to have a run worked on; `ticket.json` in its folder. Nothing in it is secret."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    order: int = 0
    """The lowest comes first."""
    owner: str = LOCAL
    time: float = 0.0
    """Unix time of the wish."""
    since: int = 0
    """Bytes of the run's events that were there before."""
    token: bool = False
    """Whether a Hub token was given with it, which only the supervisor's memory has."""
    tries: int = 0
    """How often in a row the run went on by itself without a new step."""
    step: int = 0
    """The highest step before it last went on by itself."""
    spent: float = 0.0
    """Seconds for which the run was at work before it last went on by itself."""
    trained: bool = False
    """Whether the training was finished before the wish: a stop ends the comparison and discards nothing."""


@dataclass(frozen=True)
class Waiting:
    """One run that waits."""

    run: Run
    place: int
    """From 1."""
    owner: str
    starts_in: float | None
    """Seconds; None when nothing is known."""

    def __str__(self) -> str:
        """The place, and when the run may begin, for a person."""
        if self.starts_in is None:
            return f"place {self.place}"
        minutes = round(self.starts_in / 60)
        hours = f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes} min"
        return f"place {self.place}, starts in about {hours if minutes else 'a minute'}"


@contextmanager
def locked(runs_dir: Path) -> Generator[None]:
    """Holds the queue's lock. Raises DiskError when the folder cannot be written."""
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        fd = os.open(runs_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DiskError(f"the queue in {runs_dir} cannot be written: {error.strerror}; mend that first") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
        with _guard:
            _seen.pop(runs_dir, None)


def read_ticket(run: Run) -> Ticket | None:
    """The run's ticket, if it has one. One that cannot be read counts as the first."""
    try:
        return Ticket.model_validate_json(run.ticket.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return Ticket(owner=run.access.owner)


def write_ticket(run: Run, ticket: Ticket) -> None:
    """Writes a run's ticket, whole or not at all. Raises DiskError. The queue's lock is held."""
    beside = run.path / ".ticket-new"
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(ticket.model_dump_json() + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(run.ticket)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise DiskError(f"run {run.id} cannot be queued: {error.strerror}; free some space") from error


def tickets(runs_dir: Path) -> list[tuple[Run, Ticket]]:
    """All runs with a ticket, waiting or at work, the first in line first."""
    held = RunStore(runs_dir).ticketed()
    found = [(run, ticket) for run in held if (ticket := read_ticket(run)) is not None]
    return sorted(found, key=lambda one: (one[1].order, one[1].time, one[0].id))


def enqueue(run: Run, *, token: bool, most: int, again: JobName | None = None) -> None:
    """Puts a run at the end of the line; what was said of an earlier end of it is void from here on.

    `again` names a job that is to be done once more.

    Raises JobError when it waits or is at work already, is finished, or `most` runs of its owner wait; DiskError.
    """
    with locked(run.path.parent):
        check(run, most=most, again=again)
        reader, found = RunReader(run), tickets(run.path.parent)
        reader.refresh()
        run.stop_flag.unlink(missing_ok=True)
        if reader.state.end(run.jobs):
            tell(run, Started(job=again or reader.state.unfinished(run.jobs)[0], pid=os.getpid()))
        last = max((ticket.order for _, ticket in found), default=0)
        since, trained = written(run), "train" not in reader.state.unfinished(run.jobs)
        new = Ticket(
            order=last + 1, owner=run.access.owner, time=time.time(), since=since, token=token, trained=trained
        )
        write_ticket(run, new)


def check(run: Run, *, most: int, again: JobName | None = None) -> None:
    """Raises JobError for what `enqueue` refuses."""
    if run.ticket.exists() or run.is_alive():
        doing = "at work" if run.is_alive() else "in the queue"
        raise JobError(f"run {run.id} is already {doing}; watch it: ftspace runs show {run.id}")
    if RunReader(run).status() == "finished" and not again:
        raise JobError(f"run {run.id} is finished, there is nothing to go on with; start a new one: ftspace run")
    owner = run.access.owner
    waiting = sum(ticket.owner == owner and not other.is_alive() for other, ticket in tickets(run.path.parent))
    if waiting >= most:
        raise JobError(
            f"{waiting} of your runs wait for the machine, and at most {most} may; wait for one to begin, or stop "
            "one: ftspace runs stop RUN"
        )


def cancel(run: Run, said: str = "") -> bool:
    """Ends a run that waits; whether it did. `said` goes into its stop flag. Raises DiskError, OSError."""
    with locked(run.path.parent):
        if not run.is_waiting():
            return False
        if said:
            stopping.ask(run, said)
        withdraw(run)
        return True


def may_discard(run: Run) -> bool:
    """Whether a run that waits or is at work may be stopped with nothing kept: not one that is only compared anew."""
    ticket = read_ticket(run)
    return ticket is None or not ticket.trained


def withdraw(run: Run) -> None:
    """Says that a run which waits is cancelled, and takes its ticket away. The queue's lock is held."""
    reader = RunReader(run)
    with suppress(FtspaceError, OSError):  # a config that cannot be read, or a full disk, keeps no run in the line
        reader.refresh()
        if reader.state.end(run.jobs) is None:
            todo = reader.state.unfinished(run.jobs)[0]
            tell(run, Finished(job=todo, status="cancelled", message="stopped while waiting for its turn"))
    close(run)


def close(run: Run) -> None:
    """Takes the ticket of a run that is over away; first what it has learnt, where nothing is to be kept of it.

    The queue's lock is held. Raises OSError, and then the run is to be closed again.
    """
    if stopping.is_discarded(run):
        stopping.discard(run)
    run.ticket.unlink(missing_ok=True)


def mend(run: Run, ticket: Ticket) -> Ticket | None:
    """The ticket of a run that nobody is at work on and that is to be; None when it is over, its ticket taken away.

    A run whose processes were cut off goes on by itself, if its config wants that, or is left for a person to resume.
    So does one whose processes were told to end, as at a shutdown, though nobody had asked the run to stop.
    The queue's lock is held. Raises OSError or DiskError where nothing can be written; it is to be called again then.
    """
    turn, _ = read_events(run.events, ticket.since)
    if not any(isinstance(event, Started | Finished) for event in turn):
        if run.stop_flag.exists():
            withdraw(run)
            return None
        return ticket
    events, _ = read_events(run.events)
    state = fold(events)
    goes_on = run.config.train.auto_resume or run.elsewhere  # a job of the Hub did not end with who followed it
    begun = next((event.time for event in turn if isinstance(event, Started)), None)
    spent = ticket.spent + (max(0.0, turn[-1].time - begun) if begun is not None else 0.0)
    end = state.end(run.jobs)
    if end is not None:
        if end.status == "cancelled" and begun is not None and not run.stop_flag.exists():
            said = "nobody asked for this stop: the run's processes were told to end, as when the machine shuts down"
            if goes_on:
                tell(run, Warned(message=f"{said}; the run goes on by itself"))
                tell(run, Started(job=end.job, pid=os.getpid()))
                again = ticket.model_copy(update={"since": written(run), "spent": spent})
                write_ticket(run, again)
                return again
            tell(run, Warned(message=f"{said}; {run.go_on()}"))
        close(run)
        return None
    if begun is None or state.job in state.ended:
        return ticket
    if run.stop_flag.exists() and not run.elsewhere:  # whose job has still to be stopped
        job = state.unfinished(run.jobs)[0]
        if said := run.time_is_up():
            tell(run, Finished(job=job, status="failed", reason="time_limit", message=said))
        elif not stopping.is_discarded(run):
            tell(run, Finished(job=job, status="cancelled", message=f"stopped, and cut off; {run.go_on()}"))
    elif goes_on:
        highest = max((event.step for event in events if isinstance(event, Step)), default=0)
        tries = 1 + (ticket.tries if highest <= ticket.step and not run.elsewhere else 0)
        if tries <= TRIES:
            new = {"since": written(run), "tries": tries, "step": highest, "spent": spent}
            again = ticket.model_copy(update=new)
            write_ticket(run, again)  # first: on a full disk it fails, and what is said would be said at each look
            what = f"the {state.job} job was cut off; the run goes on by itself"
            if run.elsewhere:
                what = "the process that followed the job of the Hub was cut off; the run goes on by itself"
            tell(run, Warned(message=what))
            return again
        said = f"the run was cut off {tries} times in a row without a new step, and is not set going again by itself"
        tell(run, Warned(message=f"{said}; see worker.log in its folder, then {run.go_on()}"))
    close(run)
    return None


def move(run: Run, places: int) -> None:
    """Lets a waiting run come earlier (negative) or later among its owner's; the others' keep their places.

    Raises JobError when it does not wait.
    """
    with locked(run.path.parent):
        line = [one for one in tickets(run.path.parent) if not one[0].is_alive()]
        mine = next((ticket for other, ticket in line if other.id == run.id), None)
        if mine is None:
            raise JobError(f"run {run.id} does not wait for its turn, so it cannot be moved")
        own = [one for one in line if one[1].owner == mine.owner]
        place = next(place for place, (other, _) in enumerate(own) if other.id == run.id)
        orders = [ticket.order for _, ticket in own]
        one = own.pop(place)
        own.insert(min(max(0, place + places), len(own)), one)
        for (other, ticket), order in zip(own, orders, strict=True):
            if ticket.order != order:
                write_ticket(other, ticket.model_copy(update={"order": order}))


def waiting(store: RunStore) -> list[Waiting]:
    """The runs that wait for their turn, the next one first, and when each may begin; looked up once a second."""
    with _guard:
        if (seen := _seen.get(store.runs_dir)) is None or not 0 <= time.monotonic() - seen[0] < SECONDS:
            seen = _seen[store.runs_dir] = (time.monotonic(), _waiting(store))
        return seen[1]


def _waiting(store: RunStore) -> list[Waiting]:
    now = time.time()
    line: list[tuple[Run, Ticket]] = []
    working: list[Run] = []
    for run, ticket in tickets(store.runs_dir):
        if not run.is_alive():
            line.append((run, ticket))
        elif not is_elsewhere(run):
            working.append(run)
    if not line:
        return []
    past = history(store)
    free = [remaining(run, past, now) for run in working]
    idle = max(0, len(slots_of(store.runs_dir)) - len(free))
    free += [0.0] * idle
    found: list[Waiting] = []
    for place, (run, ticket) in enumerate(line, start=1):
        starts = min((seconds for seconds in free if seconds is not None), default=None)
        found.append(Waiting(run, place, ticket.owner, starts))
        if starts is not None:
            takes = typical(run, past)
            free[free.index(starts)] = None if takes is None else starts + takes.seconds
    return found


def at_work(store: RunStore) -> str | None:
    """The id of a run that is waiting for the machine or has it, None when it is free.

    A run that has said its last word does not count, though its process may take some seconds to go.
    """
    line = [run for run, _ in tickets(store.runs_dir) if not is_elsewhere(run)]
    return next((run.id for run in line if RunReader(run).status() not in TERMINAL), None)


def is_elsewhere(run: Run) -> bool:
    """As `Run.elsewhere`; a run whose config cannot be read is here."""
    with suppress(FtspaceError):
        return run.elsewhere
    return False


def written(run: Run) -> int:
    """Bytes of the run's events."""
    return run.events.stat().st_size if run.events.exists() else 0


def tell(run: Run, event: Event) -> None:
    """Appends an event to a run that nobody is at work on."""
    log = EventLog(run.events)
    log.append(event)
    log.close()
