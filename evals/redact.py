"""Takes known secrets out of text: plain, escaped, percent-encoded or within Base64. Knows no environment."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache

PLACEHOLDER = "[redacted]"
SHORTEST = 8
"""Characters of a secret; shorter ones would be found in words that are none."""


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with every one of the secrets replaced by `[redacted]`, in whatever form it stands there."""
    known = tuple(sorted({one for one in secrets if len(one) >= SHORTEST}, key=lambda one: (-len(one), one)))
    return _pattern(known).sub(PLACEHOLDER, text) if known else text


@lru_cache(maxsize=64)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join([*map(_written, secrets), *(core for one in secrets for core in _in_base64(one))]))


def _written(secret: str) -> str:
    """A pattern for the secret as it is, in a URL, in JSON, in HTML, in a Python literal, or partly so."""
    return "".join(one if one.isascii() and one.isalnum() else _escaped(one) for one in secret)


def _escaped(character: str) -> str:
    percent = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    forms = [character, percent, percent.lower(), html.escape(character), f"\\{character}", f"\\\\{character}"]
    forms += [json.dumps(character)[1:-1], repr(character)[1:-1], *(["+"] if character == " " else [])]
    return f"(?:{'|'.join(map(re.escape, sorted(set(forms), key=len, reverse=True)))})"


def _in_base64(secret: str) -> list[str]:
    """Patterns for the part of a Base64 text that only the secret decides, for each place that it may begin at."""
    raw = secret.encode("utf-8", "surrogatepass")
    found: list[str] = []
    for before in range(3):
        encoded = b64encode(b"\0" * before + raw).decode()
        core = encoded[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
        letters = {"+": "[+-]", "/": "[/_]"}
        found.append("[\\w+/-]{0,3}" + "".join(letters.get(one, one) for one in core) + "[\\w+/=-]{0,4}")
    return found
