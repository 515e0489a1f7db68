"""An adapter of the Hub as a run: one that ftspace pushed, with all that it brought, or any other PEFT adapter.

What lies in a repository is a stranger's word. Weights are taken as safetensors only and by the Hub's hash; of a config
nothing is kept that would name a file of this machine, run code, or ask a paid model. Knows the Hub, no torch.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from evals.tasks import SUITES
from ftspace.access import Access
from ftspace.config import RunConfig, parse_config, read_yaml
from ftspace.errors import ConfigError, DiskError, FtspaceError, HubError, ModelError
from ftspace.hub.adopted import fill
from ftspace.hub.fetch import Held, fetch, held_files
from ftspace.hub.find import look_up
from ftspace.hub.origins import is_bundled
from ftspace.preflight import CHECKPOINT, HELDOUT
from ftspace.runs import Run, RunStore
from ftspace.sections import DataConfig, HubConfig, ModelConfig
from ftspace.settings import resolve_local

CONFIG, ADAPTER_CONFIG, ADAPTER = "ftspace.yaml", "adapter_config.json", "adapter_model.safetensors"
IMPORT = "import.json"
"""In a run's folder: where it came from."""
MAX_BYTES = 500_000_000
"""Largest file that is taken besides the weights."""
_RECORDS = ("results.json", "samples.parquet", "evaluation.json", "training.jsonl")
_TOKENIZER = re.compile(
    r"tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt"
    r"|chat_template\.jinja|[\w.-]+\.model"
)
_WHOLE = re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json|(generation_)?config\.json")
_NO_DATA = "unknown"
_HEAD = 100_000_000
"""Largest header that a safetensors file may have."""


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
) -> Run:
    """A new run of an adapter repository; what it lacks stands in its `import.json`.

    Args:
        repo_id: `owner/name` of a model on the Hub.
        store: where the run is to be.
        revision: a branch, tag or commit; the newest when not given.
        base: the base model, where the adapter does not name one that is to be had.
        access: whose the run is.

    Raises:
        ModelError: it is not there, is no adapter in safetensors, or its base is not known.
        HubError: the Hub cannot be asked, or breaks off.
        DiskError: there is no room.
    """
    repository = _ask(repo_id, revision)
    with tempfile.TemporaryDirectory(prefix=".import-", dir=_place(store)) as beside:
        folder = Path(beside)
        for name in sorted(_wanted(repository)):
            _download(repository, name, folder)
        _check_weights(repository, folder)
        config = _config_of(repository, folder, base)
        run = store.create(config, access)
        try:
            repository.missing += fill(run, folder, repo_id, rows_known=repository.rows_known)
            ours = CONFIG in repository.files
            told = Imported(repo_id=repo_id, commit=repository.commit, ours=ours, missing=tuple(repository.missing))
            (run.path / IMPORT).write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except (OSError, FtspaceError) as error:
            store.delete(run.id)
            if isinstance(error, OSError):
                raise DiskError(f"the run cannot be written: {error.strerror}; make room (ftspace runs gc)") from error
            raise
    return run


def imported(run: Run) -> Imported | None:
    """Where a run came from; None for one that was made here."""
    try:
        return Imported.model_validate_json((run.path / IMPORT).read_bytes())
    except (OSError, ValueError):
        return None


def _place(store: RunStore) -> Path:
    try:
        store.runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskError(f"{store.runs_dir} cannot be written: {error.strerror}; name another --data-dir") from error
    return store.runs_dir


def _ask(repo_id: str, revision: str | None) -> _Repository:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo_id, re.ASCII):
        raise ModelError(f"{repo_id!r} is no Hub model; give it as owner/name")
    found = look_up("model", repo_id, revision)
    if found is None or found.commit is None:
        raise HubError("the Hub is not asked while offline; leave HF_HUB_OFFLINE out to import", "offline")
    return _Repository(repo_id, found.commit, held_files(repo_id, found.commit))


