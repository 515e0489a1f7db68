"""Differences with their intervals as drawings on one axis: the lanes of a forest plot. Knows numbers only.

As the loss curves they are in units of what they show and stretched to the page's width; words stand beside them as
HTML and say the same, so the drawings are hidden from who cannot see them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ftspace.report.chart import ticks

Span = tuple[float, float, float]
"""The lower end of an interval, the difference, and the upper end, as shares of 1."""


@dataclass(frozen=True)
class Axis:
    """What all lanes have in common."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """From end to end."""
        return self.high - self.low


def axis(spans: Iterable[Span | None]) -> Axis | None:
    """An axis that holds 0 and all of these; None where there are none."""
    ends = [end for span in spans if span is not None for end in span]
    if not ends:
        return None
    low, high = min(0.0, *ends), max(0.0, *ends)
    if low == high:
        return Axis(-1.0, 1.0)
    return Axis(low - 0.04 * (high - low), high + 0.04 * (high - low))


def lane(span: Span, on: Axis) -> str:
    """One difference as a dot with its interval; what reaches over an end of the axis is cut there."""
    left, mid, right = (min(on.high, max(on.low, end)) for end in span)
    return (
        f'<svg class="ft-lane" viewBox="{on.low:.5g} 0 {on.width:.5g} 2" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="ft-zero" d="M0 0v2"/><path class="ft-ci" d="M{left:.5g} 1H{right:.5g}"/>'
        f'<path class="ft-mid" d="M{mid:.5g} 1h0"/></svg>'
    )


def marks(on: Axis) -> str:
    """The numbers beneath the lanes, in points of a hundred."""
    found = "".join(
        f'<span style="left:{100 * (at - on.low) / on.width:.2f}%">{100 * at:+g}</span>'.replace(">+0<", ">0<")
        for at in ticks(on.low, on.high)
    )
    return f'<div class="ft-lane-axis" aria-hidden="true">{found}</div>'
