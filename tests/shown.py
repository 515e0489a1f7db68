"""The texts that the app shows, as they stand in the code: literals and f-strings, each `{}` for what varies.

Markup is read as a browser reads it: a text between tags, and those attributes that are read out.
"""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

from ftspace.settings import ROOT

_READ = ("aria-label", "aria-description", "title", "placeholder", "alt", "data-label")
_NAMES = {
    "elem_id", "elem_classes", "key", "size", "variant", "type", "id", "selected", "js", "trigger_mode", "prefix",
    "api_visibility", "show_progress", "overflow_behavior", "concurrency_id", "encoding", "dir", "filename",
}  # fmt: skip
"""Arguments that are shown to nobody."""
_LOOKS = {
    "get", "startswith", "endswith", "removeprefix", "removesuffix", "partition", "split", "compile", "sub", "match",
    "fullmatch", "search", "findall", "finditer", "strftime", "encode", "decode", "replace", "find", "index", "open",
    "glob", "count",
}  # fmt: skip
"""Methods whose arguments are looked for in a text, not said."""


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._text = ""
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in _READ and value]
        if tag == "code":
            self._code += 1
            self._text += "{}"
        else:
            self.end()

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._code = max(0, self._code - 1)
        else:
            self.end()

    def handle_data(self, data: str) -> None:
        self._text += "" if self._code else data

    def end(self) -> None:
        self.found += [self._text]
        self._text = ""


def texts_of(name: str) -> Iterator[tuple[int, str]]:
    """The texts of a module, each with its line."""
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    unsaid = {id(node) for part in _unsaid(tree) for node in ast.walk(part)}
    for node in ast.walk(tree):
        if id(node) in unsaid or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        for text in _pieces(_template(node)):
            if _is_said(text):
                yield node.lineno, text


def helps_of(name: str) -> Iterator[tuple[int, str]]:
    """What stands beneath the fields of a module's classes, which the form shows as their help."""
    for part in ast.parse((ROOT / name).read_text(encoding="utf-8")).body:
        body = part.body if isinstance(part, ast.ClassDef) else []
        for field, said in pairwise(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr)):
                continue
            if isinstance(said.value, ast.Constant) and isinstance(said.value.value, str):
                yield said.lineno, " ".join(said.value.value.split())


def _unsaid(tree: ast.Module) -> Iterator[ast.AST]:
    """Parts of a module whose literals are shown to nobody: docstrings, annotations, names, what is compared."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node
        elif isinstance(node, ast.keyword) and node.arg in _NAMES:
            yield node.value
        elif isinstance(node, ast.Compare):
            yield from (one for one in [node.left, *node.comparators] if isinstance(one, ast.Constant | ast.Tuple))
        elif isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.AnnAssign):
            yield node.annotation
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOOKS:
            yield from node.args
        elif isinstance(node, ast.FunctionDef):
            yield from (one.annotation for one in [*node.args.args, *node.args.kwonlyargs] if one.annotation)
            yield from [node.returns] if node.returns else []
        elif isinstance(node, ast.JoinedStr):
            yield from (one for one in node.values if isinstance(one, ast.Constant))
            yield from (
                one.format_spec for one in node.values if isinstance(one, ast.FormattedValue) and one.format_spec
            )


def _template(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return re.sub(r"\{\w+(:\w+)?\}", "{}", node.value) if isinstance(node.value, str) else ""


def _pieces(text: str) -> list[str]:
    if not re.search(r'</?[a-z]|="[^"]*$', text):
        return [" ".join(text.split())]
    words = _Words()
    words.feed(text)
    words.close()
    words.end()
    return [" ".join(one.split()) for one in words.found]


def _is_said(text: str) -> bool:
    """Whether a literal is a text for people: words with blanks between them, or one that begins a line or a label."""
    if not re.search(r"[A-Za-z]{2}", text.replace("{}", "")):
        return False
    if re.search(r"=>|document\.|const |var\(--|\(\?|\\[dsw]|^[.#]|^ft-|^python -m|^attachment|^\w+\[|=\"|=true", text):
        return False
    return " " in text or re.fullmatch(r"[A-Z][a-z]+[.:…?]?", text) is not None


def modules(*names: str) -> list[str]:
    """The modules of folders and files, by their names from the root."""
    found = [[ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py")) for name in names]
    return [str(Path(path).relative_to(ROOT)) for paths in found for path in paths]
