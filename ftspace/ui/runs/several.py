"""Several runs compared, at `?compare=RUN,RUN`: read-only, the same for all who may see the runs.

`&metric=NAME` scores by another metric, `&x=tokens` draws losses by tokens seen. Runs that the visitor may not see are
left out, and it is said how many those are.
"""

from collections.abc import Generator
from typing import Any

import gradio as gr

from evals.errors import LogError
from ftspace.access import Visitor
from ftspace.errors import FtspaceError
from ftspace.runs import Run
from ftspace.several import MOST, compare_runs
from ftspace.ui.desk import Desk
from ftspace.ui.part import Updates
from ftspace.ui.runs import several_markup

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

_ASKED = "() => new URLSearchParams(location.search).get('compare') ?? ''"
"""In the browser, so that a page which compares nothing does not ask for it."""


class SeveralRuns:
    """The comparison that a page's address asks for."""

    def __init__(self, desk: Desk, page: gr.Blocks) -> None:
        """Builds it where the page stands now."""
        self._desk = desk
        self._html = gr.HTML(elem_id="several")
        self._asked = gr.Textbox(elem_classes="ft-hidden")
        self.outputs: list[Any] = []
        page.load(None, None, self._asked, js=_ASKED, **_PRIVATE)
        self._asked.change(self._open, None, self._html, **_PRIVATE)

    def show(self, run: Run | None, visitor: Visitor) -> Updates:
        """Nothing: its own address is all it goes by."""
        return {}

    def news(self, run: Run, visitor: Visitor) -> Updates:
        """Nothing: it stands as it was when it was opened."""
        return {}

    def _open(self, request: gr.Request) -> Generator[Any]:
        asked = request.query_params
        names = list(dict.fromkeys(one for one in str(asked.get("compare") or "").split(",") if one))
        if not names or asked.get("run"):
            yield gr.skip()
            return
        yield several_markup.reading()
        visitor = self._desk.visitor(request)
        found = [run for name in names[: 2 * MOST] if (run := self._desk.find(name, visitor))]
        hidden = len(names) - len(found)
        try:
            compared = compare_runs(found, str(asked.get("metric") or ""), by_tokens=asked.get("x") == "tokens")
        except (FtspaceError, LogError) as error:
            yield several_markup.refused(str(error), hidden)
            return
        yield several_markup.several(compared, hidden)
