"""Checkpoints on disk: one folder each, written beside and renamed, each file known by its hash. Knows no torch.

A folder `step-000123` is whole when every file is what its `manifest.json`, written last, says. What is torn or altered
is passed over, and the one before it taken.
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ftspace.config import RunConfig
from ftspace.data.prepare import Manifest as DataManifest
from ftspace.data.prepare import prepare, read_manifest
from ftspace.disk import causes, is_disk_full
from ftspace.errors import JobError
from ftspace.events import Warned
from ftspace.runs import Run
from ftspace.training.folders import put, restore
from ftspace.training.recipe import Recipe
from ftspace.workers import Job

VERSION = 2
"""Of what lies in a checkpoint."""
MANIFEST = "manifest.json"
TRAINED = "trained.safetensors"
"""The weights that the training changes."""
DECISIVE = {"model", "data", "lora", "train"}
INDIFFERENT = {
    "train": {
        "device",
        "report_to",
        "samples",
        "save_total_limit",
        "checkpoint_steps",
        "micro_batch_tokens",
        "gradient_checkpointing",
        "auto_resume",
        "max_minutes",
        "max_cost",
        "price_per_hour",
    }
}
"""What of the decisive sections changes no weights but by rounding."""
_NAME = re.compile(r"step-(\d{6,})")
_NEW, _OLD = ".new-", ".old-"


class FileOf(BaseModel):
    """A file as it was written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class Setup(BaseModel):
    """What a training was found and chosen to be made with, where the config leaves it open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    device: str
    dtype: str
    """Of the base's weights."""
    tokens: str
    """SHA-256 of the tokenized rows."""


class Belongs(BaseModel):
    """The run that a checkpoint can be taken up by: what decides the training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, dict[str, Any]]
    """The sections model, data, lora and train, without what changes no weights."""
    data: str
    """SHA-256 of the prepared training and validation rows."""
    setup: Setup | None = None


class Manifest(BaseModel):
    """What a checkpoint holds, and whose it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    step: int
    belongs: Belongs
    best_step: int | None = None
    """The best checkpoint when this one was written."""
    files: dict[str, FileOf]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole."""

    path: Path
    manifest: Manifest

    @property
    def step(self) -> int:
        """Steps done."""
        return self.manifest.step

    @property
    def bytes(self) -> int:
        """Of its files."""
        return sum(file.bytes for file in self.manifest.files.values())


class Torn(Exception):
    """A checkpoint that is not what its manifest says; the message says why."""


def write(
    store: Path, step: int, belongs: Belongs, fill: Callable[[Path], None], best_step: int | None = None
) -> Checkpoint:
    """Writes the checkpoint of a step: `fill` puts its files into the folder that it is given. Raises OSError."""
    building = store / f"{_NEW}{name(step)}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        fill(building)
        files = {file.name: _measure(file) for file in sorted(building.iterdir())}
        manifest = Manifest(step=step, belongs=belongs, best_step=best_step, files=files)
        (building / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        put(building, store / name(step))
    finally:  # renamed by now, unless something went wrong
        shutil.rmtree(building, ignore_errors=True)
    return Checkpoint(store / name(step), manifest)


def name(step: int) -> str:
    """The name of a step's folder."""
    return f"step-{step:06d}"


def steps(store: Path) -> list[int]:
    """The steps that have a folder, newest first; whether they are whole is not looked at."""
    if not store.is_dir():
        return []
    found = (_NAME.fullmatch(path.name) for path in store.iterdir())
    return sorted((int(one.group(1)) for one in found if one), reverse=True)


def read(store: Path, step: int) -> Checkpoint:
    """The checkpoint of a step. Raises Torn when a file is missing, altered or cut short, JobError when it may pass."""
    path = store / name(step)
    try:
        manifest = Manifest.model_validate_json((path / MANIFEST).read_bytes())
        for file, written in manifest.files.items():
            if (path / file).stat().st_size != written.bytes or _measure(path / file) != written:
                raise Torn(f"{file} is not what was written")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise Torn(f"{Path(error.filename or path).name} cannot be read") from error
    except OSError as error:  # which may pass: what is passed over is removed
        raise JobError(f"the checkpoint of step {step} cannot be read now ({error.strerror}); go on later") from error
    except ValidationError as error:
        raise Torn(f"{MANIFEST} cannot be understood") from error
    if manifest.version != VERSION or manifest.step != step:
        raise Torn(f"it is of format {manifest.version}, step {manifest.step}")
    return Checkpoint(path, manifest)


def is_torn(path: Path) -> bool:
    """Whether a checkpoint's files have not the sizes that its manifest says; what is in them is not read."""
    try:
        manifest = Manifest.model_validate_json((path / MANIFEST).read_bytes())
        return any((path / file).stat().st_size != written.bytes for file, written in manifest.files.items())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return True
    except OSError:  # it cannot be looked at now
        return False


