"""Curves of several runs on the same axes, as SVG. Knows numbers and names only; texts are made safe here.

As the curves of one run it is drawn in units of what it shows and stretched to the page's width. Lines differ in their
dashes, too, so that they can be told apart without colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ftspace.report.chart import Point, ticks
from ftspace.report.results_markup import safe


@dataclass(frozen=True)
class Drawn:
    """One line: its place among the runs, from 0, which gives it its colour; its name; and its points."""

    place: int
    name: str
    points: Sequence[Point]


def overlay(lines: Sequence[Drawn], across: str, title: str) -> str:
    """The lines with axes and a key, and words for those who cannot see them; "" without a point."""
    lines = [one for one in lines if one.points]
    if not lines:
        return ""
    steps = [step for one in lines for step, _ in one.points]
    losses = [loss for one in lines for _, loss in one.points]
    right, low, high = max(1, *steps), min(losses), max(losses)
    air = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = max(0.0, low - air) if low >= 0 else low - air, high + air
    height = high - low
    up, along = ticks(low, high), ticks(0, right, whole=True)
    grid = "".join(f"M0 {-at:.6g}h{right}" for at in up)
    marks = "".join(f'<span class="ft-y" style="top:{100 * (high - at) / height:.2f}%">{at:g}</span>' for at in up)
    marks += "".join(f'<span class="ft-x" style="left:{100 * at / right:.2f}%">{at:,g}</span>' for at in along)
    key = "".join(
        f'<span class="ft-key ft-run-{one.place}">{_swatch(one.place)}{safe(one.name)} '
        f"<b>{one.points[-1][1]:.3f}</b></span>"
        for one in lines
    )
    said = "; ".join(
        f"{one.name} {one.points[0][1]:.3f} at {one.points[0][0]:,} to {one.points[-1][1]:.3f} at {one.points[-1][0]:,}"
        for one in lines
    )
    return (
        f'<figure class="ft-overlay" role="img" aria-label="{safe(f"{title} by {across}: {said}")}">'
        f'<figcaption aria-hidden="true"><strong>{safe(title)}</strong>{key}</figcaption>'
        f'<div class="ft-overlaid" aria-hidden="true">'
        f'<svg viewBox="0 {-high:.6g} {right} {height:.6g}" preserveAspectRatio="none">'
        f'<path class="ft-grid" d="{grid}"/>{"".join(map(_line, lines))}</svg>{marks}'
        f'<span class="ft-unit-x">{safe(across)}</span></div></figure>'
    )


def _line(one: Drawn) -> str:
    if len(one.points) == 1:
        step, loss = one.points[0]
        return f'<path class="ft-track ft-dot-only ft-run-{one.place}" d="M{step} {-loss:.5g}h0"/>'
    path = "M" + "L".join(f"{step} {-loss:.5g}" for step, loss in one.points)
    return f'<path class="ft-track ft-run-{one.place}" d="{path}"/>'


def _swatch(place: int) -> str:
    return f'<svg class="ft-swatch" viewBox="0 0 26 4"><path class="ft-track ft-run-{place}" d="M0 2h26"/></svg>'
