"""The files of a push, made in a folder from what a run left: equal content gives equal bytes. Knows no network.

What may be told to others is decided in published.py; what nobody named here is not pushed, such as checkpoints,
optimizer states and whatever else lies in a run's folder.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from evals.compare import asked_of
from evals.errors import LogError
from evals.log import EvalLog, read_log
from evals.results import RESULTS_FILE, Results, read_results, write_results
from ftspace.config import RunConfig
from ftspace.data.prepare import read_manifest
from ftspace.errors import DiskError, HubError, JobError
from ftspace.events import read_events
from ftspace.hub.bundle.loading import Form
from ftspace.hub.bundle.model_card import Told, model_card
from ftspace.hub.bundle.origins import Origins, known_origins
from ftspace.hub.bundle.picture import loss_curve
from ftspace.hub.bundle.published import LeftOut, Texts, own_files, published, texts_of
from ftspace.hub.bundle.reproduce import REQUIREMENTS, ROWS, SCRIPT, requirements_of, row_hashes, script_of
from ftspace.hub.bundle.scores import LOGS, SAMPLES, shown_results, told, write_scores
from ftspace.hub.bundle.telling import CURVE, told_events, write_curve
from ftspace.hub.bundle.tokenizers import is_of_tokenizer
from ftspace.hub.bundle.weights import ADAPTER_CONFIG, is_of_weights, put_weights, read_json
from ftspace.hub.push.records import PushRequest, What
from ftspace.hub.push.target import SIGN
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.state import RunState, fold

CARD, PICTURE = "README.md", "training.png"
_MADE = (CARD, SIGN, CURVE, RESULTS_FILE, SAMPLES, LOGS, SCRIPT, REQUIREMENTS, ROWS, PICTURE)


@dataclass(frozen=True)
class BundledFile:
    """One file of a push."""

    path: str
    """In the repository."""
    size: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """What is pushed, and what is not."""

    what: What
    folder: Path
    files: tuple[BundledFile, ...]
    """By their paths' order."""
    left_out: tuple[LeftOut, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def is_ours(name: str) -> bool:
    """Whether a file of a repository that holds the sign of our pushes may be of one: it is called as one's are."""
    return name in _MADE or is_of_weights(name) or is_of_tokenizer(name)


def build_bundle(run: Run, request: PushRequest, folder: Path) -> Bundle:
    """Makes `folder` hold exactly the files of a push; what was in it is removed.

    What is known of base and dataset is what `ask_origins` kept in the run; without it no text of a row is pushed.

    Raises JobError when the run has nothing to push, HubError when that cannot be pushed, DiskError without room.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", request.repo_id, re.ASCII):
        raise HubError(f"{request.repo_id!r} is no name that the Hub takes; use letters, digits, - _ and .")
    origins = known_origins(run)
    texts = texts_of(run.config, origins)
    beside = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        form = put_weights(run, request.what, origins, beside)
        if run.results.is_file():
            form = next((replace(form, end_ids=one.spec.end_ids, dtype=one.spec.dtype) for one in _logs(run)), form)
        left_out = _records(run, request, origins, texts, beside, form)
        files = tuple(_measured(path, beside) for path in sorted(beside.rglob("*")) if path.is_file())
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except OSError as error:
        raise DiskError(
            f"the files of the push cannot be written to {folder}: {error.strerror}; make room (ftspace runs gc)"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Bundle(request.what, folder, files, tuple(left_out))


def _records(
    run: Run, request: PushRequest, origins: Origins, texts: Texts, folder: Path, form: Form
) -> tuple[LeftOut, ...]:
    config, left_out = published(run.config, origins)
    if not form.own_tokenizer:
        left_out.append(LeftOut("tokenizer and chat template", "they are the base's own"))
    (folder / SIGN).write_text(redact(config.to_yaml()), encoding="utf-8")
    events = list(told_events(read_events(run.events)[0], texts=texts.why_none is None))
    write_curve(folder, events, texts=True)
    results = _results(run)
    shown = shown_results(results, texts.tasks) if results else None
    if results and shown:
        write_results(folder / RESULTS_FILE, shown)
        logs = [told(log, origins.base.name, texts=log.spec.task in texts.tasks) for log in _logs(run)]
        if logs:
            write_scores(folder, logs)
        left_out += _untold(run, results, texts)
    if run.config.data.review:
        left_out.append(LeftOut("the review's decisions", "they lie beside the dataset's rows"))
    left_out += [
        LeftOut(name, "the task's file is yours; only its scores are pushed") for name in own_files(run.config)
    ]
    left_out.append(LeftOut("the dataset's rows", "they stay where they are"))
    left_out.append(LeftOut("checkpoints, optimizer states, logs", "they are of use on this machine only"))
    state = fold(events)
    if request.what == "adapter":
        _write_script(run, config, origins, state, texts, folder)
    scored, picture = (folder / LOGS).is_file(), loss_curve(state)
    if picture:
        (folder / PICTURE).write_bytes(picture)
    known = Told(
        run.id, config, origins, state, shown, request, scored, tuple(left_out), form, PICTURE if picture else None
    )
    (folder / CARD).write_text(redact(model_card(known)), encoding="utf-8")
    return tuple(left_out)


def _write_script(run: Run, config: RunConfig, origins: Origins, state: RunState, texts: Texts, folder: Path) -> None:
    named = read_json(folder / ADAPTER_CONFIG) if (folder / ADAPTER_CONFIG).is_file() else {}
    manifest = read_manifest(run.data)
    (folder / SCRIPT).write_text(redact(script_of(config, origins, state, manifest, named)), encoding="utf-8")
    (folder / REQUIREMENTS).write_text(requirements_of(config, state), encoding="utf-8")
    if manifest and manifest.rows["train"] and texts.why_none is None:
        (folder / ROWS).write_text("".join(f"{one}\n" for one in row_hashes(run.data)), encoding="utf-8")


def _untold(run: Run, results: Results, texts: Texts) -> Iterator[LeftOut]:
    closed = sorted({row.task for row in results.rows} - texts.tasks)
    if texts.why_none:
        yield LeftOut("questions and answers", texts.why_none)
    elif closed:
        yield LeftOut(f"questions and answers of {', '.join(closed)}", "they are not ours to show; their scores are")


def _results(run: Run) -> Results | None:
    try:
        return read_results(run.results) if run.results.is_file() else None
    except LogError as error:
        raise JobError(f"{error}; delete it, and the run is pushed without results") from error


def _logs(run: Run) -> Iterator[EvalLog]:
    """The logs that the results were made of. Raises JobError."""
    try:
        for task, sides in asked_of(run.evals).sides.items():
            for side in sides:
                yield read_log(run.evals / task / f"{side}.json")
    except LogError as error:
        raise JobError(f"{error}; evaluate the run again, or delete its results.json") from error


def _measured(path: Path, folder: Path) -> BundledFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BundledFile(str(path.relative_to(folder)), path.stat().st_size, digest)
