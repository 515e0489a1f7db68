"""Real training jobs killed with SIGKILL at random moments, brought on again, and compared with undisturbed ones.

`python -m benchmarks.chaos [--rounds 50] [--seed 0] [--only N] [--keep FOLDER] [--json]`. In each round a run of the
bundled base is started beside the real app; the worker, its supervisor, the app or several of them are killed in a
chosen phase of its life, some a second time; then a person starts the app again where it is gone, looks, and resumes
the run where it does not go on by itself. Counted, and 0 each when all is well (else the exit status is 1, and what is
left of the runs is kept):

    lost       runs that cannot be read, say what is not so, do not go on by themselves where they shall, or do not end
    orphans    processes and locks that are left after a run, and after the app
    torn       files that are not whole after a kill or at the end, and what was left beside them
    different  runs whose adapter, losses, sample answers or results are not those of the undisturbed runs
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.chaos import processes
from benchmarks.chaos.person import AppError, Person
from benchmarks.chaos.plan import PHASES, Phase, Plan, durations, plan
from benchmarks.chaos.rounds import QUIET, Kind, Report, Round
from benchmarks.chaos.wholeness import Outcome, outcome
from ftspace.errors import FtspaceError
from ftspace.events import read_events

APP_ROUNDS = 10
"""After so many rounds the app is ended, and nothing may be left."""


class Chaos:
    """All rounds, and what is counted."""

    def __init__(self, folder: Path, seed: int) -> None:
        """What is done and left lies in `folder`."""
        self._person, self._seed = Person(folder), seed
        self._lasts: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self.counts: dict[Kind, int] = {"lost": 0, "orphans": 0, "torn": 0, "different": 0}
        self.reports: list[Report] = []

    def measure(self) -> Outcome:
        """What comes of a run that nothing disturbs, twice, with and without evaluation; and how long it takes."""
        first = self._play(Plan(-2, auto_resume=False, evaluated=False, warm=False, blows=()), None)
        second = self._play(Plan(-1, auto_resume=False, evaluated=True, warm=False, blows=()), outcome(first.run))
        like = outcome(second.run)
        self._lasts = durations(read_events(second.run.events)[0], second.queued_at)
        _say("phases: " + ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in self._lasts.items()))
        for one in (first, second):
            self._clear(one)
        return like

    def play(self, number: int, like: Outcome) -> None:
        """One round, judged and counted."""
        one = self._play(plan(self._seed, number), like)
        self.reports.append(one.report)
        self._clear(one)

    def end(self, *, by_force: bool) -> None:
        """Ends the app, after which nothing may be left of it and of what it had started."""
        folder, runs = self._person.data_dir, self._person.store.runs_dir
        try:
            self._person.close(by_force=by_force)
        except AppError as error:
            _say(f"ORPHANS: {error}")
            self.counts["orphans"] += 1
        left = processes.patiently(lambda: processes.orphans(folder, None), QUIET)
        left += processes.patiently(lambda: processes.held_locks(runs, supervised=False), 1)
        for what in left:
            _say(f"ORPHANS: after the app: {what}")
        self.counts["orphans"] += len(left)

    def abandon(self) -> None:
        """Ends all that was started, when the benchmark itself is ended."""
        while left := processes.of_data_dir(self._person.data_dir, thorough=True):
            for one in left:
                processes.kill(one)
            self._person.reap()

    def _play(self, plan: Plan, like: Outcome | None) -> Round:
        one = Round(plan, self._person, self._lasts)
        report = one.play(like)
        for kind, found in report.wrong.items():
            self.counts[kind] += len(found) if kind in ("orphans", "torn") else bool(found)
        name = f"round {plan.number}" if plan.blows else "undisturbed"
        told = "; ".join(report.story)
        _say(f"{name}{' (auto_resume)' * plan.auto_resume}: {told}; {report.seconds:.1f} s")
        if any(report.wrong.values()):
            _say(f"  planned: {plan}; kept: {one.run.path}")
        return one

    def _clear(self, one: Round) -> None:
        """Deletes the run of a round in which all was well."""
        if not any(one.report.wrong.values()):
            try:
                self._person.store.delete(one.run.id)
            except FtspaceError as error:
                _say(f"LOST: {error}")
                self.counts["lost"] += 1


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="decides, with a round's number, whom it kills and when")
    parser.add_argument("--only", type=int, metavar="N", help="play this round alone")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave there what the runs left")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    folder = given.keep.absolute() if given.keep else Path(tempfile.mkdtemp(prefix="ftspace-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        parser.error(f"{folder} is not empty; give --keep another folder")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    began = time.monotonic()
    chaos = Chaos(folder, given.seed)
    numbers = range(given.rounds) if given.only is None else [given.only]
    try:
        like = chaos.measure()
        for done, number in enumerate(numbers, start=1):
            chaos.play(number, like)
            if done % APP_ROUNDS == 0:
                chaos.end(by_force=done % (2 * APP_ROUNDS) == 0)
        chaos.end(by_force=False)
    except BaseException:
        chaos.abandon()
        raise
    found = _figures(chaos) | {"seconds": round(time.monotonic() - began)}
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    well = not any(chaos.counts.values()) and found["rounds"] == len(numbers)
    if well and not given.keep:
        shutil.rmtree(folder)
    else:
        _say(f"kept: {folder}")
    return 0 if well else 1


def _figures(chaos: Chaos) -> dict[str, object]:
    """`rounds` are those in which a process was killed: one that did nothing is none."""
    blows = [blow for report in chaos.reports for blow in report.struck]
    return {
        "rounds": sum(bool(report.struck) for report in chaos.reports),
        **chaos.counts,
        "kills": len(blows),
        "victims": Counter("+".join(blow.victims) for blow in blows),
        "phases": Counter(blow.phase for blow in blows),
        "from_checkpoint": sum(report.continued for report in chaos.reports),
        "by_itself": sum(report.by_itself for report in chaos.reports),
    }


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
