"""The app as benchmarks/page.py serves it beside ours.

`python -m benchmarks.page_app DATA PORT [--plain] [--times FILE]`.
`--plain` takes away what makes the page quick: quiet.js, so that all widgets are told how each handler gets on; what
leaves out of an opened page's updates what it shows already; and the memory for Gradio's files. With `--times` the
milliseconds of each answer of a handler, until it can be sent, go to FILE by the handler's name, as they come.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from ftspace.settings import ROOT, own_gradio_folder, read_settings
from ftspace.streams import guard
from ftspace.ui import app, lighter, opening, theme
from ftspace.ui.part import Updates


class _Plain(lighter.Lighter):
    """Compresses the page and has files asked for once, but keeps none of them."""

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._kept.clear()
        self._files = self._app
        await super()._file(scope, receive, send)


def main() -> None:
    """Serves the page until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--times", type=Path)
    given = parser.parse_args()
    guard()
    settings = read_settings(given.data, environ={"FTSPACE_PORT": str(given.port), "FTSPACE_WARM": "0"})
    own_gradio_folder()
    if given.plain:
        opening.changes = _all
        theme.SCRIPTS.remove(ROOT / "ftspace/ui/js/quiet.js")
        app.Lighter = _Plain
    page = app.build_app(settings)
    if given.times:
        _time(page.blocks, given.times)
    app.launch(page, settings)


def _all(updates: Updates) -> Updates:
    return updates


def _time(blocks: Any, path: Path) -> None:
    answer = blocks.process_api
    found: defaultdict[str, list[float]] = defaultdict(list)

    async def timed(*, block_fn: Any, **named: Any) -> Any:
        began = time.perf_counter()
        answered = await answer(block_fn=block_fn, **named)
        found[block_fn.fn.__qualname__].append(round(1000 * (time.perf_counter() - began), 1))
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.rename(path)
        return answered

    blocks.process_api = timed


if __name__ == "__main__":
    main()
