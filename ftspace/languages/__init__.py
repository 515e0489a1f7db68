"""What the app says in other languages: catalogues of English sentences with their translations. Pure.

The English stands where it is said, in the code. A catalogue is a folder of JSON files, one a room of the app; in its
sentences `{}` stands for what varies. `ftspace/ui/js/book.js` translates by it, in the browser.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

ENGLISH = "en"
LANGUAGES = {"zh-CN": "zh_cn"}
"""The languages besides English, each with its catalogue's folder."""
FIRST = "page"
"""The room whose sentences Gradio is given itself, so that the first screen comes in the right language."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """All sentences of a language; those of the first room last, so that they win where it is turned back."""
    rooms = sorted(place.stem for place in (Path(__file__).parent / LANGUAGES[language]).glob("*.json"))
    found: dict[str, str] = {}
    for name in sorted(rooms, key=lambda one: one == FIRST):
        found |= room(language, name)
    return found


def room(language: str, name: str) -> dict[str, str]:
    """The sentences of one room."""
    place = Path(__file__).parent / LANGUAGES[language] / f"{name}.json"
    return json.loads(place.read_text(encoding="utf-8"))


@cache
def edition(language: str) -> str:
    """Differs when a catalogue does."""
    return hashlib.sha256(json.dumps(catalogue(language)).encode()).hexdigest()[:12]
