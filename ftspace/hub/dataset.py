"""A prepared dataset on the Hub: where its rows come from, and the push. Knows no models and no screens.

Rows are pushed to a private repository unless a person says otherwise, in one commit that is read back and compared.
The token is the environment's or that of `hf auth login`; it is never an argument.
"""

from dataclasses import dataclass
from pathlib import Path

from ftspace.data.prepare import SPLITS
from ftspace.errors import HubError
from ftspace.hub.card import Source
from ftspace.hub.finding.find import commit_of, terms_of
from ftspace.hub.licenses import local_terms
from ftspace.hub.push import repository, upload
from ftspace.hub.push.line import PATIENCE, Ears, Patience
from ftspace.hub.refusals import explained
from ftspace.sections import DataConfig
from ftspace.settings import resolve_local

OURS = frozenset({"README.md", "manifest.json", *(f"{s}.{kind}" for s in SPLITS for kind in ("jsonl", "parquet"))})
"""The files of a prepared dataset: a repository that holds others is somebody's own work."""
MESSAGE = "Upload a dataset prepared with ftspace"


@dataclass(frozen=True)
class Target:
    """A dataset repository that was found fit to be pushed to."""

    repo_id: str
    public: bool


@dataclass(frozen=True)
class Pushed:
    """What a push left on the Hub."""

    url: str
    commit: str
    private: bool


def source_of(config: DataConfig) -> Source:
    """Where the config's rows come from; of a Hub dataset its commit, license and who may read it.

    Raises DatasetError for one that is not there, HubError when the Hub cannot be asked.
    """
    path = resolve_local(config.id)
    if path is not None:
        return Source(path.name, terms=local_terms(path))
    from huggingface_hub import HfApi

    commit = commit_of("dataset", config.id, config.revision)
    if commit is None:
        return Source(config.id, config.revision)
    api = HfApi()
    with explained(config.id):
        info = api.dataset_info(config.id, revision=commit)
    card = info.card_data.to_dict() if info.card_data else {}
    restricted = "private" if info.private else "gated" if info.gated else None
    return Source(config.id, commit, f"{api.endpoint}/datasets/{config.id}", terms_of(card), restricted)


def check_target(repo_id: str, source: Source, *, public: bool, patience: Patience = PATIENCE) -> Target:
    """Asks before any work whether the push could be done. Raises HubError with what to do."""
    if public and source.restricted:
        raise HubError(
            f"{source.name} is a {source.restricted} dataset, so its rows are not pushed where everybody can read "
            "them; leave --public out"
        )
    target = Target(repo_id, public)
    upload.check(_repository(target), patience)
    return target


def push(
    folder: Path,
    target: Target,
    ears: Ears = Ears(),  # noqa: B008  (frozen)
    patience: Patience = PATIENCE,
) -> Pushed:
    """Makes the files of `folder` the repository's files, in one commit, and compares what the Hub then holds.

    Raises HubError with what to do; nothing local is changed by it.
    """
    done = upload.push(folder, _repository(target), ears, patience=patience)
    return Pushed(done.url, done.commit, done.private)


def _repository(target: Target) -> repository.Target:
    return repository.Target(
        kind="dataset",
        repo_id=target.repo_id,
        public=target.public,
        message=MESSAGE,
        refuses=_refuses,
        is_ours=OURS.__contains__,
        smaller="use --format parquet, or fewer rows (data.max_samples)",
    )


def _refuses(names: set[str]) -> str:
    if "manifest.json" in names and names <= OURS:
        return ""
    return f"it holds {sorted(names - OURS or names)[0]}, which no push of ours made"
