"""What can be taken along of a run: its adapter, its merged model, its config, its report, its answers, its chats.

The app streams the same things that the command `export` (export_command.py) writes. Whose they are is asked before.
"""

import io
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic_core import from_json

from evals.errors import LogError
from evals.log import EvalLog, read_log
from evals.plan import BASE, TUNED
from evals.results import read_results
from ftspace.errors import ConfigError, DiskError, JobError
from ftspace.redact import redact
from ftspace.report.command import report_html
from ftspace.report.pairs import strip_frame
from ftspace.runs import Run
from ftspace.sections import PROMPTED

Kind = Literal["adapter", "merged", "config", "answers", "report", "chats"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MERGED = "merge.json"
"""In a merged model: what it was made of, and how well it matches."""
CHUNK = 1 << 20
ROOM = 64 << 20
"""Bytes for what lies beside a merged model's weights."""
_HEAD = 2000
"""Events in which a run tells how large its base is."""
_SUFFIXES: dict[Kind, str] = {
    "adapter": "zip", "merged": "zip", "config": "yaml", "answers": "parquet", "report": "html", "chats": "jsonl",
}  # fmt: skip
_MEDIA: dict[str, str] = {
    "zip": "application/zip",
    "yaml": "application/yaml",
    "parquet": "application/vnd.apache.parquet",
    "html": "text/html",
    "jsonl": "application/jsonl",
}
_STATES = ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "README.md")
"""What may lie beside an adapter and is of use on this machine only, or was written for nobody."""


@dataclass(frozen=True)
class Exported:
    """One thing that can be taken along now."""

    what: Kind
    name: str
    """Of the file."""
    media: str
    parts: Iterator[bytes]
    """What is in it, made while it is taken."""


def export_of(run: Run, what: Kind) -> Exported:
    """A run's adapter, model, config, answers, report or chats as a file. Raises FtspaceError where it is not there."""
    name = f"{what}-{run.id}.{_SUFFIXES[what]}"
    media = _MEDIA[_SUFFIXES[what]]
    match what:
        case "adapter":
            return Exported(what, name, media, zipped(adapter_files(run), run.adapter, f"adapter-{run.id}"))
        case "merged":
            return Exported(what, name, media, zipped(merged_files(run), run.merged, f"merged-{run.id}"))
        case "config":
            return Exported(what, name, media, iter([config_text(run).encode()]))
        case "answers":
            return Exported(what, name, media, iter([answers_parquet(run)]))
        case "report":
            return Exported(what, name, media, iter([_report(run).encode()]))
        case "chats":
            return Exported(what, name, media, iter([_chats(run)]))


def adapter_files(run: Run) -> list[Path]:
    """The files of the adapter. Raises JobError where there is none yet."""
    if not run.adapter.is_dir():
        raise JobError(f"run {run.id} has no adapter yet; it is there once its training ends")
    return _files(run.adapter)


def merged_files(run: Run) -> list[Path]:
    """The files of the merged model that the app made of this adapter. Raises JobError where it made none."""
    if not has_merged(run):
        raise JobError(f"run {run.id} has no merged model yet; make it first")
    return _files(run.merged)


def has_merged(run: Run) -> bool:
    """Whether the app keeps a merged model of the adapter that the run has now, not of an earlier one."""
    try:
        told = from_json((run.merged / MERGED).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(run.adapter_stamp) and told.get("adapter") == run.adapter_stamp


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _STATES)


def size_of(files: list[Path]) -> int:
    """Bytes of all of them."""
    return sum(path.stat().st_size for path in files)


def config_text(run: Run) -> str:
    """The run's config as YAML, no secret in it."""
    return redact(run.config.to_yaml())


def _chats(run: Run) -> bytes:
    try:
        return run.chats.read_bytes()
    except FileNotFoundError as error:
        raise JobError(f"nothing was asked of run {run.id} yet, so there is no chat to take") from error
    except OSError as error:
        raise JobError(f"the chats of run {run.id} cannot be read: {error.strerror}") from error


def _report(run: Run) -> str:
    try:
        return report_html(run)
    except LogError as error:
        raise JobError(f"{error}; delete it, and the report is made without results") from error


