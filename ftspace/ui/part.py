"""What a part of the page is to the page: widgets, and what they show for the run that is open."""

from typing import Any, Protocol

from ftspace.access import Visitor
from ftspace.runs import Run

Updates = dict[Any, Any]
"""New values or settings, by widget."""


class Part(Protocol):
    """One part of the page. What it does by itself it wires by itself, with handlers that check who calls."""

    outputs: list[Any]
    """Its widgets that `show` and `news` update."""

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """What stands there when a page is opened, or when a run was started on it."""
        ...

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """What is to be set anew, now that the open run's status changed, or its adapter or its results are there."""
        ...
