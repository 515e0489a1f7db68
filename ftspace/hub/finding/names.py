"""What a person pastes for a model or a dataset: an id, or an address of the Hub. Pure text; asks nobody."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

Kind = Literal["model", "dataset"]

HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
"""An owner's name, or that of what is owned."""
_PART = re.compile(PART)
_EXAMPLE = f"https://{HOSTS[0]}/owner/name"
_KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset"}
_OF_A_REVISION = ("tree", "blob", "resolve", "raw", "commit", "commits", "blame", "viewer")
"""Pages of a repository that name a revision behind them."""
_PULL = re.compile(r"refs/(?:pr/\d+|convert/[\w-]+)(?=/|$)")


@dataclass(frozen=True)
class Named:
    """A repository that somebody named."""

    id: str
    kind: Kind | None = None
    """What the address says that it is; None where it does not say."""
    revision: str | None = None


def read_name(text: str, hosts: tuple[str, ...] = HOSTS) -> Named | None:
    """The repository of an address; None for what is no address of the Hub, such as an id or a path.

    An address is one of a web page (`https://huggingface.co/owner/name/tree/main`, also without `https://`), one for
    files (`hf://datasets/owner/name@revision/file`), or the end of one with its kind (`datasets/owner/name`).

    Raises ValueError, in words for a person, for an address that names no model and no dataset.
    """
    text = text.strip()
    scheme, found, rest = text.partition("://")
    if found and scheme.lower() == "hf":
        return _of_files(rest, text)
    if not found:
        if text.partition("/")[0].lower() in hosts:
            rest = text
        elif text.startswith("datasets/") and text.count("/") == 2:
            return _repository(text.split("/"), text)
        else:
            return None
    elif scheme.lower() not in ("http", "https"):
        return None
    parts = urlsplit(f"https://{rest}")
    if parts.netloc.lower() not in hosts:
        raise ValueError(f"that is an address of {parts.hostname or 'nobody'}, not of the Hub; give an id, owner/name")
    return _repository([unquote(one) for one in parts.path.split("/") if one], text)


def _of_files(rest: str, text: str) -> Named:
    words = rest.split("/")
    at = next((place for place, word in enumerate(words) if "@" in word), None)
    if at is None:
        return _repository(words, text, pages=False)
    name, _, revision = words[at].partition("@")
    found = _repository([*words[:at], name], text, pages=False)
    whole = unquote("/".join([revision, *words[at + 1 :]]))
    pull = _PULL.match(whole)
    return Named(found.id, found.kind, (pull[0] if pull else unquote(revision)) or None)


def _repository(words: list[str], text: str, *, pages: bool = True) -> Named:
    """The repository at the head of a path, and the revision of the page behind it."""
    kind: Kind = "model"
    if words and words[0] in _KINDS:
        kind, words = _KINDS[words[0]], words[1:]
    elif words and words[0] in ("spaces", "buckets", "collections", "papers", "docs"):
        raise ValueError(f"{_short(text)} names no model and no dataset; paste the address of one, such as {_EXAMPLE}")
    single = len(words) == 1 or (pages and len(words) > 2 and words[1] in _OF_A_REVISION)
    size = 1 if single else 2
    if len(words) < size or not all(_PART.fullmatch(word) for word in words[:size]):
        raise ValueError(f"{_short(text)} names no model and no dataset; paste the address of one, such as {_EXAMPLE}")
    behind = words[size:] if pages else []
    return Named("/".join(words[:size]), kind, _revision(behind))


def _revision(behind: list[str]) -> str | None:
    if len(behind) < 2 or behind[0] not in _OF_A_REVISION or behind[0] == "viewer":
        return None
    pull = _PULL.match("/".join(behind[1:]))
    return pull[0] if pull else behind[1]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
