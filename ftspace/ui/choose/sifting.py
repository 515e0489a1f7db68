"""Paging through rows that are being decided about: which of them a filter shows, and how far one is. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftspace.data.review import Decision
from ftspace.words import Tone

FILTERS = {"all": "All", "undecided": "Undecided", "dropped": "Dropped", "noted": "With a note"}


@dataclass(frozen=True)
class Sifting:
    """Rows by the ids of their conversations, and what was decided about them."""

    ids: Sequence[str]
    decisions: Mapping[str, Decision]

    def decision(self, row: int) -> Decision | None:
        """What was decided about a row; rows count from 1."""
        return self.decisions.get(self.ids[row - 1])

    def within(self, row: object) -> int:
        """The row that a page asked for, or the nearest that there is."""
        number = int(row) if isinstance(row, int | float) and abs(row) < 1e9 else 1
        return min(max(1, number), len(self.ids))

    def shows(self, only: str, row: int) -> bool:
        """Whether a filter shows a row."""
        decision = self.decision(row)
        match only:
            case "undecided":
                return decision is None
            case "dropped":
                return decision is not None and not decision.keep
            case "noted":
                return decision is not None and bool(decision.note)
            case _:
                return True

    def onward(self, row: int, only: str, by: int) -> int | None:
        """The next row of a filter after `row`, or before it where `by` is -1; None when there is none."""
        rows = range(row + 1, len(self.ids) + 1) if by > 0 else range(row - 1, 0, -1)
        return next((one for one in rows if self.shows(only, one)), None)

    def nearest(self, row: int, only: str) -> int | None:
        """The row itself if the filter shows it, else the next one, else the one before."""
        return row if self.shows(only, row) else self.onward(row, only, 1) or self.onward(row, only, -1)

    def state(self, row: int) -> tuple[str, Tone]:
        """What was decided about a row, in a word."""
        decision = self.decision(row)
        return ("undecided", "idle") if decision is None else ("kept", "good") if decision.keep else ("dropped", "bad")

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows looked at, all rows, and rows dropped."""
        found = [self.decisions[one] for one in self.ids if one in self.decisions]
        return len(found), len(self.ids), sum(not one.keep for one in found)

    @property
    def elsewhere(self) -> int:
        """Decisions about rows that are not among these."""
        return len(set(self.decisions) - set(self.ids))
