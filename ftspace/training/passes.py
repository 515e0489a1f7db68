"""What the steps of a run are like, drawn from the lengths of some rows: passes, tokens, squares. Pure arithmetic."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = 24
"""Steps that are drawn."""


@dataclass(frozen=True)
class Tokens:
    """What the rows look like once they are tokens, after the cut."""

    rows: int
    """Training rows."""
    mean: float
    square: float
    """Mean of their squared lengths: what attention costs."""
    longest: int
    supervised: float
    """Share of all tokens that is trained."""
    parts: float
    """Passes of a step."""
    groups: float
    """Different lengths in all passes of a step."""
    peak: int
    """Most tokens of one pass."""
    peak_squares: int
    """Sum of the squared lengths of its documents, of those for which attention keeps its weights."""
    peak_supervised: int
    """Most trained tokens of one pass."""


def profile(
    lengths: Sequence[tuple[int, int]], rows: int, batch: int, most: int, *, whole: int = 0, kept: int = 0
) -> Tokens:
    """What steps of `batch` rows are like, drawn from a sample of (tokens, trained tokens) of some rows.

    A conversation longer than a pass is a pass by itself, and each has its turn: the longest counts even if not drawn.

    Args:
        lengths: of the sampled rows, after the cut.
        rows: how many training rows there are in all.
        batch: conversations of a step.
        most: tokens of a pass.
        whole: pad rows to this length instead (0: lay them behind one another).
        kept: length up to which attention keeps its weights.
    """
    chance = random.Random(0)
    parts = groups = 0
    peak = max(whole or length for length, _ in lengths)
    peak_supervised = max(supervised for _, supervised in lengths)
    peak_squares = max((length * length for length, _ in lengths if length <= kept), default=0)
    for _ in range(STEPS):
        drawn = sorted(chance.choices(lengths, k=batch))
        size = trained = squares = 0
        parts += 1
        for place, (length, supervised) in enumerate(drawn):
            if size and size + (whole or length) > most:
                parts, size, trained, squares = parts + 1, 0, 0, 0
                groups += 1
            elif not place or length != drawn[place - 1][0]:
                groups += 1
            size, trained = size + (whole or length), trained + supervised
            squares += length * length if length <= kept else 0
            peak_squares = max(peak_squares, squares)
            peak, peak_supervised = max(peak, size), max(peak_supervised, trained)
    count = len(lengths)
    total = sum(length for length, _ in lengths)
    return Tokens(
        rows=rows,
        mean=total / count,
        square=sum(length * length for length, _ in lengths) / count,
        longest=max(length for length, _ in lengths),
        supervised=sum(supervised for _, supervised in lengths) / max(total, 1),
        parts=parts / STEPS,
        groups=groups / STEPS,
        peak=peak,
        peak_squares=peak_squares,
        peak_supervised=peak_supervised,
    )
