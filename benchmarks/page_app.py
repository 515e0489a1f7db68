"""The app as benchmarks/page.py serves it beside ours: `python -m benchmarks.page_app DATA PORT [--plain]`.

`--plain` takes away what makes the page quick: quiet.js, so that all widgets are told how each handler gets on; what
leaves out of an opened page's updates what it shows already; and the memory for Gradio's files. With GRADIO_PROFILING=1
the milliseconds of every handler go to DATA/handlers.json, by its name, as they come.
"""

import argparse
import json
import re
import threading
import time
from collections import defaultdict
from pathlib import Path

from gradio import profiling
from starlette.types import Receive, Scope, Send

from ftspace.settings import ROOT, own_gradio_folder, read_settings
from ftspace.streams import guard
from ftspace.ui import app, lighter, opening, theme
from ftspace.ui.part import Updates

_EVERY = 0.5
_NAMED = re.compile(r"(?:method|function) (\S+)")


class _Plain(lighter.Lighter):
    """Compresses the page and has files asked for once, but makes each of them anew."""

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._kept.clear()
        await super()._file(scope, receive, send)


def main() -> None:
    """Serves the page until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    guard()
    settings = read_settings(given.data, environ={"FTSPACE_PORT": str(given.port), "FTSPACE_WARM": "0"})
    own_gradio_folder()
    if given.plain:
        opening.changes = _all
        theme.SCRIPTS.remove(ROOT / "ftspace/ui/js/quiet.js")
        app.Lighter = _Plain
    page = app.build_app(settings)
    if profiling.PROFILING_ENABLED:
        threading.Thread(target=_tell, args=(given.data / "handlers.json",), daemon=True).start()
    app.launch(page, settings)


def _all(updates: Updates) -> Updates:
    return updates


def _tell(path: Path) -> None:
    while True:
        found: defaultdict[str, list[float]] = defaultdict(list)
        for one in profiling.collector.get_all():
            named = _NAMED.search(one["fn_name"])
            taken = sum(one[f"{part}_ms"] for part in ("preprocess", "fn_call", "postprocess"))
            found[named[1] if named else one["fn_name"]].append(round(taken, 1))
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.rename(path)
        time.sleep(_EVERY)


if __name__ == "__main__":
    main()
