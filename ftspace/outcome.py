"""What became of a run, told on the terminal or as JSON, and the command `runs resume`. Decides nothing itself."""

import argparse
import json
from typing import TYPE_CHECKING, Any

from ftspace.answers import measured
from ftspace.commands import PROGRAM_FAULTS, diagnosis, watch
from ftspace.console import stderr, stdout
from ftspace.disk import trouble
from ftspace.errors import JobError
from ftspace.hub.push import command as push_command
from ftspace.queue import Waiting, waiting
from ftspace.reasons import EXPLAINED
from ftspace.runs import Run, RunReader, RunStore
from ftspace.settings import Settings, read_settings

if TYPE_CHECKING:
    from evals.results import Results


def resume(parsed: argparse.Namespace, store: RunStore) -> int:
    """`ftspace runs resume`: sets the unfinished jobs of a run going again, and shows them."""
    from ftspace import jobs

    run = store.get(parsed.run)
    jobs.resume(run)
    reader = RunReader(run)
    reader.refresh()
    return see_through(reader, read_settings(getattr(parsed, "data_dir", None)), as_json=parsed.json)


def see_through(reader: RunReader, settings: Settings, *, as_json: bool) -> int:
    """Shows a run until it is over, then what came of it; the exit status."""
    run = reader.run
    watch(reader)
    status = reader.status()
    end = reader.state.end(run.jobs)
    pushed = push_command.watch_after(run) if status == "finished" and run.config.hub.push else None
    if as_json:
        left = {"push": push_command.as_json(pushed)} if pushed else {}
        stdout.file.write(json.dumps({**summary(run, reader), **left}, indent=2) + "\n")
    else:
        print_results(run)
        where = "" if settings.data_dir == read_settings().data_dir else f" --data-dir {settings.data_dir}"
        say = [
            f"open it: python app.py{where}, then http://{settings.host}:{settings.port}/?run={run.id}",
            f"or: python -m ftspace runs show {run.id}{where}",
        ]
        say += [f"the adapter: {run.adapter}"] if run.adapter.exists() else []
        say += [f"pushed: {push_command.where_it_is(pushed.verified)}"] if pushed and pushed.verified else []
        stderr.print("\n".join(say), markup=False, highlight=False, soft_wrap=True)
    if status == "failed" and end is not None:
        stderr.print(f"error: {end.message}", style="red", markup=False, highlight=False, soft_wrap=True)
        _hint(EXPLAINED[end.reason].advice)
        return 1 if end.reason in PROGRAM_FAULTS else 2
    if status == "interrupted":
        stderr.print("error: the run's processes are gone and did not say why; see worker.log", style="red")
        _hint(interruption(run))
    if pushed is not None:
        return push_command.say_pushed(run, pushed)
    return {"finished": 0, "cancelled": 130}.get(status, 1)


def _hint(text: str) -> None:
    stderr.print(text, markup=False, highlight=False, soft_wrap=True)


def interruption(run: Run) -> str:
    """What can be said of a run whose processes are gone: whether its folder can be written now, and how to go on."""
    found = trouble(run.path)
    return (
        f"{found}, so nothing can be saved there: {run.path}; mend that, then {run.go_on()}" if found else run.go_on()
    )


def print_failure(run: Run, reader: RunReader) -> None:
    """Of a run that ended badly: why, what to do, and the last lines of its log; nothing of any other run."""
    status, end = reader.status(), reader.state.end(run.jobs)
    if status == "failed" and end is not None:
        found = EXPLAINED[end.reason]
        say = [f"{found.title[:1].upper()}{found.title[1:]}. {found.advice}"]
        again = f"a new run with its config: ftspace runs config {run.id} > new.yaml, then ftspace run new.yaml"
        say += [run.go_on() if found.goes_on else again]
    elif status == "interrupted":
        say = [interruption(run)]
    else:
        return
    if tail := run.log_tail():
        say += ["the last lines of worker.log:", *(f"  {line}" for line in tail.splitlines())]
    stdout.print("\n".join(say), markup=False, highlight=False, soft_wrap=True)


def summary(run: Run, reader: RunReader) -> dict[str, Any]:
    """What `run --json` and `runs show --json` print."""
    status = reader.status()
    results = _results(run).model_dump(mode="json") if run.results.exists() else None
    return {
        "run_id": run.id,
        "status": status,
        "seconds": {job: round(end.seconds, 2) for job, end in reader.state.ended.items()},
        "rows": results["rows"] if results else [],
        "verdict": results["verdict"] if results else None,
        "findings": results["findings"] if results else [],
        "change": results["change"] if results else None,
        "adapter_path": str(run.adapter) if run.adapter.exists() else None,
        **placed(next((one for one in waiting(RunStore(run.path.parent)) if one.run.id == run.id), None)),
        "diagnosis": diagnosis(reader),
        **measured(reader.state),
        **_said(run, reader),
    }


def placed(one: Waiting | None) -> dict[str, Any]:
    """What JSON says of a run's place in the queue: nothing when it does not wait."""
    return {"place": one.place, "starts_in": one.starts_in} if one else {}


def _said(run: Run, reader: RunReader) -> dict[str, Any]:
    """Why a run failed, or ended before its last step; nothing of one that was done as planned."""
    end = reader.state.end(run.jobs)
    if end and end.status == "failed":
        return {"reason": end.reason, "message": end.message, "advice": EXPLAINED[end.reason].advice}
    said = [one.message for one in reader.state.ended.values() if one.message]
    return {"message": "; ".join(said)} if end and said else {}


def _results(run: Run) -> "Results":
    from evals.errors import LogError
    from evals.results import read_results

    try:
        return read_results(run.results)
    except LogError as error:
        raise JobError(f"{error}; delete it, and the run shows without results") from error


def print_results(run: Run) -> None:
    """The table and the verdict, where there are any."""
    if run.results.exists():
        from evals.table import to_rich

        stdout.print(to_rich(_results(run)))
