"""A task's scores by category: what of a difference is in which kind of question. Pure."""

import math
from dataclasses import replace

import numpy as np

from evals.metrics import metric
from evals.pairs import Pairs
from evals.results import Row
from evals.rows import tabulate
from ftspace.report.drill import Drill
from ftspace.report.results_view import ResultLine, line_of

NONE = "without a category"


def breakdown(drill: Drill) -> list[ResultLine]:
    """A line for each category, in the order of their names; empty where no question has one.

    p values are adjusted for all of them, so that the more categories there are the more each has to show.
    """
    return [replace(line_of(row, None), task=row.task) for row in _rows(drill)]


def _rows(drill: Drill) -> tuple[Row, ...]:
    if not drill.categories:
        return ()
    parts: list[Pairs] = []
    for name in (*drill.categories, ""):
        asked = [pair for pair in drill.pairs if pair.category == name]
        scored = [pair for pair in asked if math.isfinite(pair.first_score + pair.second_score)]
        groups = tuple(pair.given[0].group for pair in scored)
        if asked:
            parts.append(
                Pairs(
                    task=name or NONE,
                    metric=metric(drill.metric),
                    first=np.array([pair.first_score for pair in scored], dtype=float),
                    second=np.array([pair.second_score for pair in scored], dtype=float),
                    groups=groups if any(groups) else (),
                    unscored=len(asked) - len(scored),
                    side=drill.sides[1],
                    against=drill.sides[0],
                )
            )
    return tabulate(parts)
