"""An adapter of the Hub as a run: one that ftspace pushed, with all that it brought, or any other PEFT adapter.

What lies in a repository is a stranger's word. Weights are taken as safetensors only and by the Hub's hash; of a config
nothing is kept that would name a file of this machine, run code, or ask a paid model. Knows the Hub, no torch.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from evals.metrics import SEMANTIC
from evals.tasks import SUITES
from ftspace.access import Access
from ftspace.config import RunConfig, parse_config
from ftspace.errors import ConfigError, DiskError, HubError, ModelError
from ftspace.hub.bundle.origins import is_bundled
from ftspace.hub.finding.fetch import Held, fetch, held_files
from ftspace.hub.finding.find import look_up
from ftspace.hub.imports import strangers
from ftspace.hub.imports.adopted import fill
from ftspace.hub.imports.strangers import ADAPTER, ADAPTER_CONFIG, CONFIG, ROWS
from ftspace.preflight import CHECKPOINT, HELDOUT
from ftspace.runs import NEW, Run, RunStore, take_lock
from ftspace.sections import DataConfig, HubConfig, ModelConfig
from ftspace.settings import resolve_local

IMPORT = "import.json"
"""In a run's folder: where it came from."""
_WHOLE = re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|(generation_)?config\.json")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NO_DATA = "unknown"
_MOST_TOKENS, _MOST_BATCH = 1024, 8192
"""What an answer and a batch of an imported run may have: it is not known what the machine that it is from could do."""


