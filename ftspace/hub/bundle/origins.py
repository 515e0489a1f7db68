"""What a run was made from, as its push may tell: base and dataset by commit, their licenses, who may read them.

Asked of the Hub before a push and kept in the run (`push/origins.json`), so that the files of a push can be made
without asking anybody, and come out the same twice. A local folder is a bare name: where it lies is nobody's business.
"""

import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from evals.errors import LogError
from evals.files import write_text
from evals.log import read_log
from ftspace.data.prepare import read_manifest
from ftspace.errors import DatasetError, DiskError, ModelError
from ftspace.hub.finding.find import Kind, look_over
from ftspace.hub.licenses import local_terms
from ftspace.runs import Run
from ftspace.settings import ASSETS, resolve_local

_COMMIT = re.compile(r"[0-9a-f]{40}")
_OURS = {"license": "apache-2.0"}
"""The license of what comes with the project."""
_PAGES: dict[Kind, str] = {"model": "", "dataset": "datasets/"}


class Origin(BaseModel):
    """A base model or a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """A Hub id, the name of what comes with the project, or the bare name of a local file or folder."""
    url: str | None = None
    """Its page; None for what is not on the Hub."""
    revision: str | None = None
    """The commit that the run used."""
    terms: dict[str, Any] = {}
    """Its own words on its license; empty when it has none, or was not asked."""
    restricted: Literal["private", "gated", "unknown"] | None = "unknown"
    """Why not everybody may read it; unknown for a local one, and where nobody could be asked."""

    @property
    def link(self) -> str | None:
        """Its page at the commit."""
        return f"{self.url}/tree/{self.revision}" if self.url and self.revision else self.url


class Origins(BaseModel):
    """Both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: Origin
    data: Origin


def known_origins(run: Run) -> Origins:
    """What was kept, else what the run's folder alone can say. Asks nobody."""
    try:
        return Origins.model_validate_json(_kept(run).read_bytes())
    except (OSError, ValueError):
        return _local_origins(run)


def ask_origins(run: Run) -> Origins:
    """Asks the Hub who may read base and dataset, and under which license, and keeps it in the run.

    Of one that is not there any more the license stays that was kept before. Raises HubError when the Hub cannot be
    asked, DiskError.
    """
    config, found, before = run.config, _local_origins(run), known_origins(run)
    asked = Origins(
        base=_asked("model", found.base, before.base, config.model.revision),
        data=_asked("dataset", found.data, before.data, config.data.revision),
    )
    try:
        write_text(_kept(run), asked.model_dump_json(indent=2) + "\n")
    except LogError as error:
        raise DiskError(str(error)) from error
    return asked


def public_name(name: str) -> str:
    """A Hub id, or the name of what comes with the project, as it is; the last part of any other path."""
    path = resolve_local(name)
    if path is None:
        return Path(name).name if name.startswith((".", "/", "~")) else name
    return str(Path("assets") / path.relative_to(ASSETS)) if path.is_relative_to(ASSETS) else path.name


def is_bundled(name: str) -> bool:
    """Whether a name means something that comes with the project."""
    path = resolve_local(name)
    return path is not None and path.is_relative_to(ASSETS)


def _kept(run: Run) -> Path:
    return run.path / "push" / "origins.json"


def _local_origins(run: Run) -> Origins:
    config, manifest = run.config, read_manifest(run.data)
    return Origins(
        base=_local("model", config.model.id, _base_commit(run)),
        data=_local("dataset", config.data.id, _commit(manifest.revision if manifest else config.data.revision)),
    )


def _local(kind: Kind, name: str, commit: str | None) -> Origin:
    path = resolve_local(name)
    if is_bundled(name):
        return Origin(name=public_name(name), terms=_OURS, restricted=None)
    if path is not None:
        return Origin(name=path.name, terms=local_terms(path))
    if public_name(name) != name:
        return Origin(name=public_name(name))
    from huggingface_hub import constants

    return Origin(name=name, url=f"{constants.ENDPOINT}/{_PAGES[kind]}{name}", revision=commit)


def _asked(kind: Kind, origin: Origin, before: Origin, revision: str | None) -> Origin:
    """The origin with what the Hub says of it; its commit is only what the run is known to have used."""
    if origin.url is None:
        return origin
    try:
        found = look_over(kind, origin.name, origin.revision or revision)
    except (DatasetError, ModelError):
        found = None
    if found is not None:
        return origin.model_copy(update={"terms": dict(found.terms), "restricted": found.restricted})
    if before.name != origin.name:
        return origin
    return origin.model_copy(update={"terms": before.terms, "restricted": before.restricted or "unknown"})


def _base_commit(run: Run) -> str | None:
    """The base's commit by what the training and the evaluation wrote down, else by the config."""
    logs = sorted(run.evals.glob("*/base.json"))
    told = adapter_config(run.adapter).get("revision")
    if _commit(told) is None and logs:
        try:
            told = read_log(logs[0]).spec.base_revision
        except LogError:
            told = None
    return _commit(told) or _commit(run.config.model.revision)


def adapter_config(adapter: Path) -> dict[str, Any]:
    """The adapter's own config; {} for a model that was trained whole."""
    try:
        found: Any = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _commit(text: Any) -> str | None:
    return text if isinstance(text, str) and _COMMIT.fullmatch(text) else None
