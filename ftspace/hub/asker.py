"""Who asks the Hub: the token of the visitor whose request is being answered. Kept in memory, never in a config.

Where nobody set one the Hub's client takes the machine's own, as it does on the command line.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_TOKEN: ContextVar[str | None] = ContextVar("hub_token", default=None)
_SCOPES: ContextVar[frozenset[str] | None] = ContextVar("hub_scopes", default=None)


@contextmanager
def asking_with(token: str | None, scopes: frozenset[str] | None = None) -> Generator[None]:
    """Until it is left, this thread's look-ups on the Hub are made with a token; `scopes` are those of its sign-in."""
    before, scoped = _TOKEN.set(token), _SCOPES.set(scopes)
    try:
        yield
    finally:
        _TOKEN.reset(before)
        _SCOPES.reset(scoped)


def hub_token() -> str | None:
    """The token to ask with; None for the machine's own, if it has one."""
    return _TOKEN.get()


def hub_scopes() -> frozenset[str] | None:
    """What the asker's sign-in gave the right to; None where nobody signed in, or it did not say."""
    return _SCOPES.get()


def asker() -> str:
    """A word that is another one for each token: what one may read must not be remembered for another."""
    token = _TOKEN.get()
    return hashlib.sha256(token.encode()).hexdigest() if token else ""