class Imported(BaseModel):
    """Where a run came from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    repo_id: str
    commit: str
    ours: bool
    """Whether ftspace pushed it."""
    missing: tuple[str, ...] = ()
    """What of the run is not here, one line each."""


@dataclass
class _Repository:
    repo_id: str
    commit: str
    files: dict[str, Held]
    missing: list[str] = field(default_factory=list[str])
    rows_known: bool = True
    """Whether the rows can be prepared here as they were there."""


def import_run(
    repo_id: str,
    store: RunStore,
    revision: str | None = None,
    base: str | None = None,
    access: Access = Access(),  # noqa: B008  (frozen)
    tell: Callable[[str, int, int], object] = lambda *_: None,
) -> Run:
    """A new run of an adapter repository; what it lacks stands in its `import.json`.

    Args:
        repo_id: `owner/name` of a model on the Hub.
        store: where the run is to be.
        revision: a branch, tag or commit; the newest when not given.
        base: the base model, where the adapter does not name one that is to be had.
        access: whose the run is.
        tell: hears what is fetched, and how many bytes of all that is.

    Raises:
        ModelError: it is not there, is no adapter in safetensors, or its base is not known.
        HubError: the Hub cannot be asked, or breaks off.
        DiskError: there is no room.
    """
    repository = _ask(repo_id, revision)
    with _beside(store) as folder:
        done, names = 0, _names(repository, store)
        total = sum(repository.files[name].size for name in names)
        for name in names:
            tell(f"fetching {name}", done, total)
            _download(repository, name, folder)
            done += repository.files[name].size
        tell("making the run", done, total)
        _check_weights(repository, folder)

        def put_in(run: Run) -> None:
            with _held(run):
                repository.missing += fill(run, folder, repo_id, rows_known=repository.rows_known)
                ours, missing = CONFIG in repository.files, tuple(repository.missing)
                told = Imported(repo_id=repo_id, commit=repository.commit, ours=ours, missing=missing)
                (run.path / IMPORT).write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")

        return store.create(_config_of(repository, folder, base), access, put_in)


def imported(run: Run) -> Imported | None:
    """Where a run came from; None for one that was made here."""
    try:
        return Imported.model_validate_json((run.path / IMPORT).read_bytes())
    except (OSError, ValueError):
        return None


@contextmanager
def _beside(store: RunStore) -> Generator[Path]:
    """A folder for what is downloaded, held so that nobody takes it for left over. Raises DiskError."""
    try:
        store.runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"{store.runs_dir} cannot be written: {error.strerror}; name another --data-dir") from error
    try:
        with (
            tempfile.TemporaryDirectory(prefix=f"{NEW}import-", dir=store.runs_dir) as beside,
            _held(Run(Path(beside))),
        ):
            (Path(beside) / "files").mkdir()
            yield Path(beside) / "files"
    except OSError as error:
        raise DiskError(f"the run cannot be written: {error.strerror}; make room (ftspace runs gc)") from error


@contextmanager
def _held(run: Run) -> Generator[None]:
    """Keeps others from a run that is not whole yet."""
    lock = take_lock(run.lock, tries=3)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _ask(repo_id: str, revision: str | None) -> _Repository:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id, re.ASCII):
        raise ModelError(f"{repo_id!r} is no Hub model; give it as owner/name")
    found = look_up("model", repo_id, revision)
    if found is None or found.commit is None:
        raise HubError("the Hub is not asked while offline; leave HF_HUB_OFFLINE out to import", "offline")
    return _Repository(repo_id, found.commit, held_files(repo_id, found.commit))


def _names(repository: _Repository, store: RunStore) -> list[str]:
    """The files that are taken; there is room for them. Raises ModelError, DiskError."""
    from huggingface_hub import constants

    names = sorted(_wanted(repository))
    size = sum(repository.files[name].size for name in names)
    strangers.require_room(size, store.runs_dir, Path(constants.HF_HUB_CACHE))  # they are fetched there, and copied
    return names


def _wanted(repository: _Repository) -> Iterator[str]:
    """The files that a run can be made of. Raises ModelError where there is no adapter among them."""
    names = repository.files
    whole = CONFIG in names and ADAPTER_CONFIG not in names
    if not whole and not {ADAPTER_CONFIG, ADAPTER} <= names.keys():
        other = next((name for name in names if name.endswith((".bin", ".gguf", ".pt"))), None)
        held = f"{other}, which is not safetensors" if other else f"no {ADAPTER}"
        raise ModelError(f"{repository.repo_id} holds {held}; only PEFT adapters in safetensors can be imported")
    for name, file in names.items():
        most = strangers.largest(name)
        if name == ADAPTER or (whole and _WHOLE.fullmatch(name) and most is None):
            yield name
        elif most is None or (_WHOLE.fullmatch(name) and not whole):
            continue
        elif file.size <= most:
            yield name
        elif name in (CONFIG, ADAPTER_CONFIG):
            raise ModelError(f"{name} of {repository.repo_id} is too large to be one ({file.size / 1e6:.1f} MB)")
        else:
            repository.missing.append(f"{name} is too large to be taken ({file.size / 1e6:.0f} MB)")


def _download(repository: _Repository, name: str, folder: Path) -> None:
    """One file, compared with what the Hub says of it."""
    kept = fetch(repository.repo_id, name, repository.commit)
    if kept is None:
        raise HubError(f"{name} of {repository.repo_id} is gone; import it again")
    shutil.copyfile(kept, folder / name)
    known = repository.files[name].sha256
    if known is None:
        return
    with (folder / name).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != known:
            raise HubError(f"{name} of {repository.repo_id} did not arrive as the Hub has it; import it again")


def _check_weights(repository: _Repository, folder: Path) -> None:
    """Raises ModelError for what is called safetensors and is not."""
    found = list(folder.glob("*.safetensors"))
    for path in found:
        if not strangers.is_safetensors(path):
            raise ModelError(f"{path.name} of {repository.repo_id} is damaged or no safetensors file; it is not taken")
    if not found:
        raise ModelError(f"{repository.repo_id} holds no weights in safetensors")


def _config_of(repository: _Repository, folder: Path, base: str | None) -> RunConfig:
    if (folder / CONFIG).is_file():
        where = f"{CONFIG} of {repository.repo_id}"
        try:
            given = parse_config(strangers.read_config(folder / CONFIG, where), where=where)
        except ConfigError as error:
            raise ModelError(f"{error}; the repository was made by another version, or changed") from error
        return _harmless(given, repository, base)
    named = strangers.read_object(folder / ADAPTER_CONFIG)
    repository.missing.append("it is no push of ftspace: its training rows, recipe and curve are not known")
    model = _base(str(named.get("base_model_name_or_path") or ""), named.get("revision"), repository, base)
    repository.rows_known = False
    return parse_config({"model": model.model_dump(), "data": {"id": _NO_DATA}, "eval": {"tasks": list(SUITES)}})


def _base(name: str, revision: Any, repository: _Repository, given: str | None) -> ModelConfig:
    """The base that can be had: a Hub id or one that comes with the project. Raises ModelError."""
    chosen = given or name
    old = re.fullmatch(r"gpt2[\w-]*", name) and resolve_local(name) is None
    if given is None and not (is_bundled(name) or _is_hub_id(name) or old):
        raise ModelError(
            f"{repository.repo_id} was trained on {name or 'a base that it does not name'}, which is no Hub model; "
            "name the base with --base"
        )
    commit = revision if given is None and isinstance(revision, str) else None
    if resolve_local(chosen) is None:
        look_up("model", chosen, commit)
    return ModelConfig(id=chosen, revision=commit)


def _harmless(given: RunConfig, repository: _Repository, base: str | None) -> RunConfig:
    """A pushed config without what this machine must not do for a stranger."""
    model = _base(given.model.id, given.model.revision, repository, base)
    if given.model.trust_code:
        repository.missing.append("its base runs code of its own, which is not trusted here (model.trust_code)")
    data = given.data.model_copy(update={"review": None})
    if why := _why_no_rows(given.data):
        repository.missing.append(f"its rows ({Path(data.id).name}) {why}, so heldout is not asked again")
        repository.rows_known = False
        data = DataConfig(id=Path(data.id).name or _NO_DATA)
    elif ROWS not in repository.files:
        repository.missing.append("which rows it learnt is not told, so heldout may ask some of them")
    tasks = {name: _tasks(getattr(given.eval, name), repository) for name in ("tasks", "forgetting")}
    tasks["tasks"] = tasks["tasks"] or [one for one in SUITES if one not in tasks["forgetting"]]
    earlier = [one for one in given.eval.earlier if not CHECKPOINT.fullmatch(one)]
    chosen = {**tasks, "earlier": [], "judges": [], "reference": None, "embedding_model": None}
    chosen["metrics"] = [one for one in given.eval.metrics if one != SEMANTIC]
    for name, most in (("max_new_tokens", _MOST_TOKENS), ("batch_tokens", _MOST_BATCH)):
        chosen[name] = min(getattr(given.eval, name), most)
        if chosen[name] < getattr(given.eval, name):
            repository.missing.append(f"eval.{name} was {getattr(given.eval, name):,} there and is {most:,} here")
    if earlier or given.eval.judges:
        repository.missing.append("other adapters and judges that it was compared by are not asked again")
    model = model.model_copy(update=given.model.model_dump(include={"dtype", "quantization", "chat_template"}))
    moved = {
        "model": model,
        "data": data,
        "lora": given.lora.model_copy(update={"start_from": None}),
        "eval": given.eval.model_copy(update=chosen),
        "train": given.train.model_copy(update={"device": "auto", "report_to": [], "auto_resume": False}),
        "hub": HubConfig(),
    }
    return parse_config(given.model_copy(update=moved).model_dump(mode="json"), where=repository.repo_id)


def _why_no_rows(data: DataConfig) -> str:
    """Why the rows cannot be prepared here as they were there; "" where they can."""
    if data.review or not (is_bundled(data.id) or _is_hub_id(data.id)):
        return "are not all to be had"
    if not is_bundled(data.id) and not _COMMIT.fullmatch(data.revision or ""):
        return "are of a commit that it does not name"
    return ""


def _tasks(names: list[str], repository: _Repository) -> list[str]:
    """Those that can be asked here: no file of this machine that happens to be called so."""
    own = (*SUITES, *([HELDOUT] if repository.rows_known else []))
    kept = [one for one in names if one in own or is_bundled(one) or _is_benchmark(one)]
    lost = [one for one in names if one not in (*kept, HELDOUT)]
    if lost:
        repository.missing.append(f"its tasks {', '.join(lost)} are files of somebody else's and cannot be asked")
    return kept


def _is_hub_id(name: str) -> bool:
    return re.fullmatch(r"[\w.-]+/[\w.-]+", name) is not None and resolve_local(name) is None


def _is_benchmark(name: str) -> bool:
    return (
        name != HELDOUT and "/" not in name and not name.endswith((".json", ".jsonl")) and resolve_local(name) is None
    )
