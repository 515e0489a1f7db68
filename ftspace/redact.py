"""Takes secrets out of text before it is persisted or shown: known token shapes, and this environment's own."""

import re

from ftspace.settings import secrets_in_env

_SHAPES = re.compile(
    r"hf_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}"
    r"|(?<=[Bb]earer )[A-Za-z0-9._~+/-]{16,}"
)
_PLACEHOLDER = "[redacted]"


def redact(text: str) -> str:
    """`text` with every known secret replaced by `[redacted]`."""
    for secret in secrets_in_env():
        text = text.replace(secret, _PLACEHOLDER)
    return _SHAPES.sub(_PLACEHOLDER, text)
