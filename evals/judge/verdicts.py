"""What a judge's reply says: its last verdict or rating, or nothing. Knows the reply's form, not who judges.

A reply may repeat what the answers hold, also things that look like verdicts. So an object that carries the mark of the
prompt is believed wherever it stands, the last one of several; one without a mark only when the reply ends with it and
the material holds none like it. Whatever else comes is no verdict: missing, and neither a tie nor a low rating.
"""

import json
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from evals.judge.prompts import Material

Choice = Literal["A", "B", "tie"]
_CHOICES: dict[str, Choice] = {"a": "A", "b": "B", "tie": "tie"}
_DECODER = json.JSONDecoder(strict=False)
_LONGEST = 8_000
"""Letters of a reply's end that are looked at."""
Found = TypeVar("Found")


def read_choice(reply: str, material: Material) -> Choice | None:
    """Which answer the judge calls better; None when it does not say."""
    return _last(reply, material, "verdict", _choice)


def read_rating(reply: str, material: Material) -> int | None:
    """The rating from 1 to 10; None when there is none."""
    return _last(reply, material, "rating", _rating)


def _last(reply: str, material: Material, key: str, of: Callable[[Any], Found | None]) -> Found | None:
    found = [(one, end) for one, end in _objects(reply[-_LONGEST:]) if of(one.get(key)) is not None]
    marked = [one for one, _ in found if one.get("mark") == material.mark]
    if marked:
        return of(marked[-1][key])
    bare = reply[-_LONGEST:].rstrip().removesuffix("```").rstrip()
    if found and found[-1][1] == len(bare) and "mark" not in found[-1][0]:
        value = of(found[-1][0][key])
        texts = (material.question, material.reference, *material.answers)
        if not any(of(one.get(key)) is not None for text in texts for one, _ in _objects(text)):
            return value
    return None


def _objects(text: str) -> list[tuple[dict[str, Any], int]]:
    """The JSON objects in a text, those inside others left out, each with the place of its end."""
    found: list[tuple[dict[str, Any], int]] = []
    at = text.find("{")
    while at >= 0:
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        found.append((value, end))
        at = text.find("{", end)
    return found


def _choice(value: Any) -> Choice | None:
    return _CHOICES.get(value.strip().casefold()) if isinstance(value, str) else None


def _rating(value: Any) -> int | None:
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value.strip()[:3])
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value in range(1, 11)
    return int(value) if whole else None
