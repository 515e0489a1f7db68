import json
from html import unescape
from typing import Any

import pytest

from ftspace.ui import way
from ftspace.ui.markup import header
from ftspace.ui.views import RunLine


@pytest.mark.parametrize(
    ("known", "done", "later"),
    [
        ({"run": False}, set[str](), {"compare", "results", "publish"}),
        ({"run": True}, {"choose"}, {"compare", "results", "publish"}),
        ({"run": True, "over": True}, {"choose"}, {"compare", "results", "publish"}),
        ({"run": True, "adapter": True}, {"choose"}, {"results"}),
        ({"run": True, "over": True, "adapter": True, "results": True}, {"choose", "tune", "results"}, set[str]()),
        (
            {"run": True, "over": True, "adapter": True, "results": True, "pushed": True},
            {"choose", "tune", "results", "publish"},
            set[str](),
        ),
    ],
)
def test_a_step_is_done_when_what_it_makes_is_there_and_says_why_it_is_empty(
    known: dict[str, Any], done: set[str], later: set[str]
) -> None:
    found = way.steps(**known)
    assert {step for step, (state, _) in found.items() if state == "done"} == done
    assert {step for step, (state, _) in found.items() if state == "later"} == later
    assert all(bool(why) == (state == "later") for state, why in found.values())


def test_the_scripts_read_the_steps_and_the_tour() -> None:
    html = way.told(way.steps(run=False), with_tour=True)
    said = json.loads(unescape(html.split('"')[1]))
    assert list(said["steps"]) == ["choose", "tune", "compare", "results", "publish"]
    assert {stop["step"] for stop in said["tour"]} == set(said["steps"])
    assert json.loads(unescape(way.told({}, with_tour=False).split('"')[1])) == {
        "steps": {},
        "tour": [],
        "known": "",
    }


def test_the_head_is_the_pages_one_heading_and_tells_the_runs_status() -> None:
    line = RunLine("id", "base on people", "now", "words", "good")
    assert '<h1 class="ft-open-title" title="Run id"><span translate="no">base on people</span></h1>' in header(
        line, ("Finished", "good")
    )
    assert '<span class="ft-chip ft-good">Finished</span>' in header(line, ("Finished", "good"))
    for html in (header(None), header(line)):
        assert html.count("<h1") == 1
        assert html.index("ft-skip") < html.index("ft-name")