class _Pipe(io.RawIOBase):
    """What a zip is written into, and taken out of before it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._held += data
        return len(data)

    def take(self) -> bytes:
        """All that was written since it was last asked."""
        held, self._held = bytes(self._held), bytearray()
        return held


def zipped(files: list[Path], below: Path, folder: str) -> Iterator[bytes]:
    """Files below a folder in a zip, there below a folder of another name, not compressed: weights hardly are. No more
    than a chunk is held at a time, so a model of any size can be taken.
    """
    root = Path(folder)
    with closing(_Pipe()) as pipe:
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
            for path in files:
                head = zipfile.ZipInfo(str(root / path.relative_to(below)))
                head.external_attr = 0o644 << 16
                with path.open("rb") as source, archive.open(head, "w", force_zip64=True) as sink:
                    while chunk := source.read(CHUNK):
                        sink.write(chunk)
                        yield pipe.take()
        yield pipe.take()


def sides_of(run: Run, task: str) -> list[str]:
    """Who answered a task, base and tuned before all others."""
    found = [path.stem for path in (run.evals / task).glob("*.json")]
    return sorted(found, key=lambda side: (side != BASE, side != TUNED, side))


def tasks_of(run: Run) -> list[str]:
    """The tasks that were compared. Raises JobError where none was."""
    if not run.results.is_file():
        raise JobError(f"run {run.id} has no results yet: nothing was compared")
    try:
        return list(dict.fromkeys(row.task for row in read_results(run.results).rows))
    except LogError as error:
        raise JobError(f"the results of run {run.id} cannot be read; evaluate it again") from error


def answers_of(run: Run, task: str, side: str) -> list[dict[str, Any]]:
    """One side's answers to a task, each with its question, what was expected, and its scores.

    Questions are the base's: before those of another side may stand training rows, which not everybody may see.

    Raises JobError for a task or a side that was not asked, or whose log is not there any more.
    """
    if task not in (tasks := tasks_of(run)):
        raise JobError(f"run {run.id} has no task {task!r}; it has {', '.join(tasks)}")
    if side not in (sides := sides_of(run, task)):
        raise JobError(f"nobody called {side!r} answered {task}; there are {', '.join(sides) or 'none'}")
    try:
        base, log = (read_log(run.evals / task / f"{one}.json") for one in (BASE, side))
    except LogError as error:
        raise JobError(f"the answers of {side} to {task} cannot be read; evaluate run {run.id} again") from error
    return _rows(base, log)


def _rows(base: EvalLog, log: EvalLog) -> list[dict[str, Any]]:
    given = {sample.id: sample for sample in log.samples}
    asked = [sample for sample in base.samples if sample.id in given]
    questions = strip_frame([sample.prompt for sample in asked])
    return [
        {
            "task": base.spec.task,
            "side": log.which,
            "id": sample.id,
            "question": question,
            "expected": list(sample.expected),
            "answer": given[sample.id].output,
            "scores": dict(given[sample.id].scores),
        }
        for sample, question in zip(asked, questions, strict=True)
    ]


def answers_parquet(run: Run) -> bytes:
    """All answers of all sides, a row each, a column a metric. Raises JobError where there are none."""
    import pyarrow as pa
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    for task in tasks_of(run):
        for side in sides_of(run, task):
            for row in answers_of(run, task, side):
                scores = {f"score.{name}": value for name, value in row.pop("scores").items()}
                rows.append(row | scores)
    text, number = pa.string(), pa.float64()
    kinds: dict[str, Any] = dict.fromkeys(("task", "side", "id", "question", "answer"), text)
    kinds["expected"] = pa.list_(text)
    kinds |= dict.fromkeys([name for row in rows for name in row if name.startswith("score.")], number)
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items()))), sink)
    return sink.getvalue()


def write_export(run: Run, what: Kind, out: Path) -> int:
    """Writes the file, whole or not at all; its bytes. Raises ConfigError when something is there already."""
    if out.exists():
        raise ConfigError(f"{out} is there already and is not overwritten; name a new file")
    parts = export_of(run, what).parts
    beside = out.with_name(f".{out.name}.new")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.writelines(parts)
        beside.rename(out)
    except OSError as error:
        raise DiskError(f"{out} cannot be written: {error.strerror}; name another place") from error
    finally:
        beside.unlink(missing_ok=True)
    return out.stat().st_size


def forget_merged(run: Run) -> None:
    """Removes the merged model that the app keeps of a run. Raises DiskError."""
    try:
        shutil.rmtree(run.merged)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DiskError(f"the merged model of run {run.id} cannot be removed: {error.strerror}") from error


@dataclass(frozen=True)
class Room:
    """What a merged model takes, and what there is."""

    needed: int | None
    """Bytes, about; None where it is not known how large the base is."""
    free: int

    @property
    def enough(self) -> bool:
        """Whether it fits, as far as is known."""
        return self.needed is None or self.needed < self.free


def room_for_merged(run: Run) -> Room:
    """What the merged model of a run will take on the disk that it goes to, and what is free there."""
    place = run.cache if run.cache.is_dir() else run.path
    free = shutil.disk_usage(place).free
    with suppress(OSError), run.events.open("rb") as events:
        for line in islice(events, _HEAD):
            if b'"type":"prepared"' in line:
                told = from_json(line)
                return Room(int(told["parameters"]) * (4 if told["dtype"] == "float32" else 2) + ROOM, free)
    return Room(None, free)


def why_not_merged(run: Run) -> str:
    """Why there can be no merged model of a run; "" where there can be one."""
    if not run.adapter.is_dir():
        return "it has no adapter yet"
    if run.config.lora.method == "full":
        return "every weight was trained, so what was trained is the whole model already"
    if run.config.lora.method in PROMPTED:
        return f"{run.config.lora.method} trains no part of the base's weights, so nothing can be merged into them"
    if run.config.model.trust_code:
        return "its base has code of its own, which a merged folder would carry where no commit names it"
    return ""
