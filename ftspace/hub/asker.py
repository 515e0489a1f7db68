"""Who asks the Hub: the token of the visitor whose request is being answered. Kept in memory, never in a config.

Where nobody set one the Hub's client takes the machine's own, as it does on the command line.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_TOKEN: ContextVar[str | None] = ContextVar("hub_token", default=None)


@contextmanager
def asking_with(token: str | None) -> Generator[None]:
    """Until it is left, this thread's look-ups on the Hub are made with a token."""
    before = _TOKEN.set(token)
    try:
        yield
    finally:
        _TOKEN.reset(before)


def hub_token() -> str | None:
    """The token to ask with; None for the machine's own, if it has one."""
    return _TOKEN.get()


def asker() -> str:
    """A word that is another one for each token: what one may read must not be remembered for another."""
    token = _TOKEN.get()
    return hashlib.sha256(token.encode()).hexdigest() if token else ""
