"""What the page says of a push, and how it names a repository: pure functions to words. Knows no gradio and no HTML."""

import re
from dataclasses import dataclass

from ftspace.config import RunConfig
from ftspace.errors import HubError
from ftspace.hub.push.pushing import PushState
from ftspace.hub.push.records import PushRecord, PushRequest, What
from ftspace.words import Tone, short

NAMES: dict[What, str] = {"adapter": "Adapter", "merged": "Merged model"}
_ENDS: dict[What, str] = {"adapter": "lora", "merged": "merged"}
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_LONGEST = 90
"""Characters of a suggested name; the Hub takes 96."""


@dataclass(frozen=True)
class PushView:
    """A push in words."""

    headline: str
    detail: str
    tone: Tone
    fraction: float | None = None
    """How far it is, from 0 to 1; None when that cannot be said."""
    at_work: bool = False
    url: str = ""
    """Where what was verified last can be seen; "" when nothing was."""
    warnings: tuple[str, ...] = ()


def push_view(state: PushState) -> PushView | None:
    """What became of the push that was asked for last; None when there was none."""
    if state.request is None:
        return None
    headline, detail, tone = _words(state, state.request.repo_id)
    record = state.record
    before = record is not None and state.verified is None and not state.is_at_work
    return PushView(
        headline=headline,
        detail=f"{detail} {_there(record)}".strip() if before and record else detail,
        tone=tone,
        fraction=state.done / state.total if state.status in ("uploading", "verifying") and state.total else None,
        at_work=state.is_at_work,
        url=record.url if record else "",
        warnings=tuple(dict.fromkeys(state.warnings)),
    )


def _words(state: PushState, repo_id: str) -> tuple[str, str, Tone]:
    far = f"{size(state.done)} of {size(state.total)}" if state.total else ""
    match state.status:
        case "uploading":
            return f"Uploading to {repo_id}", far, "busy"
        case "verifying":
            return "Reading back what the Hub holds", f"{far}. It counts as pushed when all of it is the same.", "busy"
        case "stopping":
            return "Stopping", "The run is not changed by it.", "busy"
        case "verified" if state.record is not None:
            same = "" if state.record.new else "The repository held all of it already, so no commit was made. "
            return "Pushed and verified", f"{same}{_there(state.record)}", "good"
        case "cancelled":
            return "Push stopped", state.message, "idle"
        case "failed" | "interrupted":
            return f"Not pushed to {repo_id}", state.message, "bad"
        case _:
            return "Making the files", "Asking the Hub about base and dataset, and writing card and results.", "busy"


def _there(record: PushRecord) -> str:
    who = "only those who may read the repository" if record.private else "everybody"
    return f"{len(record.files)} files at commit {record.commit[:12]} of {record.repo_id}; {who} can see them."


def good_name(config: RunConfig, what: What) -> str:
    """A repository's name for what a run made, without its owner."""
    parts = (short(config.model.id).rpartition("/")[2], short(config.data.id).rpartition("/")[2])
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(parts)).strip("-.")
    name = re.sub(r"(-|\.){2,}", r"\1", name)[: _LONGEST - len(_ENDS[what]) - 1].rstrip("-.")
    return f"{name or 'tuned'}-{_ENDS[what]}"


def repo_id_of(text: str) -> str | None:
    """The repository that somebody typed, or pasted as an address; None for what names none."""
    bare = re.sub(r"^https?://[^/\s]+/", "", text.strip()).strip("/")
    return bare if re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", bare, re.ASCII) else None


def request_of(what: str, repo: str, *, public: bool) -> PushRequest:
    """What was asked to be pushed. Raises HubError for a name that can be none."""
    repo_id = repo_id_of(repo or "")
    if repo_id is None:
        raise HubError("Name a repository as owner/name, with letters, digits, - _ and . only.")
    kinds: dict[str, What] = {one: one for one in NAMES}
    return PushRequest(what=kinds.get(what, "adapter"), repo_id=repo_id, public=public is True)


def where_to(asked: PushRequest) -> str:
    """Where a push goes and who can read it there, in a sentence."""
    who = "everybody may read" if asked.public else "only you, and whom you let, may read"
    return f"To {asked.repo_id}, in one commit. A new repository is one that {who}; one that is there stays as it is."


def size(count: int) -> str:
    """Bytes, short."""
    unit, name = next((one for one in _UNITS if count >= one[0]), (1.0, "B"))
    return f"{count / unit:.{1 if unit > 1 else 0}f} {name}"
