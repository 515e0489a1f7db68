"""Whose token a request carries, and what it may do."""

from dataclasses import dataclass

from starlette.requests import Request

READER_TOKEN = "hf_readerOfTheLoopbackHub"
WRITER_TOKEN = "hf_writerOfTheLoopbackHub"
LIMITED_TOKEN = "hf_limitedToNothingOfTheLoopbackHub"


@dataclass(frozen=True)
class Token:
    """One user's token."""

    user: str
    role: str


TOKENS = {
    READER_TOKEN: Token("reader", "read"),
    WRITER_TOKEN: Token("me", "write"),
    LIMITED_TOKEN: Token("me", "fineGrained"),
}
"""The tokens that every new Hub knows."""
NOBODY = Token("", "")


def given(request: Request) -> str:
    """The token that came with a request."""
    return request.headers.get("authorization", "").removeprefix("Bearer ")
