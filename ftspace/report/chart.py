"""The loss curves of a run: thinned as they grow, and drawn as SVG. Knows numbers only, neither gradio nor runs.

The drawing is in units of the curve itself, x in steps and y in loss downwards, and the page stretches it to its width:
lines and dots keep their size (`vector-effect`), and what the pointer is at can be read from the drawing. Labels are
HTML at percentages beside it, so they keep theirs as well.
"""

import math
from collections.abc import Sequence
from typing import Protocol

MOST = 400
"""A thinned curve has at most so many points."""

Point = tuple[int, float]
"""Step and loss."""


class Told(Protocol):
    """An event that tells the loss at a step."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def loss(self) -> float:
        """The loss there."""
        ...


class Curve:
    """A curve of any length as at most MOST points, each the mean over equally many; what is new costs what is new."""

    every: int
    """So many of what is told make a point."""
    _last: Told | None

    def __init__(self) -> None:
        """Without a point."""
        self._points: list[Point] = []
        self._open: list[float] = []
        self._begin()

    def _begin(self) -> None:
        self._points.clear()
        self._open.clear()
        self.every, self._seen, self._last = 1, 0, None

    def follow(self, told: Sequence[Told]) -> list[Point]:
        """The curve through all of it, given that it is what it was the last time and more; else begun anew."""
        if self._seen > len(told) or (self._seen and told[self._seen - 1] is not self._last):
            self._begin()
        for place in range(self._seen, len(told)):
            if math.isfinite(told[place].loss):
                self._take(told[place])
        self._seen, self._last = len(told), told[-1] if told else None
        if not self._open or self._last is None:
            return list(self._points)
        return [*self._points, (self._last.step, sum(self._open) / len(self._open))]

    def _take(self, one: Told) -> None:
        self._open.append(one.loss)
        if len(self._open) < self.every:
            return
        self._points.append((one.step, sum(self._open) / len(self._open)))
        self._open.clear()
        if len(self._points) == MOST:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [(step, (first + second) / 2) for (_, first), (step, second) in pairs]
            self.every *= 2


def draw(training: Sequence[Point], validation: Sequence[Point], every: int = 1) -> str:
    """Both curves with axes, a key, and words for those who cannot see them; "" without a point."""
    if not training and not validation:
        return ""
    steps = [step for step, _ in (*training, *validation)]
    losses = [loss for _, loss in (*training, *validation)]
    left, right = min(0, *steps), max(1, *steps)
    low, high = room(min(losses), max(losses))
    across, up = ticks(left, right, whole=True), ticks(low, high)
    width, height = right - left, high - low
    lines = "".join(f"M{left} {-at:.6g}h{width}" for at in up)
    names = "".join(f'<span class="ft-y" style="top:{100 * (high - at) / height:.2f}%">{at:g}</span>' for at in up)
    names += "".join(
        f'<span class="ft-x" style="left:{100 * (at - left) / width:.2f}%">{at:,g}</span>' for at in across
    )
    key = _key("training", training) + _key("validation", validation)
    mean = f'<span class="ft-every">a point is the mean of {every:,} steps</span>' if every > 1 else ""
    return (
        f'<figure class="ft-curve" role="img" aria-label="{_words(training, validation)}">'
        f'<figcaption aria-hidden="true">{key}{mean}</figcaption><div class="ft-plot" aria-hidden="true">'
        f'<svg viewBox="{left} {-high:.6g} {width} {height:.6g}" preserveAspectRatio="none">'
        f'<path class="ft-grid" d="{lines}"/>{_line("training", training)}{_line("validation", validation)}</svg>'
        f'{names}<span class="ft-unit-x">step</span><span class="ft-unit-y">loss</span></div></figure>'
    )


def _line(name: str, curve: Sequence[Point]) -> str:
    """A curve; with dots where single points matter."""
    if not curve:
        return ""
    path = "M" + "L".join(f"{step} {-loss:.5g}" for step, loss in curve)
    drawn = f'<path class="ft-line ft-{name}" data-name="{name}" d="{path}"/>'
    if name == "training" and len(curve) > 1:
        return drawn
    dots = "".join(f"M{step} {-loss:.5g}h0" for step, loss in curve) if len(curve) <= MOST // 10 else ""
    return f'{drawn}<path class="ft-dots ft-{name}" d="{dots}"/>' if dots else drawn


def _key(name: str, curve: Sequence[Point]) -> str:
    return f'<span class="ft-key ft-{name}">{name} <b>{curve[-1][1]:.3f}</b></span>' if curve else ""


def _words(training: Sequence[Point], validation: Sequence[Point]) -> str:
    said: list[str] = []
    for name, curve in (("training", training), ("validation", validation)):
        if curve:
            ends = [f"{loss:.3f} at step {step:,}" for step, loss in dict.fromkeys((curve[0], curve[-1]))]
            said.append(f"{name} loss {' to '.join(ends)}")
    return "Loss curves: " + "; ".join(said)


def room(low: float, high: float, *, above_zero: bool = True) -> tuple[float, float]:
    """The range of an axis: the data's with some air, never without height; `above_zero` where the data are."""
    air = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return (max(0.0, low - air) if low >= 0 and above_zero else low - air), high + air


def ticks(low: float, high: float, *, whole: bool = False, about: int = 5) -> list[float]:
    """About so many round numbers from low to high: three to six for five."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    gap = next(size * times for times in (1, 2, 5, 10) if size * times >= rough)
    gap = max(1.0, gap) if whole else gap
    return [round(at * gap, 10) for at in range(math.ceil(low / gap), math.floor(high / gap) + 1)]
