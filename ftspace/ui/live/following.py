"""Runs as pages see them: each is read, and what there is to say of it made, once for all who look. No gradio here."""

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from ftspace.disk import trouble
from ftspace.errors import JobError
from ftspace.forecasts import after_training
from ftspace.labels import read_label
from ftspace.redact import redact
from ftspace.runs import Run, RunReader, RunStore
from ftspace.state import TERMINAL, RunState, Status
from ftspace.ui.live import live_markup
from ftspace.ui.live.curves import Following
from ftspace.ui.live.live_view import Live, Turn, live, page_title

LOOK_SECONDS = 0.9
"""A run is looked at so often at most, however many watch it."""
SHARE = 0.05
"""Share of a processor that looking at a run may take; one that is slow to look at is looked at less often, ..."""
LONGEST_SECONDS = 2.0
"""... but as often as that."""
OLD_SECONDS = 2.0
"""What was made is given out so long after it is due, while another makes it anew; who comes later waits for that."""
AFTER_SECONDS = 60.0
"""How often it is looked up what follows a training."""
KEEP_SECONDS = 120.0
"""A run that nobody has asked for as long is forgotten, its steps with it."""


@dataclass(frozen=True)
class Made:
    """What there is to say of a run at one moment."""

    tag: str
    """Of what is said: the same words have the same tag, whichever process says them."""
    html: str
    status: Status
    known: str
    """What of it concerns Gradio's widgets; when it changes, they are to be set anew."""
    go_on: str
    """How the run can go on, for a button; "" when it cannot."""
    plain: bytes
    """All of it as JSON."""
    zipped: bytes


class Follower:
    """One run, followed for all who watch it."""

    def __init__(self, run: Run, turn: Callable[[Run], Turn | None]) -> None:
        """Nothing is read before the first look. `turn` tells where a run that waits stands."""
        self.run = run
        self._turn = turn
        self._reader = RunReader(run)
        self._curves = Following()
        self._after: tuple[float, float | None] = (0.0, None)
        self._lock = threading.Lock()
        self._made: Made | None = None
        self._due = 0.0

    @property
    def at_hand(self) -> Made | None:
        """What was made and is new enough, or just was and is being made anew; None when it is time to look."""
        late = time.monotonic() - self._due
        return self._made if late < 0 or (late < OLD_SECONDS and self._lock.locked()) else None

    def look(self) -> Made:
        """What there is to say now. Raises FtspaceError when the run is gone or cannot be read."""
        with self._lock:
            if self._made is None or time.monotonic() >= self._due:
                began = time.thread_time()
                self._made = self._make()
                spent = time.thread_time() - began
                self._due = time.monotonic() + max(LOOK_SECONDS, min(spent / SHARE, LONGEST_SECONDS))
            return self._made

    def void(self) -> None:
        """Makes the next look a fresh one: somebody has just done something to the run."""
        self._due = time.monotonic()

    def _make(self) -> Made:
        run = self.run
        if not run.path.is_dir():
            raise JobError(f"the run {run.id} is gone; it may have been deleted")
        status = self._reader.status()
        state = self._reader.state
        turn = self._turn(run) if status == "queued" else None
        hindered = trouble(run.path) if status == "interrupted" else ""
        after = self._what_follows() if status == "running" and state.job == "train" else None
        view = live(state, status, run.config, time.time(), hindered, turn, after, run.id)
        view = replace(view, curves=self._curves.curves(state, run.config, run.id))
        return _made(view, status, run, _way_on(run, state, status))

    def _what_follows(self) -> float | None:
        """Seconds that runs like this one took after their training; looked up now and then."""
        now = time.monotonic()
        if now >= self._after[0]:
            self._after = now + AFTER_SECONDS, after_training(self.run)
        return self._after[1]

    def numbers(self) -> RunState:
        """What the run has told of its steps until now. Raises JobError when the run is gone."""
        self.look()
        with self._lock:
            state = self._reader.state
            return RunState(steps=list(state.steps), validations=list(state.validations))


def _way_on(run: Run, state: RunState, status: Status) -> str:
    if status not in TERMINAL or status == "finished":
        return ""
    if state.unfinished(run.jobs) != run.jobs:
        return "Go on with the comparison"
    step = run.checkpoint
    return "Begin again" if step is None else f"Go on from step {step}"


def _made(view: Live, status: Status, run: Run, go_on: str) -> Made:
    html = live_markup.live(view)
    ready, compared = run.adapter.is_dir(), run.results.exists()
    title = page_title(view, status, run.config, read_label(run).title)
    known = f"{status} {ready:d} {compared:d}"
    tag = hashlib.blake2b(f"{known}\n{title}\n{html}".encode(), digest_size=8).hexdigest()
    document = {
        "tag": tag,
        "html": html,
        "status": status,
        "over": status in TERMINAL,
        "known": known,
        "title": title,
        "end": redact(f"{view.headline}. {view.detail}") if status in TERMINAL else "",
        "tone": view.tone,
    }
    plain = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    zipped = gzip.compress(plain, compresslevel=4, mtime=0)
    return Made(tag, html, status, known, go_on, plain, zipped)


class Followers:
    """The runs that are watched."""

    def __init__(self, store: RunStore, turn: Callable[[Run], Turn | None]) -> None:
        """Follows none yet."""
        self._store = store
        self._turn = turn
        self._lock = threading.Lock()
        self._all: dict[str, tuple[Follower, float]] = {}

    def of(self, run_id: str) -> Follower:
        """The follower of a run that there is. Raises JobError for what is no run."""
        now = time.monotonic()
        with self._lock:
            known = self._all.get(run_id)
            follower = known[0] if known else Follower(self._store.get(run_id), self._turn)
            self._all[run_id] = (follower, now)
            for other, (_, asked) in list(self._all.items()):
                if now - asked > KEEP_SECONDS:
                    del self._all[other]
        return follower

    def forget(self, run_id: str) -> None:
        """Lets go of a run that is gone."""
        with self._lock:
            self._all.pop(run_id, None)
