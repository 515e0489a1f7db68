import pytest

from ftspace.checks import Check
from ftspace.data.report import DataReport, Found, FoundExample
from ftspace.lab import LabRow, LabToken
from ftspace.ui import markup
from ftspace.ui.choose import look_markup
from ftspace.ui.live import live_markup
from ftspace.ui.live.live_view import Live

FOUND = Found(finding="echo", words="w", rows=1, share=1, removed=False, examples=[FoundExample(row=1, excerpt="e")])


def test_what_is_trained_is_marked() -> None:
    assert '<pre class="ft-row" tabindex="0">a<mark>b&amp;</mark>c</pre>' in markup.preview([("ab&c", [(1, 3)])], "")


def test_nothing_to_say_is_nothing() -> None:
    assert markup.note("") == ""


@pytest.mark.parametrize(("fraction", "bar"), [(0.256, 'aria-valuenow="26"'), (None, "ft-unknown")])
def test_progress_is_told_to_screen_readers(fraction: float | None, bar: str) -> None:
    assert bar in live_markup.live(Live("h", "d", "busy", fraction, [], [], []))


def test_tokens_are_told_apart_without_colour_and_show_their_whitespace() -> None:
    tokens = (
        LabToken(5, "a b\n", "trained", False),
        LabToken(2, "</s>", "cut", True),
        LabToken(0, "", "padding", True),
    )
    html = look_markup.lab(LabRow("a b\n</s>", tokens, 1, 1, 1), "tokens", "Row 1 of 3")
    assert "Row 1 of 3: 1 tokens kept, 1 trained, 1 cut off, 1 padding." in html
    assert 'class="ft-token ft-trained" data-token tabindex="0" title="a b\n · id 5 · trained">a·b↵</span><br>' in html
    assert "· id 2 · cut off, special" in html
    assert html.index(">trained<") < html.index(">cut off<") < html.index(">padding<")
    assert ">5</span>" in look_markup.lab(LabRow("", tokens, 1, 1, 1), "ids", "")
    assert "Nothing of this row would be trained" in look_markup.lab(LabRow("", tokens[1:], 0, 1, 1), "tokens", "")


def test_findings_say_how_many_and_checks_the_worst_first() -> None:
    assert "1 row (100%)" in look_markup.finding(FOUND)
    assert "not found" in look_markup.finding(None)
    html = look_markup.checks([Check("ok", "fine", "all well"), Check("stop", "bad", "no end", "choose another")])
    assert html.index("No end") < html.index("To do: choose another") < html.index("All well")
    warned = DataReport(
        rows=9, found=[], languages={}, answers={}, warnings=["1 row holds x: add secret to data.filters"]
    )
    assert "1 row holds x: leave them out below" in look_markup.report(warned, "the first 9 rows", "")


def test_a_run_at_work_names_settings_as_the_form_does() -> None:
    shown = live_markup.live(Live("h", "Lower train.micro_batch_tokens first.", "bad", None, [], [], []))
    assert "train." not in shown and "first." in shown
