"""What of a run may be told to others: its config without this machine's places, and whose texts may be shown.

Texts of rows, questions and answers go out only where everybody may read the dataset anyway: a tuned model's answers
may repeat its rows. Pure; asks nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from evals.tasks import SUITES
from ftspace.config import RunConfig, parse_config
from ftspace.hub.bundle.origins import Origins, is_bundled, public_name
from ftspace.hub.finding.names import HOSTS, read_name
from ftspace.preflight import CHECKPOINT, HELDOUT
from ftspace.runs import is_run_id
from ftspace.sections import HubConfig
from ftspace.settings import hub_hosts, resolve_local


@dataclass(frozen=True)
class LeftOut:
    """Something of the run that is not pushed."""

    what: str
    why: str

    def __str__(self) -> str:
        """Both, for a person."""
        return f"{self.what}: {self.why}"


@dataclass(frozen=True)
class Texts:
    """Whose texts may be shown."""

    why_none: str | None
    """Why no text may be shown at all; None where those of some tasks may."""
    tasks: frozenset[str] = frozenset()
    """The tasks whose questions and answers may be."""


def texts_of(config: RunConfig, origins: Origins) -> Texts:
    """Whose texts may be shown of a run."""
    match origins.data.restricted:
        case "unknown" if origins.data.url is None:
            return Texts("the dataset is a local file, of which nobody said that everybody may read it")
        case "unknown":
            return Texts("the Hub did not say that everybody may read the dataset")
        case "private" | "gated" as word:
            return Texts(f"the dataset is {word}, and answers of a tuned model may repeat its rows")
        case _:
            named = (*config.eval.tasks, *config.eval.forgetting)
            return Texts(None, frozenset(_task(name) for name in named if _is_open(name)))


def published(config: RunConfig, origins: Origins) -> tuple[RunConfig, list[LeftOut]]:
    """The config as it may be read by others, at the commits that were used; and what was taken out of it."""
    chosen, model, data = config.eval, config.model, config.data
    left_out: list[LeftOut] = []
    lists: dict[str, list[str]] = {}
    for name in ("earlier", "judges"):
        kept = [one for one in getattr(chosen, name) if _names_no_place(one)]
        lists[name] = kept
        if len(kept) < len(getattr(chosen, name)):
            left_out.append(
                LeftOut(f"eval.{name}", "addresses, folders and runs of this machine mean nothing elsewhere")
            )
    start = _start_of(config)
    if start and "/" not in start:
        left_out.append(LeftOut(f"{start}, the adapter that it goes on from", "only this machine has it"))
    if chosen.reference:
        left_out.append(LeftOut("eval.reference", "its address is this machine's business"))
    moved = {
        "model": model.model_copy(
            update={"id": origins.base.name, "revision": origins.base.revision or model.revision}
        ),
        "data": data.model_copy(
            update={
                "id": origins.data.name,
                "revision": origins.data.revision or data.revision,
                "review": Path(data.review).name if data.review else None,
            }
        ),
        "lora": config.lora.model_copy(update={"start_from": start}),
        "eval": chosen.model_copy(
            update={
                **lists,
                "tasks": [public_name(one) if _is_file(one) else one for one in chosen.tasks],
                "forgetting": [public_name(one) if _is_file(one) else one for one in chosen.forgetting],
                "reference": None,
                "embedding_model": public_name(chosen.embedding_model) if chosen.embedding_model else None,
            }
        ),
        "hub": HubConfig(),
    }
    return parse_config(config.model_copy(update=moved).model_dump(mode="json"), where="what is published"), left_out


def _start_of(config: RunConfig) -> str | None:
    """The adapter that the run goes on from: its Hub id, or a name that tells no place."""
    name = config.lora.start_from
    if name is None or is_run_id(name):
        return name and "another-run"
    try:
        named = None if resolve_local(name) else read_name(name, (*HOSTS, *hub_hosts()))
    except ValueError:  # no address of the Hub
        return "another-adapter"
    if named is None:
        return public_name(name)
    return f"hf://{named.id}@{named.revision}" if named.revision else named.id


def own_files(config: RunConfig) -> Iterator[str]:
    """The names of the run's files of tasks that only this machine has."""
    for name in (*config.eval.tasks, *config.eval.forgetting):
        if _is_file(name) and not is_bundled(name):
            yield public_name(name)


def _is_open(name: str) -> bool:
    """A bundled task's texts come with the project; a benchmark's are better not spread, and a file is somebody's."""
    return name in (HELDOUT, *SUITES) or is_bundled(name)


def _task(name: str) -> str:
    return Path(name).stem if _is_file(name) else name


def _is_file(name: str) -> bool:
    return name.endswith((".json", ".jsonl")) or resolve_local(name) is not None


def _names_no_place(name: str) -> bool:
    if CHECKPOINT.fullmatch(name) or name.startswith("hub:"):
        return True
    return name.count("/") == 1 and "#" not in name and resolve_local(name) is None
