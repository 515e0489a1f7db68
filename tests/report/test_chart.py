import math
import re
from dataclasses import dataclass

import pytest

from ftspace.report.chart import MOST, Curve, draw


@dataclass(frozen=True)
class Told:
    step: int
    loss: float


def told(count: int) -> list[Told]:
    return [Told(step, float(step)) for step in range(1, count + 1)]


def test_a_short_curve_is_what_was_told_without_what_is_no_number() -> None:
    points = [Told(0, 3.0), Told(1, math.nan), Told(2, math.inf), Told(3, 2.0)]
    assert Curve().follow(points) == [(0, 3.0), (3, 2.0)]
    assert Curve().follow([]) == []


@pytest.mark.parametrize("count", [MOST - 1, MOST, MOST + 1, 10_001, 100_000])
def test_a_long_curve_is_means_over_equal_stretches_and_keeps_its_end(count: int) -> None:
    curve = Curve()
    found = curve.follow(told(count))
    assert len(found) <= MOST
    assert found[-1][0] == count
    assert found[0] == (curve.every, (1 + curve.every) / 2)
    assert len(found) == -(-count // curve.every)


def test_following_in_parts_is_following_at_once() -> None:
    points = told(5_000)
    growing = Curve()
    for end in (1, 399, 400, 401, 2_000, 2_000, 5_000):
        found = growing.follow(points[:end])
    assert found == Curve().follow(points)


def test_a_curve_that_was_taken_back_is_drawn_anew() -> None:
    curve = Curve()
    curve.follow(told(1_000))
    again = [*told(500), *(Told(step, 0.5) for step in range(501, 1_001))]
    assert curve.follow(again) == Curve().follow(again)
    assert curve.follow(told(3)) == [(1, 1.0), (2, 2.0), (3, 3.0)]


def test_the_drawing_holds_steps_and_losses_to_be_read() -> None:
    html = draw([(1, 2.5), (40, 2.0)], [(0, 3.0), (40, 1.25)], every=2)
    assert 'aria-label="Loss curves: training loss 2.500 at step 1 to 2.000 at step 40; validation loss 3.000' in html
    assert 'd="M1 -2.5L40 -2"' in html
    assert 'd="M0 -3L40 -1.25"' in html
    assert "a point is the mean of 2 steps" in html
    left, top, width, height = map(float, re.findall(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', html)[0])
    assert left == 0
    assert width == 40
    assert top < -3
    assert top + height > -1.25


@pytest.mark.parametrize(
    ("training", "validation"),
    [([(1, 0.0)], []), ([], [(0, 2.0)]), ([(1, 2.0), (2, 2.0)], []), ([(1, 1e9), (2, 1e-9)], [(0, -1.0)])],
)
def test_odd_curves_are_drawn_too(training: list[tuple[int, float]], validation: list[tuple[int, float]]) -> None:
    html = draw(training, validation)
    assert "nan" not in html
    assert "inf" not in html
    assert html.count("ft-key ") == bool(training) + bool(validation)
    assert 1 <= html.count('class="ft-y"') <= 7
    assert draw([], []) == ""
