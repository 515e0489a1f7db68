"""Whatever text comes in, the tags that come out are those of a harmless one."""

import ast
import inspect
from collections.abc import Callable
from html.parser import HTMLParser
from types import ModuleType

import pytest

from ftspace.answers import Answered
from ftspace.checks import Check
from ftspace.data.formats import Format, Message
from ftspace.data.report import DataReport, Found, FoundExample
from ftspace.lab import LabRow, LabToken
from ftspace.redact import keep_secret
from ftspace.report import results_markup
from ftspace.report.results_view import ResultLine, ResultsView, Section, Told
from ftspace.settings import ROOT
from ftspace.ui import look_markup, markup, publish_markup
from ftspace.ui.live_view import Live
from ftspace.ui.publish_view import PushView
from ftspace.ui.views import RunLine

EVIL = [
    "<img src=x onerror=alert(1)>",
    "</pre></span></div><script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "<!-- --><svg/onload=alert(1)>&lt;b&gt;",
    "${alert(1)} {{constructor}} `x` &#60;img src=x&#62;",
]
Render = Callable[[str], str]


def _found(t: str) -> Found:
    return Found(finding="echo", words=t, rows=1, share=1, removed=False, examples=[FoundExample(row=1, excerpt=t)])


def _report(t: str) -> DataReport:
    return DataReport(rows=1, found=[_found(t)], languages={t: 1, "b": 1}, answers={t: 1, "c": 2}, warnings=[t])


def _live(t: str) -> Live:
    answers = [Answered(t, t, t, t, 1)]
    return Live(t, t, "busy", 0.5, [(t, "now")], [(t, t)], [t], answers=answers, diagnosis=(t, "bad"))


def _results(t: str) -> ResultsView:
    line = ResultLine(t, t, t, t, t, t, t, "better", "good", (0, 0, 1), t, ((t, t),))
    return ResultsView(t, "bad", (Told(t, t, "bad"),), t, (Section(t, t, (t, t), (line,), (line,)),), (t,))


def _reading(t: str) -> str:
    found = Format(t, (t,), lambda row: [], {t: t}, 0.5, t, (t,))
    return look_markup.reading(found, [t], t) + look_markup.reading(None, [t], t)


def _lab(t: str) -> str:
    row = LabRow(t, (LabToken(1, t, "cut", True),), 1, 1, 1)
    return "".join(look_markup.lab(row, view, t) for view in ("tokens", "text", "ids"))


RENDERED: dict[str, Render] = {
    "markup.header": lambda t: markup.header(RunLine(t, t, t, t, "good")),
    "markup.heading": lambda t: markup.heading(t, t),
    "markup.address": lambda t: f'<a href="{markup.address(t)}">',
    "markup.anchor": lambda t: markup.anchor(t, t) + markup.anchor(t, f"https://{t}"),
    "markup.note": lambda t: markup.note(t, "bad", link=(t, t)),
    "markup.empty": lambda t: markup.empty(t, t),
    "markup.runs": lambda t: markup.runs([RunLine(t, t, t, t, "busy")]),
    "markup.listed": lambda t: markup.listed([RunLine(t, t, t, t, "busy")]),
    "markup.bar": lambda t: markup.bar(0.5) + markup.bar(None),
    "publish_markup.push": lambda t: publish_markup.push(PushView(t, t, "good", 0.5, True, "https://" + t, (t,))),
    "publish_markup.bundle": lambda t: publish_markup.bundle([(t, t)], [(t, t)], t),
    "publish_markup.reports": publish_markup.reports,
    "markup.preview": lambda t: markup.preview([(t, [(2, 9)])], t),
    "markup.live": lambda t: markup.live(_live(t)),
    "markup.shown": lambda t: markup.shown(markup.live(_live(t)), t, t),
    "results_markup.safe": results_markup.safe,
    "results_markup.results": lambda t: results_markup.results(_results(t)),
    "results_markup.answers": lambda t: results_markup.answers(t, t, [(t, t), (t, t)], t),
    "look_markup.reading": _reading,
    "look_markup.facts": lambda t: look_markup.facts(t, [(t, t)], t, t, t),
    "look_markup.turns": lambda t: look_markup.turns([Message(role=t, content=t, name=t)], 1, (t, "idle"), t),
    "look_markup.progress": lambda t: look_markup.progress(1, 2, 1, 1),
    "look_markup.legend": look_markup.legend,
    "look_markup.finding": lambda t: look_markup.finding(_found(t)),
    "look_markup.report": lambda t: look_markup.report(_report(t), t, t),
    "look_markup.lab": _lab,
    "look_markup.checks": lambda t: look_markup.checks([Check("stop", t, t, t)]),
}
NO_HTML = {"look_markup.mapping_words"}


class _Tags(HTMLParser):
    """The tags of a text with the names of their attributes, and where they lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.led: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, *(name for name, _ in attrs)))
        self.led += [value or "" for name, value in attrs if name in ("href", "src", "style", "action")]

    def handle_endtag(self, tag: str) -> None:
        self.found.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment",))


def public(module: ModuleType) -> set[str]:
    short = module.__name__.rpartition(".")[2]
    functions = inspect.getmembers(module, inspect.isfunction)
    return {f"{short}.{n}" for n, f in functions if f.__module__ == module.__name__ and not n.startswith("_")}


def test_every_function_is_looked_at() -> None:
    assert (
        public(markup) | public(look_markup) | public(publish_markup) | public(results_markup)
        == set(RENDERED) | NO_HTML
    )


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("name", sorted(RENDERED))
def test_text_stays_text(name: str, evil: str) -> None:
    plain, harmful = _Tags(RENDERED[name]("a plain text of words")), _Tags(RENDERED[name](evil))
    assert harmful.found == plain.found
    assert not any(place.strip().lower().startswith(("javascript", "data:", "vbscript")) for place in harmful.led)


def test_a_note_holds_no_secret_and_leads_to_pages_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.redact._kept", {})
    keep_secret("a typed secret")
    assert "a [redacted] b" in markup.note("a a typed secret b")
    assert 'href="?from=1">' in markup.note("a", link=("b", "?from=1"))
    away = 'href="https://hub/a" target="_blank" rel="noopener"'
    assert away in markup.note("a", link=("b", "https://hub/a")) and away in look_markup.facts("a", [], "https://hub/a")
    assert away in look_markup.checks([Check("stop", "a", "b", "ask at https://hub/a, and wait")])
    assert 'href="#"' in markup.note("a", link=("b", " javascript:alert(1)"))


def test_widgets_are_told_to_show_text() -> None:
    """gradio renders Markdown and HTML in these unless told otherwise."""
    for path in sorted((ROOT / "ftspace" / "ui").glob("*.py")):
        for call in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            given = {one.arg: ast.unparse(one.value) for one in call.keywords}
            where = f"{path.name}:{call.lineno}"
            assert name not in ("Markdown", "Info", "Warning", "Error", "HighlightedText", "JSON"), where
            assert name != "Chatbot" or given.get("render_markdown") == "False", where
            assert name != "Dataframe" or "datatype" not in given, f"{where}: texts are the default"
