import pytest

from ftspace.ui import markup
from ftspace.ui.views import Live, ResultLine, RunLine

EVIL = "<img src=x onerror=alert(1)>\"'"
HTML = [
    markup.header(RunLine("id", EVIL, "when", "words", "good")),
    markup.heading(EVIL, EVIL),
    markup.note(EVIL, "bad", link=(EVIL, EVIL)),
    markup.empty(EVIL, EVIL),
    markup.runs([RunLine(EVIL, EVIL, EVIL, EVIL, "busy")]),
    markup.preview([(EVIL, [(2, 9)])], EVIL),
    markup.live(Live(EVIL, EVIL, "busy", 0.5, [(EVIL, "now")], [(EVIL, EVIL)], [EVIL])),
    markup.results(
        EVIL, "good", [ResultLine(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, "better", "good", (0, 0, 1))]
    ),
    markup.answers(EVIL, EVIL, EVIL, EVIL, EVIL),
]


@pytest.mark.parametrize("html", HTML)
def test_text_stays_text(html: str) -> None:
    assert "<img" not in html
    assert 'onerror=alert(1)>"' not in html
    assert "&lt;img" in html


def test_what_is_trained_is_marked() -> None:
    assert '<pre class="ft-row" tabindex="0">a<mark>b&amp;</mark>c</pre>' in markup.preview([("ab&c", [(1, 3)])], "")


def test_nothing_to_say_is_nothing() -> None:
    assert markup.note("") == ""


@pytest.mark.parametrize(("fraction", "bar"), [(0.256, 'aria-valuenow="26"'), (None, "ft-unknown")])
def test_progress_is_told_to_screen_readers(fraction: float | None, bar: str) -> None:
    assert bar in markup.live(Live("h", "d", "busy", fraction, [], [], []))
