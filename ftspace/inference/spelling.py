"""The text of an answer while its tokens come. Knows a tokenizer, and no model."""

from collections.abc import Callable, Sequence

_UNFINISHED = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet."""


class Spelling:
    """Tells each piece of an answer's text as soon as no later token can change it."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        """`decode` gives the text of tokens, special ones left out."""
        self._decode = decode
        self._ids: list[int] = []
        self._from, self._told = 0, 0
        """Tokens before which nothing is looked at any more, and tokens whose text is told."""

    def add(self, token: int) -> str:
        """What can be told now that this token has come: often nothing in the middle of a character."""
        self._ids.append(token)
        new = self._new()
        if not new or new.endswith(_UNFINISHED):
            return ""
        self._from, self._told = self._told, len(self._ids)
        return new

    def rest(self) -> str:
        """What is left to tell at the answer's end."""
        new = self._new()
        self._from = self._told = len(self._ids)
        return new

    def _new(self) -> str:
        """The text of the tokens that are not told yet, as it stands behind those before them."""
        before = self._decode(self._ids[self._from : self._told])
        return self._decode(self._ids[self._from :])[len(before) :]
