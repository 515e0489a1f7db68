"""A run's files in the repository that they travel through: sent in one commit, fetched and compared by their hashes.

Used on both sides. The run's folder in the repository has `run/`, its files; `inputs/`, what its config names on the
machine that it was started on; `others/`, what it takes of other runs; and `source.tar.gz`. Knows no job.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ftspace.errors import HubError
from ftspace.events import Event, read_events
from ftspace.hub.jobs.asking import patiently
from ftspace.hub.jobs.words import Files
from ftspace.runs import Run
from ftspace.settings import resolve_local
from ftspace.training import folders

if TYPE_CHECKING:
    from huggingface_hub import HfApi

STATE = "run"
MANIFEST = "files.json"
"""Beside the files of a commit: their hashes, for who did not hear them."""
TOLD = "told.jsonl"
"""Beside them too: the run's events on that machine."""
_FOLDERS = ("adapter", "checkpoints", "data", "evals")
_SINGLE = ("results.json", "table.csv", "table.md")
_NAMES_BASE = "adapter/adapter_config.json"
_FETCHING, _SENDING = ".fetching", ".sending"
_TRIES = 5
_BLOCK = 1 << 20


def state_of(run: Run) -> dict[str, Path]:
    """The files of a run that are the same wherever it is, by their paths in its folder."""
    found = [path for name in _FOLDERS for path in (run.path / name).rglob("*") if path.is_file()]
    found += [path for name in _SINGLE if (path := run.path / name).is_file()]
    named = {path.relative_to(run.path).as_posix(): path for path in found}
    return {name: path for name, path in sorted(named.items()) if not any(part[0] == "." for part in name.split("/"))}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def send(api: "HfApi", repository: str, folder: str, files: Mapping[str, Path | bytes], message: str) -> str:
    """Makes these the files of a folder of the repository, in one commit; which it is. Raises HubError."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.errors import EntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    def there() -> set[str]:
        try:
            tree = list(api.list_repo_tree(repository, folder, recursive=True, repo_type="dataset"))
        except EntryNotFoundError:
            return set()
        return {one.path for one in tree if isinstance(one, RepoFile)}

    def commit() -> str:
        gone = there() - {f"{folder}/{name}" for name in files}
        operations = [
            *(CommitOperationAdd(f"{folder}/{name}", content) for name, content in files.items()),
            *(CommitOperationDelete(name) for name in sorted(gone)),
        ]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
            warnings.filterwarnings("ignore", "Use 'content=<...>'", DeprecationWarning)  # the client's own affair
            return api.create_commit(repository, operations, commit_message=message, repo_type="dataset").oid

    return patiently(commit, f"the files of run {folder.partition('/')[0]} cannot be sent to {repository}")


def send_state(api: "HfApi", repository: str, run: Run) -> Files:
    """Sends what a run has by now, whoever is at work on it; what was sent. Raises HubError, OSError."""
    aside = run.path / _SENDING
    try:
        files = _set_aside(run, aside)
        sums = {name: digest(path) for name, path in files.items()}
        manifest = Files(commit="", files=sums).model_dump_json().encode()
        more: dict[str, Path | bytes] = {MANIFEST: manifest, TOLD: run.events.read_bytes()}
        commit = send(api, repository, f"{run.id}/{STATE}", files | more, f"What run {run.id} has by now")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Files(commit=commit, files=sums)


def _set_aside(run: Run, aside: Path) -> dict[str, Path]:
    """The state as it is at one time: a checkpoint may go meanwhile, and an evaluation writes on."""
    for tries_left in reversed(range(_TRIES)):
        shutil.rmtree(aside, ignore_errors=True)
        try:
            for name, path in state_of(run).items():
                place = aside / name
                place.parent.mkdir(parents=True, exist_ok=True)
                if name.startswith("checkpoints/"):
                    os.link(path, place)
                else:
                    shutil.copyfile(path, place)
            return {path.relative_to(aside).as_posix(): path for path in sorted(aside.rglob("*")) if path.is_file()}
        except FileNotFoundError:
            if not tries_left:
                raise
    raise AssertionError


def newest(api: "HfApi", repository: str, run: Run) -> Files | None:
    """What the repository holds of a run now; None where a job has sent nothing yet. Raises HubError."""
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

    def look() -> Files | None:
        try:
            commit = api.repo_info(repository, repo_type="dataset").sha
            name = f"{run.id}/{STATE}/{MANIFEST}"
            path = api.hf_hub_download(repository, name, repo_type="dataset", revision=commit)
        except (EntryNotFoundError, RepositoryNotFoundError):
            return None
        return Files.model_validate_json(Path(path).read_bytes()).model_copy(update={"commit": commit or ""})

    return patiently(look, f"it cannot be learnt what {repository} holds of run {run.id}")


def remove(api: "HfApi", repository: str, run: Run) -> None:
    """Takes a run's folder out of the repository, whose history keeps it. Raises HubError."""
    from huggingface_hub.errors import EntryNotFoundError

    def away() -> None:
        try:
            api.delete_folder(
                run.id, repository, repo_type="dataset", commit_message=f"Nothing of run {run.id} is kept"
            )
        except EntryNotFoundError:
            return

    patiently(away, f"what {repository} holds of run {run.id} is not removed", tries=2)


