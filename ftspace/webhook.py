"""Tells an address how a run ended: one JSON document by POST. Knows no queue; it never raises."""

import http.client
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from ftspace import __version__
from ftspace.errors import FtspaceError
from ftspace.events import read_events
from ftspace.redact import redact
from ftspace.runs import Run
from ftspace.settings import read_settings
from ftspace.state import RunState, fold

SECONDS = 10.0
"""How long the address may take to answer."""

log = logging.getLogger(__name__)


def document(run: Run, state: RunState) -> dict[str, str]:
    """What is told: how the run ended, in the words of its last event."""
    end = state.end(run.jobs)
    said = {
        "run_id": run.id,
        "status": end.status if end else "interrupted",
        "reason": end.reason if end else "",
        "message": end.message if end else "",
        "verdict": state.verdict or "",
        "owner": run.access.owner,
    }
    return {name: redact(text) for name, text in said.items()}


def report(run: Run, env: Mapping[str, str]) -> None:
    """Tells the address that an environment names, if it names one, how a run ended."""
    try:
        address = read_settings(environ=env).webhook
        said = document(run, fold(read_events(run.events)[0]))
    except (FtspaceError, OSError):
        log.exception("nobody can be told how run %s ended", run.id)
        return
    if address:
        tell(address, run, said)


def tell(address: str, run: Run, said: dict[str, str]) -> None:
    """Sends a document; when that fails a line in the run's worker.log says so. The address may be a secret itself."""
    headers = {"Content-Type": "application/json", "User-Agent": f"ftspace/{__version__}"}
    request = urllib.request.Request(address, json.dumps(said).encode(), headers, method="POST")
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=SECONDS):
            return
    except urllib.error.HTTPError as error:
        trouble = f"it answered with status {error.code}"
        error.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        trouble = type(error).__name__
    try:
        with run.log.open("a", encoding="utf-8") as log:
            log.write(f"ftspace: FTSPACE_WEBHOOK could not be told how the run ended: {trouble}\n")
    except OSError:
        return


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: another address was not named."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None
