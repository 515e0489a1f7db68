"""Differences with their intervals, one under the other on one axis: a forest plot. Texts are made safe here.

In a table that holds the same, `lanes.py` draws each row's. The words of each line say what its drawing does.
"""

from collections.abc import Sequence

from ftspace.report.lanes import Axis, axis, lane, marks
from ftspace.report.results_markup import safe
from ftspace.report.results_view import ResultLine, Section


def forest(sections: Sequence[Section]) -> str:
    """The leading rows of all sections; "" where none has an interval in points."""
    drawn = [(one, [line for line in one.lines if line.span is not None]) for one in sections]
    drawn = [(one, lines) for one, lines in drawn if lines]
    on = axis(line.span for _, lines in drawn for line in lines)
    if on is None:
        return ""
    parts = "".join(
        f'<h3>{safe(one.title)}</h3><ul class="ft-lanes">{"".join(_line(line, on) for line in lines)}</ul>'
        for one, lines in drawn
    )
    return (
        f'<figure class="ft-plotted">{parts}{marks(on)}'
        "<figcaption>Difference in points of 100, as a dot, with its 95 % interval. What reaches over the line at 0 "
        "may be chance.</figcaption></figure>"
    )


def _line(line: ResultLine, on: Axis) -> str:
    return (
        f'<li class="ft-{line.tone}"><span class="ft-lane-name">{safe(line.task)} '
        f"<small>{safe(line.metric)}</small></span>"
        f'{lane(line.span, on) if line.span else ""}<span class="ft-lane-said"><b>{safe(line.delta)}</b> '
        f"<small>{safe(line.interval)}, {safe(line.verdict)}</small></span></li>"
    )
