"""The command `push`: a finished run's adapter or model to the Hub. Parses, calls, prints; decides nothing itself."""

import argparse
import signal
import time
from contextlib import suppress
from types import FrameType
from typing import Any, get_args

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ftspace.commands import PROGRAM_FAULTS
from ftspace.console import LINE_EVERY, stderr, stdout
from ftspace.errors import JobError
from ftspace.events import read_events
from ftspace.hub.push.pushing import POLL_SECONDS, PushState, follow_push, push_state, requested, start_push, stop_push
from ftspace.hub.push.records import PushRecord, PushRequest, What
from ftspace.runs import Run, RunStore
from ftspace.settings import Settings
from ftspace.state import fold

BEGINS_SECONDS = 30.0
"""From a run's end on, in which the push that its config asks for begins."""
_SAYS = {
    "building": "building what is pushed",
    "uploading": "uploading",
    "verifying": "reading back what the Hub holds",
    "stopping": "stopping",
}


def add_push(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `push`."""
    parser = parsers.add_parser(
        "push",
        help="a finished run's adapter, with card and results, to the Hugging Face Hub",
        usage="%(prog)s RUN [--to owner/name] [--public] [--what adapter|merged] [--json]",
        description="Pushes what a finished run made, in one commit, then downloads it again and compares. The "
        "repository is private unless --public is said. What the Hub has already is not sent again, so a push that "
        "failed or was stopped is gone on with by the same command. Ctrl-C stops it; the run is not changed by it. "
        "The token is HF_TOKEN, or that of hf auth login. Exit status: 0 only when all was verified.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id")
    parser.add_argument(
        "--to",
        metavar="OWNER/NAME",
        help="the repository (default: hub.push of the run's config, else where the run was pushed to before)",
    )
    parser.add_argument("--public", action="store_true", help="let everybody read it")
    parser.add_argument(
        "--what",
        choices=get_args(What),
        default="adapter",
        help="the adapter (default), or the whole model merged with it; each has a repository of its own",
    )
    parser.add_argument("--json", action="store_true", help="print the record as JSON on stdout")


def push(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace push`: status 0 when what was pushed was verified."""
    run = RunStore(settings.runs_dir).get(parsed.run)
    request = requested(run, parsed.what, parsed.to, public=parsed.public)
    start_push(run, request)
    stderr.print(f"pushing the {request.what} of run {run.id} to {request.repo_id}", markup=False, highlight=False)
    state = watch_push(run, request.what)
    if state.verified is not None:
        if parsed.json:
            stdout.file.write(state.verified.model_dump_json(indent=2) + "\n")
        else:
            stdout.print(where_it_is(state.verified), markup=False, highlight=False, soft_wrap=True)
    return say_pushed(run, state)


def watch_push(run: Run, what: What = "adapter") -> PushState:
    """Shows a push until it is over, and gives how it ended. Ctrl-C stops it."""
    interrupts = 0

    def interrupt(signum: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            raise KeyboardInterrupt
        with suppress(JobError):  # it ended by itself just now
            stop_push(run, what)
        stderr.print("stopping the push (Ctrl-C again: don't wait)")

    previous = signal.signal(signal.SIGINT, interrupt)
    state = PushState()
    try:
        with _Shown() as shown:
            for state in follow_push(run, what):
                shown.take(state)
    finally:
        signal.signal(signal.SIGINT, previous)
    return state


def say_pushed(run: Run, state: PushState) -> int:
    """Says how a push ended, and how to go on with one that did not; the exit status."""
    if state.verified is not None:
        who = "only its owner can" if state.verified.private else "everybody can"
        how = "verified" if state.verified.new else "verified; the Hub held all of it already, so no commit was made"
        stderr.print(f"{how}: {who} read it", markup=False, highlight=False, soft_wrap=True)
        return 0
    cancelled = state.status == "cancelled"
    said = f"{'cancelled' if cancelled else 'error'}: {state.message}"
    stderr.print(said, style="yellow" if cancelled else "red", markup=False, highlight=False, soft_wrap=True)
    if state.request is not None:
        again = f"try again: {command(run, state.request)}"
        stderr.print(again, markup=False, highlight=False, soft_wrap=True)
    if cancelled:
        return 130
    return 1 if state.reason in PROGRAM_FAULTS else 2


def where_it_is(record: PushRecord) -> str:
    """Where a push can be found, in a line."""
    return f"{record.url} at commit {record.commit}"


def as_json(state: PushState) -> dict[str, Any]:
    """A push for JSON: how it ended, with what it left."""
    left = state.verified.model_dump(mode="json") if state.verified else {}
    return {"status": state.status, "message": state.message, **left}


def command(run: Run, request: PushRequest) -> str:
    """What to type for the same push."""
    what = "" if request.what == "adapter" else f" --what {request.what}"
    public = " --public" if request.public else ""
    return f"python -m ftspace push {run.id} --to {request.repo_id}{what}{public}"


def watch_after(run: Run) -> PushState:
    """The push that a run's config asks for, once the run is finished: waits until it begins, and shows it."""
    finished = max((end.time for end in fold(read_events(run.events)[0]).ended.values()), default=0.0)
    until = time.monotonic() + BEGINS_SECONDS
    stderr.print(f"[bold]push[/]: to {run.config.hub.push} …")
    while time.monotonic() < until:
        state = push_state(run)
        if state.is_at_work or (state.started_at or 0.0) >= finished:
            return watch_push(run)
        time.sleep(POLL_SECONDS)
    request = requested(run)
    return PushState("failed", request, reason="lost_process", message="the push has not begun; see supervisor.log")


class _Shown:
    """The progress: a bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bars = Progress(*columns, console=stderr, disable=not stderr.is_terminal, transient=True)
        self._bar = self._bars.add_task("", visible=False)
        self._status = ""
        self._warned = 0
        self._share = 0.0

    def __enter__(self) -> "_Shown":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def take(self, state: PushState) -> None:
        """Shows a state."""
        for said in state.warnings[self._warned :]:
            stderr.print(f"warning: {said}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        self._warned = len(state.warnings)
        says = _SAYS.get(state.status)
        if says is None:
            return
        if state.status != self._status:
            self._status, self._share = state.status, 0.0
            stderr.print(f"{says} …", markup=False, highlight=False)
            self._bars.reset(self._bar)
        moves = state.status in ("uploading", "verifying")
        self._bars.update(self._bar, description=says, completed=state.done, total=state.total, visible=moves)
        share = state.done / state.total if moves and state.total else 0.0
        if not stderr.is_terminal and share >= self._share + LINE_EVERY:
            self._share = share
            far = f"{state.done / 1e6:,.1f} of {state.total / 1e6:,.1f} MB"
            stderr.print(f"  {far}", markup=False, highlight=False)
