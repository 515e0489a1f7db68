"""What is wrong with a config's values, one line a field, in the words of the page. Pure; knows no gradio.

pydantic finds it and the config's own checks; here it is only said, and put down to the field that it is about.
"""

import difflib
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ftspace.config import RunConfig, field_names, sections
from ftspace.fields import NAMES, label_of
from ftspace.redact import redact

_WORDS = {
    "greater_than": "has to be more than {gt:g}",
    "greater_than_equal": "has to be {ge:g} or more",
    "less_than": "has to be less than {lt:g}",
    "less_than_equal": "has to be {le:g} or less",
    "string_too_short": "is empty",
    "literal_error": "has to be one of {expected}",
    "list_type": "has to be a list",
    "dict_type": "has to name a column for each role",
    "model_type": "has to hold fields, such as `{section}:` with indented lines beneath",
    "model_attributes_type": "has to hold fields, such as `{section}:` with indented lines beneath",
}
"""By pydantic's kinds of errors; numbers, texts and switches are known by the beginnings in _KINDS."""
_KINDS = {
    "int_": "has to be a whole number",
    "float_": "has to be a number",
    "bool_": "has to be yes or no",
    "string_": "has to be a text",
}
_PATTERNS = {
    "hub.push": "has to look like owner/name",
    "model.trust_code": "has to be a commit: 40 digits from 0 to 9 and a to f",
}
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 60, 60
_LABELLED = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(NAMES, key=len, reverse=True)))


@dataclass(frozen=True)
class Wrong:
    """One thing to mend."""

    field: str
    """The dotted name of what it is about: a field, a section, or what is not known; "" where that cannot be told."""
    words: str
    path: tuple[str, ...] = ()
    """Where it stands in the values."""
    across: bool = False
    """Whether fields contradict one another."""

    @property
    def said(self) -> str:
        """The words with the fields of step 2 by their labels, and no secret."""
        name = self.field.partition(".")[2]
        named = self.across and name and self.field in NAMES and re.match(rf"{name}\b", self.words)
        words = f"“{label_of(self.field)}”{self.words[len(name) :]}" if named else self.words
        return redact(labelled(words))


def found_in(values: Any) -> tuple[RunConfig | None, list[Wrong]]:
    """The config that values make, or what is wrong with them."""
    try:
        return RunConfig.model_validate(values), []
    except ValidationError as error:
        found: dict[tuple[str, str], Wrong] = {}
        for problem in error.errors(include_url=False):
            one = _wrong(dict(problem))
            found.setdefault((one.field, one.words), one)
        return None, _joined(list(found.values()))


def labelled(text: str) -> str:
    """A text with the fields of step 2 by their labels."""
    return _LABELLED.sub(lambda found: f"“{label_of(found[0])}”", text)


def _joined(found: Sequence[Wrong]) -> list[Wrong]:
    """One line for each field: what may be one of two kinds is wrong for both."""
    by_field: dict[tuple[str, bool], Wrong] = {}
    for one in found:
        key = (one.field if not one.across else one.words, one.across)
        known = by_field.get(key)
        by_field[key] = Wrong(one.field, f"{known.words}, or {one.words}", one.path) if known else one
    return list(by_field.values())


def _wrong(problem: Mapping[str, Any]) -> Wrong:
    path = tuple(str(part) for part in problem["loc"])
    named = [part for part in path if not part.startswith(("literal[", "list["))][:2]
    field = ".".join(named)
    kind, context = str(problem["type"]), dict(problem.get("ctx") or {})
    if kind == "extra_forbidden":
        return Wrong(field, _unknown(path), path)
    if kind == "value_error":
        said = str(problem["msg"]).removeprefix("Value error, ")
        about = field if len(named) == 2 else _about(said, field)
        return Wrong(about, said, path, across=len(named) < 2)
    words = _PATTERNS.get(field, "") if kind == "string_pattern_mismatch" else ""
    words = words or _WORDS.get(kind) or next((_KINDS[one] for one in _KINDS if kind.startswith(one)), "")
    said = words.format(**context, section=field) if words else str(problem["msg"])
    return Wrong(field, said + _given(problem.get("input")), path)


def _given(value: Any) -> str:
    return "" if isinstance(value, dict | BaseModel) or value in ("", None) else f" (given: {_SHORT.repr(value)})"


def _unknown(path: Sequence[str]) -> str:
    """That there is no such field, and which was probably meant."""
    beside = [name for name in field_names() if name.startswith(f"{path[0]}.")] if len(path) > 1 else list(sections())
    close = difflib.get_close_matches(".".join(path[:2]), beside, n=1, cutoff=0.7)
    return "is no setting; " + (f"did you mean {close[0]}?" if close else f"there are {', '.join(beside)}")


def _about(said: str, section: str) -> str:
    """The field that a check across fields names first; the section where it names none."""
    dotted = [name for name in field_names() if re.search(rf"\b{re.escape(name)}\b", said)]
    if dotted:
        first = min(dotted, key=said.index)
        if not section:
            return first
    word = re.match(r"\w+", said)
    name = f"{section}.{word[0]}" if word else ""
    return name if name in field_names() else section
