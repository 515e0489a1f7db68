"""What a task is called where people read and do not type: one function for screens, reports and cards."""

import re

_TITLES = {
    "heldout": "Held-out rows",
    "general": "General knowledge",
    "instructions": "Following instructions",
}
_NAMED = re.compile(r"(?P<name>.+)\.(?P<shots>\d+)shot")
"""How a task of LightEval's is called by its folder."""


def task_title(name: str) -> str:
    """The title of a task, such as Held-out rows for `heldout` and Unseen people for `unseen_people`."""
    if name in _TITLES:
        return _TITLES[name]
    if any(sign in name for sign in ":|/"):  # as it is typed
        return name
    found = _NAMED.fullmatch(name)
    if found is not None:
        shots = int(found["shots"])
        examples = f", {shots} solved example{'s' if shots > 1 else ''} first" if shots else ""
        return f"{_spaced(found['name'])}{examples}"
    words = _spaced(name)
    return f"{words[:1].upper()}{words[1:]}"


def _spaced(name: str) -> str:
    return " ".join(re.sub(r"[_-]+", " ", name).split()) or name