def newest(store: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole; `say` is told of each that had to be passed over.

    What was only begun to be written or removed is cleared away.
    """
    if store.is_dir():
        for cut_off in store.glob(f"{_OLD}step-*"):
            restore(store / cut_off.name.removeprefix(_OLD))
        _sweep(store)
    for step in steps(store):
        try:
            return read(store, step)
        except Torn as why:
            say(f"the checkpoint of step {step} is passed over: {why}")
    return None


def prune(store: Path, keep: int, spare: Iterable[int | None] = ()) -> None:
    """Removes all but the newest `keep`, the best that these know of, and the steps in `spare`."""
    found = steps(store)
    kept = {*found[:keep], *spare}
    for step in found[:keep]:
        try:
            text = (store / name(step) / MANIFEST).read_bytes()
            kept.add(Manifest.model_validate_json(text).best_step)
        except (OSError, ValidationError):
            continue
    for step in found:
        if step not in kept:
            _remove(store, step)
    _sweep(store)


def drop_from(store: Path, step: int) -> None:
    """Removes the checkpoints of this step and of all later ones."""
    for later in steps(store):
        if later >= step:
            _remove(store, later)


def prepared(job: Job, check: Callable[[int], None]) -> DataManifest:
    """The run's prepared split: the one that is there when it is whole, else a new one. Raises DatasetError.

    What there was no room for leaves nothing behind, so that the disk has some again.
    """
    run = job.run
    manifest = read_manifest(run.data)
    if manifest is None or not all(file.exists() for file in _rows(run)):
        try:
            manifest = prepare(run.config.data, run.data, check)
        except Exception as error:
            if any(map(is_disk_full, causes(error))):
                shutil.rmtree(run.data, ignore_errors=True)
            raise
    for warning in manifest.warnings:
        job.tell(Warned(message=warning))
    return manifest


def take_up(job: Job) -> tuple[Belongs, Checkpoint | None]:
    """Whose the checkpoints of this job are, and the newest one to go on from.

    Raises JobError when that belongs to other rows or another config, of which it is no continuation.
    """
    run = job.run
    belongs = Belongs(config=_decisive(run.config), data=_digest(_rows(run)))
    found = newest(run.checkpoints, lambda text: job.tell(Warned(message=text)))
    if found and (changed := _changed(found.manifest.belongs, belongs)):
        what = ", ".join(changed)
        raise JobError(
            f"the {what} of run {run.id} changed since its checkpoint of step {found.step}, which cannot be continued "
            "so; start a new run: ftspace runs config RUN > new.yaml, ftspace run new.yaml"
        )
    return belongs, found


def made_with(job: Job, belongs: Belongs, found: Checkpoint | None, now: Setup) -> tuple[Belongs, Recipe]:
    """Whose the checkpoints to come are, and the recipe: that of the checkpoint where there is one.

    Tells what is not as it was then. What fits the training into memory is chosen anew on another device, and where
    the config says it.
    """
    before = found.manifest.belongs.setup if found else None
    if before is None:
        return belongs.model_copy(update={"setup": now}), now.recipe
    differ = [name for name in ("device", "dtype", "tokens") if getattr(before, name) != getattr(now, name)]
    if differ:
        said = f"the {' and the '.join(differ)} differ from those before the resume"
        job.tell(Warned(message=f"{said}: the training goes on, but not as it would have without a break"))
    recipe, train = before.recipe, job.run.config.train
    fitted = ("micro_batch_tokens", "gradient_checkpointing")
    anew = [name for name in fitted if "device" in differ or getattr(train, name) is not None]
    recipe = replace(recipe, **{name: getattr(now.recipe, name) for name in anew})
    return belongs.model_copy(update={"setup": now.model_copy(update={"recipe": recipe})}), recipe


def digest_of(*datasets: Any) -> str:
    """SHA-256 of the files that datasets are mapped from."""
    return _digest(Path(file["filename"]) for dataset in datasets for file in dataset.cache_files)


def _decisive(config: RunConfig) -> dict[str, dict[str, Any]]:
    return config.model_dump(mode="json", include=DECISIVE, exclude=INDIFFERENT)


def _changed(before: Belongs, now: Belongs) -> list[str]:
    """What differs, by name. A field that the config did not have then is as it was when it has its default."""
    usual = _decisive(RunConfig())
    return ["rows"] * (before.data != now.data) + [
        f"{section}.{name}"
        for section, fields in now.config.items()
        for name, value in fields.items()
        if value != before.config.get(section, {}).get(name, usual[section][name])
    ]


def _digest(paths: Iterable[Path]) -> str:
    content = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            content.update(hashlib.file_digest(file, "sha256").digest())
    return content.hexdigest()


def _rows(run: Run) -> list[Path]:
    return [run.data / "train.jsonl", run.data / "validation.jsonl"]


def _measure(path: Path) -> FileOf:
    with path.open("rb") as file:
        return FileOf(bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _sweep(store: Path) -> None:
    """Takes away what processes left that were killed while they wrote or removed a checkpoint."""
    for left in (*store.glob(f"{_NEW}*"), *store.glob(f"{_OLD}*")):
        shutil.rmtree(left, ignore_errors=True)


def _remove(store: Path, step: int) -> None:
    """Renamed first, so that no half of it is taken for a checkpoint."""
    going = store / f"{_OLD}gone-{step}"
    shutil.rmtree(going, ignore_errors=True)
    (store / name(step)).rename(going)
    shutil.rmtree(going, ignore_errors=True)
