"""Whatever text comes in, the tags that come out are those of a harmless one."""

import ast
import inspect
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from ftspace.answering import Answer, Turn
from ftspace.answers import Answered, Change
from ftspace.checks import Check
from ftspace.data.formats import Format, Message
from ftspace.data.report import DataReport, Found, FoundExample
from ftspace.differing import Difference
from ftspace.errands import State
from ftspace.gallery import Entry
from ftspace.hub.finding.shortlist import Short
from ftspace.lab import LabRow, LabToken
from ftspace.labels import Label
from ftspace.presets import Preset
from ftspace.questions import Question
from ftspace.redact import keep_secret
from ftspace.report import results_markup
from ftspace.report.changed import Changed
from ftspace.report.results_view import ResultLine, ResultsView, Section, Told
from ftspace.runs import Run
from ftspace.settings import ROOT
from ftspace.several import Board, Contender, Duel, Line, Place, Several
from ftspace.training.diagnosis import Diagnosis
from ftspace.trash import Deleted
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.compare import chat_markup
from ftspace.ui.live import curves_markup, live_markup
from ftspace.ui.live.curves import Curves, Panel
from ftspace.ui.live.curves import Line as CurveLine
from ftspace.ui.live.live_view import Live
from ftspace.ui.publish import publish_markup
from ftspace.ui.publish.publish_markup import File
from ftspace.ui.publish.publish_view import PushView
from ftspace.ui.runs import gallery_markup, several_markup
from ftspace.ui.tune import preset_cards
from ftspace.ui.tune.complaints import Wrong
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
    return Live(
        t, t, "busy", 0.5, [(t, "now")], [(t, t)], [t], answers=[Answered(t, t, t, t, 1)],
        changes=[[Change(0, 0, t), Change(1, 2, t)]], said=t, diagnosis=(Diagnosis("falling", t, (t,), t), "bad"),
        ways=[(t, t), (t, f"?from={t}")], curves=_curves(t),
    )  # fmt: skip


def _curves(t: str) -> Curves:
    return Curves((Panel("loss", t, (CurveLine(t, "training", [(1, 2.0)]),)),), 2, 1, run_id=t)


def _line(t: str) -> ResultLine:
    return ResultLine(t, t, t, t, t, t, t, "better", "good", (0, 0, 1), t, ((t, t),))


def _results(t: str) -> ResultsView:
    line = _line(t)
    return ResultsView(t, "bad", (Told(t, t, "bad"),), t, (Section(t, t, (t, t), (line,), (line,)),), (t,))


def _reading(t: str) -> str:
    found = Format(t, (t,), lambda row: [], {t: t}, 0.5, t, (t,))
    return look_markup.reading(found, [t], t) + look_markup.reading(None, [t], t)


def _lab(t: str) -> str:
    row = LabRow(t, (LabToken(1, t, "cut", True),), 1, 1, 1)
    return "".join(look_markup.lab(row, view, t) for view in ("tokens", "text", "ids"))


def _changes(t: str) -> str:
    return preset_cards.changes({"train.epochs": t}, Preset(t, t))


def _label(t: str) -> Label:
    return Label(title=t, tags=(t,), note=t)


def _entry(t: str) -> Entry:
    label = _label(t)
    return Entry(Run(Path(t)), t, t, label, "running", t, "busy", t, seconds=1, pushed=True, fraction=0.5, text=t)


class _Named(Deleted):
    """A deleted run that is called so, whatever lies in its folder."""

    @property
    def name(self) -> str:
        return self.id


def _deleted(t: str) -> Deleted:
    return _Named(t, Run(Path("/nowhere")), 1)


def _several(t: str) -> Several:
    places = (Place("A", 0.5, 0.4, 0.6, 9, 0.1, 0, 0.2, "better"), Place("B", why=t))
    duels = (Duel("A", "B", why=t), Duel("B", "A", 0.1, 0, 0.2, 0.5, 9, "better"))
    board = Board(t, t, "lower", True, places, duels, t)
    lines = (Line("A", t, ((0, 1.0), (5, 0.5))), Line("B", t, ((0, 1.0),)))
    runs = (Contender("A", t, t, t), Contender("B", t, t, t))
    differences = (Difference(t, (t, t)),)
    return Several(runs, (t,), (t, "x"), t, (board,), 1, differences, lines, lines, by_tokens=True)


def _turn(t: str) -> Turn:
    ended, failed = Answer(f"one {t}", 0.1, done=True, cut=True), Answer(f"two {t}", done=True, failed=t)
    return Turn(t, {"base": ended, "tuned": failed, t: Answer(f"three {t}", done=True)})


def _many(t: str) -> str:
    rows = [(Question(question=t, answers=(t,)), _turn(t * n).answers) for n in (1, 40)]
    named = [(asked, dict(zip("abc", said.values(), strict=True))) for asked, said in rows]
    return chat_markup.table(named, dict.fromkeys("abc", t))


