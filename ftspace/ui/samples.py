"""The table of single questions with both answers. Knows pandas, but no gradio and no files."""

from collections.abc import Sequence

import pandas as pd

from ftspace.report.pairs import Change, Pair

SHOWN = 300
"""So many samples are listed at once."""
_CELL = 160


def tally(found: Sequence[Pair]) -> list[tuple[str, str]]:
    """The filters that make sense, each as (label with its count, value); all samples first."""
    kinds: list[Change] = ["wrong to right", "right to wrong", "both wrong", "both right", "unscored"]
    counts = {kind: sum(pair.change == kind for pair in found) for kind in kinds}
    always = kinds[:2]
    shown = [kind for kind in kinds if counts[kind] or kind in always]
    return [(f"All ({len(found)})", "all"), *((f"{kind.capitalize()} ({counts[kind]})", kind) for kind in shown)]


def columns(first: str, second: str) -> list[str]:
    """The heads of the table: those of the answers say who gave them."""
    return ["#", "question", "expected", first, second if second != first else f"{second} too", "change"]


def frame(found: Sequence[Pair], heads: tuple[str, str], only: str = "all") -> pd.DataFrame:
    """The samples of one filter as a table of texts."""
    kept = [pair for pair in found if only in ("all", pair.change)][:SHOWN]
    rows = [
        (pair.id, _cell(pair.question), _cell(pair.expected), _cell(pair.first), _cell(pair.second), pair.change)
        for pair in kept
    ]
    return pd.DataFrame(rows, columns=columns(*heads), dtype=str)


def _cell(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _CELL else flat[: _CELL - 1] + "…"
