"""The curves of a run as HTML and SVG, of which live.js reads what the pointer is at. Knows numbers, no runs.

Each line is drawn once a scale, in its own units, and shown through up to four views: linear or logarithmic, with the
first steps or without. Which is seen is a matter of style (live.css), so that a switch asks for nothing and draws
nothing anew.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

from ftspace.report.chart import MOST, Point, room, ticks
from ftspace.ui.live.curves import Curves, Line, Panel, Sign

_SIGNS = {
    "checkpoint": ("◆", "checkpoint", "checkpoints"),
    "best": ("★", "best validation", "best validations"),
    "resumed": ("↻", "gone on from a checkpoint", "gone on from checkpoints"),
    "rollback": ("↩", "gone back after a divergence", "gone back after divergences"),
}
_DOTTED = MOST // 10
_TOLD = 12
"""So many signs of a kind are told in words."""
Scale = Callable[[float], float]


def curves(shown: Curves | None) -> str:
    """All panels, the switches above them, and the way to the numbers; "" without any."""
    if shown is None or not shown.panels:
        return ""
    auto = " ft-auto" if shown.hide else ""
    cut = f' data-cut="{shown.opening}"' if shown.opening else ""
    first, *others = shown.panels
    small = "".join(_panel(panel, shown, 4) for panel in others)
    return (
        f'<div class="ft-charts{auto}{" ft-cuttable" if shown.opening else ""}" data-last="{max(1, shown.last)}" '
        f'data-every="{shown.every}"{cut}>{_switches(shown)}{_panel(first, shown, 5)}'
        f'<div class="ft-small">{small}</div></div>'
    )


def _switches(shown: Curves) -> str:
    hide = ""
    if shown.opening:
        hide = (
            f'<label><input type="checkbox" data-curve="cut"{" checked" if shown.hide else ""}> Hide the first '
            f"{shown.opening:,} steps</label>"
        )
    numbers = ""
    if shown.run_id:
        numbers = f'<a class="ft-link" href="live/{escape(shown.run_id)}?as=csv" download>All numbers (CSV)</a>'
    return (
        f'<div class="ft-switches"><label><input type="checkbox" data-curve="log"> Logarithmic loss</label>{hide}'
        f"{numbers}</div>"
    )


def _panel(panel: Panel, shown: Curves, about: int) -> str:
    signs = shown.signs if panel.log else ()
    scales: list[tuple[str, Scale]] = [("lin", float)]
    if panel.log and any(value > 0 for line in panel.lines for _, value in line.points):
        scales.append(("log", math.log10))
    paths = "".join(
        f'<g id="ft-{panel.key}-{name}">{"".join(_line(line, scale, name) for line in panel.lines)}</g>'
        for name, scale in scales
    )
    starts = [("all", 0), *([("cut", shown.opening)] if shown.opening else [])]
    views = "".join(
        _view(panel, name, scale, which, left, max(1, shown.last), about, signs)
        for name, scale in scales
        for which, left in starts
    )
    kind = f"ft-panel{' ft-logged' if len(scales) > 1 else ''}"
    digits = "" if panel.digits is None else str(panel.digits)
    mean = f'<span class="ft-every">a point is the mean of {shown.every:,} steps</span>' if shown.every > 1 else ""
    return (
        f'<figure class="ft-curve {kind}" data-panel="{panel.key}" data-digits="{digits}">'
        f"<figcaption>{_key(panel)}{_legend(signs)}{mean if panel.log else ''}</figcaption>"
        f'<div class="ft-plot"><div role="img" aria-label="{escape(_words(panel, signs))}">'
        f'<svg class="ft-paths" aria-hidden="true"><defs>{paths}</defs></svg>{views}</div>'
        f'<div class="ft-reader" role="slider" tabindex="0" aria-label="{escape(panel.title)}, step by step" '
        f'aria-valuemin="0" aria-valuemax="{shown.last}" aria-valuenow="{shown.last}" '
        f'aria-valuetext="{escape(_ends(panel))}"></div></div></figure>'
    )


def _view(
    panel: Panel, name: str, scale: Scale, which: str, left: int, right: int, about: int, signs: Sequence[Sign]
) -> str:
    """An axis of steps and one of values, through which the lines of a scale are seen."""
    found = [scale(value) for line in panel.lines for step, value in line.points if step >= left and _fits(value, name)]
    if not found:
        return ""
    low, high = room(min(found), max(found), above_zero=name == "lin")
    width, height = right - left, high - low
    up = _powers(low, high) if name == "log" else [(at, at) for at in ticks(low, high, about=about)]
    grid = "".join(f"M{left} {-at:.6g}h{width}" for at, _ in up)
    labels = "".join(
        f'<span class="ft-y" style="top:{100 * (high - at) / height:.2f}%">{said:g}</span>' for at, said in up
    )
    labels += "".join(
        f'<span class="ft-x" style="left:{100 * (at - left) / width:.2f}%">{at:,g}</span>'
        for at in ticks(left, right, whole=True, about=about)
    )
    labels += "".join(
        f'<span class="ft-sign ft-is-{sign.kind}" style="left:{100 * (sign.step - left) / width:.2f}%">'
        f"{_SIGNS[sign.kind][0]}</span>"
        for sign in signs
        if sign.step >= left
    )
    return (
        f'<div class="ft-view ft-{name} ft-{which}"><svg viewBox="{left} {-high:.6g} {width} {height:.6g}" '
        f'preserveAspectRatio="none"><path class="ft-grid" d="{grid}"/><use href="#ft-{panel.key}-{name}"/></svg>'
        f"{labels}</div>"
    )


def _fits(value: float, name: str) -> bool:
    return name == "lin" or value > 0


def _powers(low: float, high: float) -> list[tuple[float, float]]:
    """Round numbers on a logarithmic axis: where they stand, and what they are."""
    digits = (1, 2, 5) if high - low < 2 else (1,)
    values = [times * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for times in digits]
    found = [(math.log10(value), value) for value in values if low <= math.log10(value) <= high]
    if len(found) > 1:
        return found
    return [(at, round(10**at, 4)) for at in (low + share * (high - low) for share in (0.1, 0.5, 0.9))]


def _line(line: Line, scale: Scale, name: str) -> str:
    """A line with its name, the smooth one behind it, and dots where single points matter."""
    points = [(step, scale(value)) for step, value in line.points if _fits(value, name)]
    if not points:
        return ""
    raw = " ft-raw" if line.smooth else ""
    drawn = f'<path class="ft-line ft-{line.tone}{raw}" data-name="{escape(line.name)}" d="{_path(points)}"/>'
    if line.smooth:
        smooth = [(step, scale(value)) for step, value in line.smooth if _fits(value, name)]
        drawn += f'<path class="ft-line ft-{line.tone} ft-smooth" d="{_path(smooth)}"/>'
    if (line.tone == "validation" or len(points) == 1) and len(points) <= _DOTTED:
        drawn += f'<path class="ft-dots ft-{line.tone}" d="{"".join(f"M{step} {-y:.5g}h0" for step, y in points)}"/>'
    return drawn


def _path(points: Sequence[Point]) -> str:
    return "M" + "L".join([f"{step} {-value:.5g}" for step, value in points])


def _key(panel: Panel) -> str:
    if len(panel.lines) == 1 and not panel.log:
        return f"<span>{escape(panel.title)} <b>{_said(panel, panel.lines[0].points[-1][1])}</b></span>"
    keys = "".join(
        f'<span class="ft-key ft-{line.tone}">{escape(line.tone)} <b>{_said(panel, line.points[-1][1])}</b></span>'
        for line in panel.lines
    )
    return f"<span>{escape(panel.title)}</span>{keys}"


def _legend(signs: Sequence[Sign]) -> str:
    kinds = dict.fromkeys(sign.kind for sign in signs)
    return "".join(f'<span class="ft-legend-sign">{_SIGNS[kind][0]} {_SIGNS[kind][1]}</span>' for kind in kinds)


def _words(panel: Panel, signs: Sequence[Sign]) -> str:
    """The panel for those who cannot see it."""
    said: list[str] = []
    for line in panel.lines:
        ends = dict.fromkeys((line.points[0], line.points[-1]))
        told = " to ".join(f"{_said(panel, value)} at step {step:,}" for step, value in ends)
        said.append(f"{line.name}{' loss' if panel.log else ''} {told}")
    for kind in dict.fromkeys(sign.kind for sign in signs):
        steps = [f"{sign.step:,}" for sign in signs if sign.kind == kind]
        named = _SIGNS[kind][1 if len(steps) == 1 else 2]
        said.append(f"{named} at step {', '.join(steps[-_TOLD:])}")
    return f"{panel.title}: {'; '.join(said)}"


def _ends(panel: Panel) -> str:
    return "; ".join(
        f"{line.name} {_said(panel, line.points[-1][1])} at step {line.points[-1][0]:,}" for line in panel.lines
    )


def _said(panel: Panel, value: float) -> str:
    return f"{value:.3g}" if panel.digits is None else f"{value:,.{panel.digits}f}"