def _wanted(repository: _Repository) -> Iterator[str]:
    """The files that a run can be made of. Raises ModelError where there is no adapter among them."""
    names = repository.files
    whole = CONFIG in names and ADAPTER_CONFIG not in names
    if not whole and not {ADAPTER_CONFIG, ADAPTER} <= names.keys():
        other = next((name for name in names if name.endswith((".bin", ".gguf", ".pt"))), None)
        held = f"{other}, which is not safetensors" if other else f"no {ADAPTER}"
        raise ModelError(f"{repository.repo_id} holds {held}; only PEFT adapters in safetensors can be imported")
    for name, file in names.items():
        weights = name == ADAPTER or (whole and _WHOLE.fullmatch(name))
        if not (weights or name in (CONFIG, ADAPTER_CONFIG, *_RECORDS) or _TOKENIZER.fullmatch(name)):
            continue
        if not name.endswith(".safetensors") and file.size > MAX_BYTES:
            repository.missing.append(f"{name} is too large to be taken ({file.size / 1e6:.0f} MB)")
            continue
        yield name


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
        size = path.stat().st_size
        with path.open("rb") as file, suppress(ValueError, TypeError, AttributeError, KeyError):
            length = int.from_bytes(file.read(8), "little")
            held: dict[str, Any] = json.loads(file.read(length)) if length <= min(size, _HEAD) else {}
            held.pop("__metadata__", None)
            if held and max(one["data_offsets"][1] for one in held.values()) == size - 8 - length:
                continue
        raise ModelError(f"{path.name} of {repository.repo_id} is damaged or no safetensors file; it is not taken")
    if not found:
        raise ModelError(f"{repository.repo_id} holds no weights in safetensors")


def _config_of(repository: _Repository, folder: Path, base: str | None) -> RunConfig:
    if (folder / CONFIG).is_file():
        try:
            given = parse_config(read_yaml(folder / CONFIG), where=f"{CONFIG} of {repository.repo_id}")
        except ConfigError as error:
            raise ModelError(f"{error}; the repository was made by another version, or changed") from error
        return _harmless(given, repository, base)
    named: Any = None
    with suppress(ValueError):
        named = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    named = named if isinstance(named, dict) else {}
    repository.missing.append("it is no push of ftspace: its training rows, recipe and curve are not known")
    model = _base(str(named.get("base_model_name_or_path") or ""), named.get("revision"), repository, base)
    repository.rows_known = False
    return parse_config({"model": model.model_dump(), "data": {"id": _NO_DATA}, "eval": {"tasks": list(SUITES)}})


def _base(name: str, revision: Any, repository: _Repository, given: str | None) -> ModelConfig:
    """The base that can be had: a Hub id or one that comes with the project. Raises ModelError."""
    chosen = given or name
    if given is None and not (is_bundled(name) or _is_hub_id(name) or re.fullmatch(r"gpt2[\w-]*", name)):
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
    if given.data.review or not (is_bundled(data.id) or _is_hub_id(data.id)):
        repository.missing.append(
            f"its rows ({Path(data.id).name}) are not all to be had, so heldout is not asked again"
        )
        repository.rows_known = False
        data = DataConfig(id=Path(data.id).name or _NO_DATA)
    tasks = {name: _tasks(getattr(given.eval, name), repository) for name in ("tasks", "forgetting")}
    tasks["tasks"] = tasks["tasks"] or [one for one in SUITES if one not in tasks["forgetting"]]
    earlier = [one for one in given.eval.earlier if not CHECKPOINT.fullmatch(one)]
    chosen = {**tasks, "earlier": [], "judges": [], "reference": None, "embedding_model": None}
    if earlier or given.eval.judges:
        repository.missing.append("other adapters and judges that it was compared by are not asked again")
    model = model.model_copy(update=given.model.model_dump(include={"dtype", "quantization", "chat_template"}))
    moved = {
        "model": model,
        "data": data,
        "eval": given.eval.model_copy(update=chosen),
        "train": given.train.model_copy(update={"device": "auto", "report_to": [], "auto_resume": False}),
        "hub": HubConfig(),
    }
    return parse_config(given.model_copy(update=moved).model_dump(mode="json"), where=repository.repo_id)


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
