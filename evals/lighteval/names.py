"""Which of LightEval's files holds a task of some name, found by reading the files and importing none of them.

Importing all of them is what its registry does: one downloads at import, another calls what is no longer there. A name
stands in a file as a text, as a text with gaps, or is computed; then the file's own name is all there is to go by.
"""

import ast
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from evals.errors import TaskError

SHAPE = "write `task` or `task|few_shot`, such as `gsm8k|4`"
_FOLDERS = {"tasks/tasks": "lighteval.tasks.tasks", "tasks/multilingual/tasks": "lighteval.tasks.multilingual.tasks"}


@dataclass(frozen=True)
class Entry:
    """A name, or a pattern of names, in one of LightEval's files."""

    module: str
    """The module's name."""
    name: str | None
    """The name, where it stands there whole."""
    pattern: re.Pattern[str]
    """What names of it look like."""


def parse_name(text: str) -> tuple[str, int]:
    """Return a task's name and how many solved examples stand before each question; none where the text says none.

    Raises:
        TaskError: the text is no such name.
    """
    parts = [part.strip() for part in text.split("|")]
    if len(parts) == 4 and parts[3] in ("0", "1"):
        parts.pop()  # whether to leave out examples of too long a prompt: LightEval no longer has it
    if len(parts) == 3:
        parts.pop(0)  # the suite, which no longer means anything
    if len(parts) > 2 or not re.fullmatch(r"[^|\s,]+", parts[0]):
        raise TaskError(f"{text!r} names no task: {SHAPE}")
    if len(parts) == 2 and not re.fullmatch(r"\d{1,3}", parts[1]):
        raise TaskError(f"{text!r}: the number of solved examples is {parts[1]!r}: {SHAPE}")
    return parts[0], int(parts[1]) if len(parts) == 2 else 0


def modules_of(name: str) -> list[str]:
    """Return the modules that may hold a task, or a group `name:...`, the likeliest first."""
    whole = [entry.module for entry in entries() if entry.name == name]
    group = [entry.module for entry in entries() if entry.name is not None and entry.name.startswith(f"{name}:")]
    shaped = [entry.module for entry in entries() if entry.name is None and entry.pattern.fullmatch(name)]
    grouped = [entry.module for entry in entries() if entry.name is None and _starts(entry.pattern, f"{name}:")]
    return list(dict.fromkeys([*whole, *group, *shaped, *grouped]))


def unknown(name: str) -> TaskError:
    """Return the error for a name that no task has, with a few names like it."""
    known = {entry.name for entry in entries() if entry.name is not None}
    known |= {one.partition(":")[0] for one in known}
    near = difflib.get_close_matches(name, sorted(known - {name}), n=4, cutoff=0.5)
    return TaskError(
        f"there is no task {name}: it is no file, no bundled suite and no task of LightEval's"
        + (f"; near names: {', '.join(near)}" if near else "")
    )


@cache
def entries() -> tuple[Entry, ...]:
    """All names and patterns of names in LightEval's files."""
    spec = find_spec("lighteval")
    if spec is None or not spec.submodule_search_locations:
        raise TaskError("LightEval is not installed, so its tasks can't be asked: pip install lighteval==0.13.0")
    root = Path(next(iter(spec.submodule_search_locations)))
    found: list[Entry] = []
    for folder, package in _FOLDERS.items():
        for path in sorted([*(root / folder).glob("*.py"), *(root / folder).glob("*/main.py")]):
            stem = path.parent.name if path.name == "main.py" else path.stem
            module = f"{package}.{stem}.main" if path.name == "main.py" else f"{package}.{stem}"
            found += [Entry(module, *one) for one in dict.fromkeys(_names(path.read_text(encoding="utf-8"), stem))]
    return tuple(found)


def _names(source: str, stem: str) -> Iterator[tuple[str | None, re.Pattern[str]]]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        for value in (keyword.value for keyword in node.keywords if keyword.arg == "name"):
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value, re.compile(re.escape(value.value))
            elif isinstance(value, ast.JoinedStr):
                parts = [str(one.value) if isinstance(one, ast.Constant) else None for one in value.values]
                yield None, re.compile("".join(".+" if part is None else re.escape(part) for part in parts))
            else:
                yield None, re.compile(re.escape(stem[:8]) + ".*")


def _starts(pattern: re.Pattern[str], prefix: str) -> bool:
    """Whether all names of a pattern start so: the text before its first gap does."""
    return pattern.pattern.replace("\\", "").partition(".+")[0].startswith(prefix)
