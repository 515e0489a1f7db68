"""Takes known secrets out of text: plain, escaped, percent-encoded or within Base64. Knows no environment."""

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

PLACEHOLDER = "[redacted]"
SHORTEST = 8
"""Characters of a secret; shorter ones would be found in words that are none."""


@dataclass(frozen=True)
class _Sought:
    """A pattern, and texts of which one stands wherever it is found: they are looked for first, which is fast."""

    signs: tuple[str, ...]
    pattern: re.Pattern[str]


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` with every one of the secrets replaced by `[redacted]`, in whatever form it stands there."""
    for secret in sorted({one for one in secrets if len(one) >= SHORTEST}, key=lambda one: (-len(one), one)):
        for sought in _sought(secret):
            if any(sign in text for sign in sought.signs):
                text = sought.pattern.sub(PLACEHOLDER, text)
    return text


@lru_cache(maxsize=512)
def _sought(secret: str) -> tuple[_Sought, ...]:
    sign = max(re.findall(r"[A-Za-z0-9]*", secret), key=len)
    written = "".join(one if one.isascii() and one.isalnum() else _escaped(one) for one in secret)
    return (_Sought((sign,), re.compile(written)), *_in_base64(secret))


def _escaped(character: str) -> str:
    """A pattern for a character as it is, in a URL, in JSON, in HTML or in a Python literal."""
    percent = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
    forms = [character, percent, percent.lower(), html.escape(character), f"\\{character}", f"\\\\{character}"]
    forms += [json.dumps(character)[1:-1], repr(character)[1:-1], *(["+"] if character == " " else [])]
    return f"(?:{'|'.join(map(re.escape, sorted(set(forms), key=len, reverse=True)))})"


def _in_base64(secret: str) -> list[_Sought]:
    """The part of a Base64 text that only the secret decides, for each place that it may begin at."""
    raw = secret.encode("utf-8", "surrogatepass")
    found: list[_Sought] = []
    for before in range(3):
        encoded = b64encode(b"\0" * before + raw).decode()
        core = encoded[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]
        cores = tuple({core, core.translate(str.maketrans("+/", "-_"))})
        either = "|".join(map(re.escape, cores))
        found.append(_Sought(cores, re.compile(f"[\\w+/-]{{0,3}}(?:{either})[\\w+/=-]{{0,4}}")))
    return found
