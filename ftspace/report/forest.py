"""Differences with their intervals, one under the other on one axis: a forest plot. Texts are made safe here.

As the loss curves it is drawn in units of what it shows and stretched to the page's width; labels are HTML beside it.
The words of each line say the same, so that nothing is lost to who cannot see it.
"""

from collections.abc import Sequence

from ftspace.report.chart import ticks
from ftspace.report.results_markup import safe
from ftspace.report.results_view import ResultLine, Section


def forest(sections: Sequence[Section]) -> str:
    """The leading rows of all sections; "" where none has an interval in points."""
    drawn = [(one, [line for line in one.lines if line.span is not None]) for one in sections]
    drawn = [(one, lines) for one, lines in drawn if lines]
    ends = [end for _, lines in drawn for line in lines for end in line.span or ()]
    if not ends:
        return ""
    low, high = min(0.0, *ends), max(0.0, *ends)
    low, high = (-1.0, 1.0) if low == high else (low - 0.04 * (high - low), high + 0.04 * (high - low))
    parts = "".join(
        f'<h3>{safe(one.title)}</h3><ul class="ft-lanes">{"".join(_lane(line, low, high) for line in lines)}</ul>'
        for one, lines in drawn
    )
    marks = "".join(
        f'<span style="left:{100 * (at - low) / (high - low):.2f}%">{100 * at:+g}</span>'.replace(">+0<", ">0<")
        for at in ticks(low, high)
    )
    return (
        f'<figure class="ft-plotted">{parts}<div class="ft-lane-axis" aria-hidden="true">{marks}</div>'
        "<figcaption>Difference in points of 100, as a dot, with its 95 % interval. What reaches over the line at 0 "
        "may be chance.</figcaption></figure>"
    )


def _lane(line: ResultLine, low: float, high: float) -> str:
    left, mid, right = line.span or (0.0, 0.0, 0.0)
    width = high - low
    return (
        f'<li class="ft-{line.tone}"><span class="ft-lane-name">{safe(line.task)} '
        f"<small>{safe(line.metric)}</small></span>"
        f'<svg viewBox="{low:.5g} 0 {width:.5g} 2" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="ft-zero" d="M0 0v2"/><path class="ft-ci" d="M{left:.5g} 1H{right:.5g}"/>'
        f'<path class="ft-mid" d="M{mid:.5g} 1h0"/></svg><span class="ft-lane-said"><b>{safe(line.delta)}</b> '
        f"<small>{safe(line.interval)}, {safe(line.verdict)}</small></span></li>"
    )
