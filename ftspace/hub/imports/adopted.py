"""The folder of an imported run, filled from what was downloaded: adapter, curve, results, logs. Knows files only.

What is torn or of another version is left out and said: the adapter alone is worth a run.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from evals.compare import asked_of
from evals.errors import LogError
from evals.log import EvalLog, write_log
from evals.results import RESULTS_FILE, Asked, Results, read_results, write_asked, write_results
from ftspace.data.gather import Check
from ftspace.data.prepare import Manifest, prepare
from ftspace.data.split import SPLITS
from ftspace.errors import EvalError
from ftspace.events import AdapterSaved, Event, EventLog, Finished, Started, read_events
from ftspace.hub.bundle.reproduce import row_hashes
from ftspace.hub.bundle.scores import LOGS, read_scores
from ftspace.hub.bundle.telling import CURVE, told_events
from ftspace.hub.bundle.tokenizers import complete_tokenizer
from ftspace.hub.imports.strangers import RECORDS, ROWS, SAMPLES, check_samples
from ftspace.runs import Run
from ftspace.state import fold

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def fill(run: Run, folder: Path, repo_id: str, *, rows_known: bool) -> Iterator[str]:
    """Makes the run of the files in `folder`; says what of it is not here. Raises OSError, FtspaceError."""
    run.adapter.mkdir()
    for path in sorted(folder.iterdir()):
        if path.name not in RECORDS:
            shutil.move(path, run.adapter / path.name)
    if (folder / ROWS).is_file():
        shutil.move(folder / ROWS, run.path / ROWS)
    complete_tokenizer(run)
    if not rows_known:
        _no_rows(run)
    scored = False
    try:
        logs = _scores(folder)
        results = read_results(folder / RESULTS_FILE) if (folder / RESULTS_FILE).is_file() else None
        scored = results is not None
        if results:
            _write(run, logs, results)
        if not logs:
            yield "no scores of single samples came with it"
    except (EvalError, LogError) as error:
        yield f"its results cannot be read: {error}"
    except RecursionError:
        yield "its results cannot be read: they hold too much within each other"
    if not scored:
        yield f"nothing was compared yet; compare it: ftspace runs evaluate {run.id}"
    _tell(run, read_events(folder / CURVE)[0], repo_id, scored=scored)


def _write(run: Run, logs: list[EvalLog], results: Results) -> None:
    """Results and logs; a name that is none of a file's is somebody's trick."""
    if odd := next((one for log in logs for one in (log.spec.task, log.which) if not _NAME.fullmatch(one)), None):
        raise EvalError(f"{odd!r} is no name of a task or a side")
    sides: dict[str, tuple[str, ...]] = {}
    for log in logs:
        write_log(run.evals / log.spec.task / f"{log.which}.json", log)
        sides[log.spec.task] = (*sides.get(log.spec.task, ()), log.which)
    if sides:
        write_asked(run.evals / "evaluation.json", Asked(sides=sides, change=results.change))
        asked_of(run.evals)
    write_results(run.results, results)


def _scores(folder: Path) -> list[EvalLog]:
    if not (folder / LOGS).is_file():
        return []
    check_samples(folder / SAMPLES)
    return read_scores(folder)


def _tell(run: Run, told: list[Event], repo_id: str, *, scored: bool) -> None:
    """The run's events: those that came with it, and an end for each of its jobs.

    Of a stranger's ends only good ones are kept: what did not finish could be gone on with here, by his recipe.
    """
    kept = [one for one in told if not isinstance(one, Finished) or one.status == "finished"]
    lines = [event.model_dump_json() for event in told_events(kept, texts=True)]
    run.events.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    log, state = EventLog(run.events), fold(kept)
    try:
        if "train" not in state.ended:
            log.append(Started(job="train", pid=0))
            size = sum(path.stat().st_size for path in run.adapter.glob("*.safetensors"))
            log.append(AdapterSaved(step=state.steps[-1].step if state.steps else 0, bytes=size))
            log.append(Finished(job="train", status="finished", message=f"imported from {repo_id}"))
        if "evaluate" in run.jobs and ("evaluate" not in state.ended or not scored):
            log.append(Started(job="evaluate", pid=0))
            said = "" if scored else "imported without results; compare it: ftspace runs evaluate " + run.id
            log.append(Finished(job="evaluate", status="finished" if scored else "cancelled", message=said))
    finally:
        log.close()


def prepare_again(run: Run, check: Check) -> str:
    """Prepares the rows of an imported run; why they are not asked, "" when they are those of its training.

    Raises DatasetError.
    """
    prepare(run.config.data, run.data, check)
    told = run.path / ROWS
    if not told.is_file() or told.read_text(encoding="utf-8", errors="replace").split() == list(row_hashes(run.data)):
        return ""
    _no_rows(run)
    return (
        f"the rows of {run.config.data.id}, prepared here, are not those that the imported adapter was trained on, so "
        "none of them is asked: it may have learnt it"
    )


def _no_rows(run: Run) -> None:
    """An empty split: nobody knows the rows, so nothing can be asked of them."""
    run.data.mkdir(exist_ok=True)
    for split in SPLITS:
        (run.data / f"{split}.jsonl").write_bytes(b"")
    rows = dict.fromkeys(SPLITS, 0)
    manifest = Manifest(format="not known", rows=rows, dropped={}, revision=None, content_hash="")
    (run.data / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
