"""The loss curve of a run as a PNG, for its card: the same run gives the same bytes. Knows numbers only."""

import io
import math
from collections.abc import Sequence

from ftspace.state import RunState

WIDTH, HEIGHT = 900, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 24, 50, 52
_FINER = 2
"""Drawn so many times larger and made smaller, which smooths the lines."""
_MOST = 400
"""Points that a line is thinned to."""
_INK, _FAINT, _PAPER = (60, 60, 67), (225, 225, 230), (255, 255, 255)
_TRAINING, _VALIDATION = (96, 120, 234), (214, 93, 14)

Point = tuple[float, float]


def loss_curve(state: RunState) -> bytes | None:
    """A PNG of the training loss by step, with the validations as dots; None where there is no loss to draw."""
    training = [(float(one.step), one.loss) for one in state.steps if math.isfinite(one.loss)]
    validation = [(float(one.step), one.loss) for one in state.validations if math.isfinite(one.loss)]
    if len(training) < 2:
        return None
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (WIDTH * _FINER, HEIGHT * _FINER), _PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15 * _FINER)
    last = max(step for step, _ in (*training, *validation))
    ticks = _ticks(0.0, max(loss for _, loss in (*training, *validation)))
    place = _Place(last, ticks[-1])
    for value in ticks:
        _, y = place(0, value)
        draw.line([place(0, value), place(last, value)], _FAINT, _FINER)
        draw.text((_LEFT * _FINER - 10 * _FINER, y), f"{value:g}", _INK, font, "rm")
    for step in _ticks(0.0, last):
        if step <= last:
            x, y = place(step, 0)
            draw.text((x, y + 8 * _FINER), f"{step:g}", _INK, font, "ma")
    draw.text((WIDTH * _FINER // 2, (HEIGHT - 22) * _FINER), "step", _INK, font, "ma")
    draw.line([place(*point) for point in _thinned(training)], _TRAINING, 2 * _FINER, "curve")
    places = [place(*point) for point in validation]
    if len(places) > 1:
        draw.line(places, _VALIDATION, _FINER)
    for x, y in places:
        draw.circle((x, y), 5 * _FINER, _VALIDATION)
    draw.text((_LEFT * _FINER, 16 * _FINER), "loss in training", _TRAINING, font)
    if validation:
        draw.text(((_LEFT + 150) * _FINER, 16 * _FINER), "loss in validation", _VALIDATION, font)
    out = io.BytesIO()
    image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


class _Place:
    """Where a step and a loss lie in the drawing."""

    def __init__(self, last: float, highest: float) -> None:
        self._last, self._highest = last, highest

    def __call__(self, step: float, loss: float) -> Point:
        across = _LEFT + (WIDTH - _LEFT - _RIGHT) * step / self._last
        down = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * loss / self._highest
        return across * _FINER, down * _FINER


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that reach from one to the other and beyond."""
    rough = (high - low) / 5 or 1.0
    power = 10 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    return [round(low + place * step, 10) for place in range(math.ceil((high - low) / step - 1e-9) + 1)]


def _thinned(points: Sequence[Point]) -> list[Point]:
    """The line through means of equally many neighbours."""
    every = -(-len(points) // _MOST)
    parts = [points[place : place + every] for place in range(0, len(points), every)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]