def told(api: "HfApi", repository: str, run: Run, files: Files) -> list[Event]:
    """The run's events as a commit holds them; none where it was made before there were any. Raises HubError."""
    from huggingface_hub.errors import EntryNotFoundError

    def look() -> Path | None:
        try:
            name = f"{run.id}/{STATE}/{TOLD}"
            return Path(api.hf_hub_download(repository, name, repo_type="dataset", revision=files.commit))
        except EntryNotFoundError:
            return None

    path = patiently(look, f"it cannot be learnt what the job of run {run.id} told")
    return read_events(path)[0] if path else []


def fetch(api: "HfApi", repository: str, run: Run, files: Files, *, checkpoints: bool) -> None:
    """Brings a run's files here that are other ones, each compared with its hash; folders appear whole.

    Without `checkpoints` these stay where they are. Raises HubError where one differs, OSError.
    """
    building = run.path / _FETCHING
    shutil.rmtree(building, ignore_errors=True)
    here = {name: digest(path) for name, path in state_of(run).items()}
    units: dict[str, set[str]] = {}
    for name in files.files:
        units.setdefault(_unit(name), set()).add(name)
    try:
        for unit, names in sorted(units.items()):
            if unit.startswith("checkpoints/") and not checkpoints:
                continue
            if any(here.get(name) != files.files[name] for name in names - {_NAMES_BASE}):
                _bring(api, repository, run, files, unit, names)
        if checkpoints and any(unit.startswith("checkpoints/") for unit in units):
            gone = {_unit(name) for name in here if name.startswith("checkpoints/")} - set(units)
            for unit in gone:
                shutil.rmtree(run.path / unit, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _name_base(run)


def _name_base(run: Run) -> None:
    """Has the adapter name its base where that lies here, if it is no repository's: there it lay elsewhere."""
    path, base = run.path / _NAMES_BASE, resolve_local(run.config.model.id)
    if base is None or not path.exists():
        return
    told = json.loads(path.read_bytes())
    if told.get("base_model_name_or_path") != str(base):
        beside = path.with_name(f".{path.name}")
        beside.write_text(json.dumps(told | {"base_model_name_or_path": str(base)}, indent=2), encoding="utf-8")
        beside.replace(path)


def _unit(name: str) -> str:
    """What appears whole: a checkpoint, another folder, a single file."""
    parts = name.split("/")
    return "/".join(parts[: 2 if parts[0] == "checkpoints" else 1])


def _bring(api: "HfApi", repository: str, run: Run, files: Files, unit: str, names: set[str]) -> None:
    building = run.path / _FETCHING
    for name in sorted(names):
        path = patiently(
            lambda name=name: api.hf_hub_download(
                repository, f"{run.id}/{STATE}/{name}", repo_type="dataset", revision=files.commit, local_dir=building
            ),
            f"{name} of run {run.id} cannot be fetched from {repository}",
        )
        if digest(Path(path)) != files.files[name]:
            raise HubError(f"{name} is not what the job made: {repository} holds another content; resume the run")
    fetched, target = building / run.id / STATE / unit, run.path / unit
    target.parent.mkdir(parents=True, exist_ok=True)
    if fetched.is_dir():
        folders.put(fetched, target)
    else:
        fetched.replace(target)
