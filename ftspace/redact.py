"""Takes secrets out of text before it is persisted or shown: this process's own, those it holds, and known shapes.

A secret is known from the environment, from the login that the Hub's client keeps, or because whoever took it said so
with `keep_secret`. It is found as it is, escaped, percent-encoded or within Base64.
"""

import re
import threading

from evals.redact import PLACEHOLDER, SHORTEST, hide
from ftspace.settings import secrets_in_env, stored_token

MOST_KEPT = 200
"""Secrets remembered of a kind; the one that was not heard of for longest goes first."""

_SHAPES = re.compile(
    r"hf_(?:[A-Za-z0-9]{16,}|(?:oauth|jwt|job|app)_[\w.=-]{16,})|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}=*"
)
_GIVEN = re.compile(
    r"(authorization\W{1,8}basic\s{1,3}|[?&](?:access_|refresh_|id_)?token=|[?&](?:x-amz-)?(?:signature|security-token)=)"
    r"[^\s&\"'<>]{4,}|(://[^\s:/@]{0,64}:)[^\s:/@]+(?=@)",
    re.IGNORECASE,
)
"""What stands where only a secret stands: behind Basic, as a token or signature in an address, as its password."""
_kept: dict[str, None] = {}
_typed: dict[str, None] = {}
_lock = threading.Lock()


def keep_secret(value: str | None, *, typed: bool = False) -> None:
    """From now on `redact` knows this token, which need not be in the environment. Any thread may call.

    One that was `typed` has a place among its like: however many somebody types, the others stay known.
    """
    if value is None or len(value.strip()) < SHORTEST:
        return
    known = _typed if typed else _kept
    with _lock:
        known.pop(value.strip(), None)
        known[value.strip()] = None
        while len(known) > MOST_KEPT:
            del known[next(iter(known))]


def redact(text: str) -> str:
    """`text` with every known secret replaced by `[redacted]`."""
    with _lock:
        kept = [*_kept, *_typed]
    stored = stored_token()
    text = hide(text, [*secrets_in_env(), *kept, *([stored] if stored else [])])
    text = _GIVEN.sub(lambda found: f"{found[1] or found[2]}{PLACEHOLDER}", text)
    return _SHAPES.sub(PLACEHOLDER, text)
