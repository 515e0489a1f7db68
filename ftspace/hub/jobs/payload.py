"""What of this machine a job of the Hub needs: the run as it is now, what its config names here, and the program.

The config stays as it is, so that the job's run is this one: what it names by a path goes along under that very path
(FTSPACE_INPUTS). Hub ids are fetched there. Knows no network.
"""

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ftspace.config import RunConfig
from ftspace.errors import JobError
from ftspace.hub.jobs.storage import MANIFEST, STATE, digest, state_of
from ftspace.hub.jobs.words import Files
from ftspace.launching import LaunchConfig
from ftspace.runs import Run, RunStore, is_run_id
from ftspace.settings import ROOT, resolve_local

BEGIN, INPUTS, OTHERS, SOURCE = "begin", "inputs", "others", "source.tar.gz"
_PROGRAM = ("ftspace", "evals", "assets", "requirements.txt", "requirements.lock")
_NOT_THERE = ("__pycache__", "screenshots")
_SOURCES = ("assets",)
"""Folders of the project that a config may name and that are in SOURCE."""
_OF_ANOTHER = ("config.json", "access.json")


def payload(run: Run, config: RunConfig) -> dict[str, Path | bytes]:
    """All files that go along, by their paths in the run's folder of the repository. Raises JobError.

    `config` is what the job works by; see `config_there`.
    """
    state = state_of(run)
    sums = Files(commit="", files={name: digest(path) for name, path in state.items()})
    found: dict[str, Path | bytes] = {
        f"{BEGIN}/config.json": (config.model_dump_json(indent=2) + "\n").encode(),
        f"{BEGIN}/access.json": (run.access.model_dump_json() + "\n").encode(),
        f"{BEGIN}/events.jsonl": run.events.read_bytes(),
        f"{STATE}/{MANIFEST}": sums.model_dump_json().encode(),
        SOURCE: program(),
    }
    found |= {f"{STATE}/{name}": path for name, path in state.items()}
    store = RunStore(run.path.parent)
    for name in named(config):
        if is_run_id(name):
            found |= {f"{OTHERS}/{name}/{inside}": path for inside, path in _other(store.get(name))}
        elif (path := resolve_local(name)) is not None and not _in_source(name, path):
            found |= {f"{INPUTS}/{place}": one for place, one in _files(name, path)}
    return found


def config_there(config: RunConfig) -> RunConfig:
    """The config that the job works by: there it is a local run, and what is pushed is pushed from here."""
    return config.model_copy(
        update={
            "launch": LaunchConfig(processes=config.launch.processes),
            "hub": config.hub.model_copy(update={"push": None}),
        }
    )


def named(config: RunConfig) -> list[str]:
    """What a config names that may be a file, a folder or another run of this machine."""
    asked = config.eval
    names = [config.model.id, config.data.id, config.data.review, config.lora.start_from, asked.embedding_model]
    names += [*asked.tasks, *asked.forgetting, *asked.earlier, *asked.judges]
    return list(dict.fromkeys(name for name in names if name))


def program() -> bytes:
    """The project's source as an archive, the same bytes for the same files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in _PROGRAM:
            for path in sorted(_walk(ROOT / name)):
                member = tarfile.TarInfo(path.relative_to(ROOT).as_posix())
                content = path.read_bytes()
                member.size, member.mode = len(content), 0o644
                archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), compresslevel=1, mtime=0)


def _walk(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for path in place.rglob("*"):
        if path.is_file() and not set(path.relative_to(ROOT).parts) & set(_NOT_THERE):
            yield path


def _in_source(name: str, path: Path) -> bool:
    """Whether a name means the same file where the source was unpacked."""
    return not Path(name).is_absolute() and any(path.is_relative_to(ROOT / one) for one in _SOURCES)


def _files(name: str, path: Path) -> Iterator[tuple[str, Path]]:
    place = name.lstrip("/")
    if path.is_file():
        yield place, path
        return
    for one in sorted(path.rglob("*")):
        if one.is_file():
            yield f"{place}/{one.relative_to(path).as_posix()}", one


def _other(other: Run) -> Iterator[tuple[str, Path]]:
    if not other.adapter.is_dir():
        raise JobError(f"run {other.id} has no adapter to take along; name one that has")
    for path in (*(other.path / name for name in _OF_ANOTHER), *sorted(other.adapter.rglob("*"))):
        if path.is_file():
            yield path.relative_to(other.path).as_posix(), path