RENDERED: dict[str, Render] = {
    "preset_cards.faces": lambda t: preset_cards.faces({"Balanced": t}, t, t),
    "preset_cards.mending": lambda t: preset_cards.mending([Wrong(t, t), Wrong("train.epochs", t)], asked=True),
    "preset_cards.changes": _changes,
    "markup.header": lambda t: markup.header(RunLine(t, t, t, t, "good"), (t, "good")),
    "markup.heading": lambda t: markup.heading(t, t),
    "markup.address": lambda t: f'<a href="{markup.address(t)}">',
    "markup.anchor": lambda t: markup.anchor(t, t) + markup.anchor(t, f"https://{t}"),
    "markup.note": lambda t: markup.note(t, "bad", link=(t, t)),
    "markup.empty": lambda t: markup.empty(t, t),
    "markup.bar": lambda t: markup.bar(0.5) + markup.bar(None),
    "publish_markup.push": lambda t: publish_markup.push(PushView(t, t, "good", 0.5, True, "https://" + t, (t,))),
    "publish_markup.bundle": lambda t: publish_markup.bundle(t, [(t, 1)], [(t, t)], f"~~~\n{t}\n~~~", b""),
    "publish_markup.reports": publish_markup.reports,
    "publish_markup.take_along": lambda t: publish_markup.take_along([File(t, t, t, t)]),
    "publish_markup.line": publish_markup.line,
    "publish_markup.errand": lambda t: publish_markup.errand(State(status="failed", said=t), t),
    "publish_markup.plan": lambda t: publish_markup.plan(
        {"space": t, "hardware_words": t, "steps": [t], "doubts": [t]}
    ),
    "publish_markup.hardware": lambda t: publish_markup.hardware(),
    "chat_markup.kept": lambda t: chat_markup.kept(t, mine=True),
    "chat_markup.changed": lambda t: chat_markup.changed(Changed(t, (t, t), "good")),
    "chat_markup.turn": lambda t: chat_markup.turn(_turn(t), {"base": t, "tuned": t}, 64),
    "chat_markup.turns": lambda t: chat_markup.turns([_turn(t), _turn(t)], {}),
    "chat_markup.table": _many,
    "chat_markup.progress": lambda t: chat_markup.progress(1, 2, t),
    "markup.preview": lambda t: markup.preview([(t, [(2, 9)])], t),
    "live_markup.live": lambda t: live_markup.live(_live(t)),
    "live_markup.shown": lambda t: live_markup.shown(live_markup.live(_live(t)), t),
    "curves_markup.curves": lambda t: curves_markup.curves(_curves(t)),
    "results_markup.safe": results_markup.safe,
    "results_markup.results": lambda t: results_markup.results(_results(t)),
    "results_markup.block": results_markup.block,
    "results_markup.preformatted": lambda t: results_markup.preformatted([(t, True), (t, False)]),
    "results_markup.table": lambda t: results_markup.table((t, t), [_line(t)], "label", None),
    "look_markup.reading": _reading,
    "look_markup.facts": lambda t: look_markup.facts(t, [(t, t)], t, t, t),
    "look_markup.shelf": lambda t: look_markup.shelf("model", [(Short("model", t, t, t, t, gated=True), False)]),
    "look_markup.turns": lambda t: look_markup.turns([Message(role=t, content=t, name=t)], 1, (t, "idle"), t),
    "look_markup.progress": lambda t: look_markup.progress(1, 2, 1, 1),
    "look_markup.legend": look_markup.legend,
    "look_markup.finding": lambda t: look_markup.finding(_found(t)),
    "look_markup.report": lambda t: look_markup.report(_report(t), t, t),
    "look_markup.lab": _lab,
    "gallery_markup.cards": lambda t: gallery_markup.cards([_entry(t)], mine=True),
    "gallery_markup.state": lambda t: gallery_markup.state(_entry(t)),
    "gallery_markup.about": lambda t: gallery_markup.about(t, _label(t), mine=True),
    "gallery_markup.form": lambda t: gallery_markup.form(),
    "gallery_markup.choosing": lambda t: gallery_markup.choosing(),
    "gallery_markup.deleted": lambda t: gallery_markup.deleted([_deleted(t)]),
    "gallery_markup.counted": lambda t: gallery_markup.counted(2, more=True),
    "several_markup.several": lambda t: several_markup.several(_several(t), 1),
    "several_markup.refused": lambda t: several_markup.refused(t, 1),
    "several_markup.reading": lambda t: several_markup.reading(),
    "several_markup.left_out": lambda t: several_markup.left_out(len(t)),
    "several_markup.address_of": lambda t: f'<a href="{markup.address(several_markup.address_of(_several(t)))}">',
    "look_markup.checks": lambda t: look_markup.checks([Check("stop", t, t, t)]),
}
MODULES = (
    curves_markup,
    live_markup,
    chat_markup,
    gallery_markup,
    look_markup,
    markup,
    preset_cards,
    publish_markup,
    results_markup,
    several_markup,
)
NO_HTML = {"look_markup.mapping_words", "preset_cards.about"}


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
    assert set[str]().union(*map(public, MODULES)) == set(RENDERED) | NO_HTML


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
