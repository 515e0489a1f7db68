import math
import re
from itertools import pairwise

import pytest

from ftspace.config import default_config
from ftspace.events import Checkpoint, Event, Resumed, Step, Validation
from ftspace.report.chart import Point
from ftspace.state import fold
from ftspace.ui.live.curves import Curves, Following, Sign, opening, smoothed
from ftspace.ui.live.curves_markup import curves


def step(number: int, loss: float) -> Step:
    return Step(
        step=number, epoch=0, loss=loss, learning_rate=1e-3, grad_norm=1.0, tokens=10 * number, seconds=float(number),
        token_accuracy=0.5, memory=2 * 10**9,
    )  # fmt: skip


def falling(count: int) -> list[Event]:
    return [step(number, 0.5 + 16 * math.exp(-number / 5)) for number in range(1, count + 1)]


def drawn(events: list[Event]) -> Curves:
    found = Following().curves(fold(events), default_config(), "R")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("points", "cut", "hide"),
    [
        ([(n, 0.5 + 16 * math.exp(-n / 5)) for n in range(1, 101)], 10, True),
        ([(n, 2 - n / 100) for n in range(1, 101)], 30, False),
        ([(n, 16.0 / n) for n in range(1, 20)], None, False),
        ([(n, 1.0) for n in range(1, 101)], None, False),
        ([(250 * n, 0.5 + 16 * math.exp(-n / 5)) for n in range(1, 401)], 3000, True),
    ],
    ids=["a steep start", "no steep start", "few steps", "a flat line", "many steps"],
)
def test_the_opening_that_flattens_the_rest_is_hidden(points: list[Point], cut: int | None, hide: bool) -> None:
    assert opening(points) == (cut, hide)


def test_a_smooth_line_is_the_mean_about_each_point() -> None:
    line = [(n, 2.0 * n) for n in range(100)]
    assert smoothed(line) == [(n, pytest.approx(2.0 * n)) for n in range(100)]
    assert smoothed(line[:29]) == []
    wild = [(n, float(n % 2)) for n in range(200)]
    assert all(0.3 < value < 0.7 for _, value in smoothed(wild)[5:-5])


def test_signs_tell_what_happened_and_what_lies_close_only_once() -> None:
    events = falling(10)
    events += [Validation(step=n, loss=loss) for n, loss in ((0, 9.0), (5, 1.0), (10, 2.0))]
    events += [Checkpoint(step=10, bytes=1, seconds=1), Resumed(step=10, reason="rollback"), *falling(300)[10:]]
    events += [Checkpoint(step=n, bytes=1, seconds=1) for n in range(11, 301)]
    signs = drawn(events).signs
    assert [one for one in signs if one.kind != "checkpoint"] == [Sign("rollback", 10), Sign("best", 5)]
    steps = [one.step for one in signs if one.kind == "checkpoint"]
    assert steps[-1] == 300 and len(steps) <= 50 and min(b - a for a, b in pairwise(steps)) >= 6


def test_all_panels_have_one_axis_and_can_be_read() -> None:
    events = [Validation(step=0, loss=17.0, token_accuracy=0.0), *falling(100), Validation(step=100, loss=0.6)]
    html = curves(drawn(events))
    assert re.findall(r'data-panel="(\w+)"', html) == ["loss", "rate", "norm", "speed", "memory", "right"]
    boxes = [box.split() for box in re.findall(r'viewBox="([^"]+)"', html)]
    assert {(left, width) for left, _, width, _ in boxes} == {("0", "100"), ("10", "90")}
    assert html.count('role="slider"') == 6 and 'aria-valuetext="training 0.500 at step 100; validation 0.600' in html
    assert "validation loss 17.000 at step 0 to 0.600 at step 100; best validation at step 100" in html
    assert 'href="live/R?as=csv" download' in html and 'data-curve="cut" checked' in html
    assert html.count("ft-raw") == 2 == html.count("ft-smooth"), "on both scales"
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(re.findall(r'<g id="([^"]+)"', html))


@pytest.mark.parametrize(
    "events",
    [
        [step(1, 0.0)],
        [Validation(step=0, loss=3.0)],
        [step(1, math.inf), step(2, 1e-9), step(3, 1e9)],
        [step(n, 0.0) for n in range(1, 60)],
    ],
)
def test_odd_curves_are_drawn_too(events: list[Event]) -> None:
    html = curves(drawn(events))
    assert "nan" not in html and "inf" not in html
    assert curves(None) == "" and Following().curves(fold([]), default_config(), "") is None
