"""The server's process as whoever started it sees it: its first word, further runs, its end. Knows no torch."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftspace.errors import ModelError
from ftspace.runs import Run
from ftspace.settings import ROOT

LOAD_SECONDS = 600.0
"""How long loading may take before it is given up."""
LOG_NAME = "inference.log"


class Child:
    """A server that is up. It ends with this process, however this one ends."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        """`process` has said that it serves on `port`."""
        self.process = process
        self.port = port

    @classmethod
    def start(
        cls,
        run: Run,
        also: Sequence[Run],
        key: str,
        env: Mapping[str, str],
        arguments: Sequence[str] = (),
        begun: Callable[["Child"], None] | None = None,
    ) -> "Child":
        """Starts a server for the run, which others may be asked beside, and waits until it serves.

        `begun` is told of it before it serves. Raises ModelError in the child's words.
        """
        folders = [str(one.path) for one in (run, *also)]
        with (run.path / LOG_NAME).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ftspace.inference.server", *arguments, *folders],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=env,
                text=True,
                start_new_session=True,  # a Ctrl-C in the terminal is for whoever started this
            )
        child = cls(process, 0)
        patience = threading.Timer(LOAD_SECONDS, process.kill)
        patience.start()
        try:
            if begun is not None:
                begun(child)
            word = child._ask(key)
        except BaseException:
            child.end()
            raise
        finally:
            patience.cancel()
        if "port" not in word:
            child.end()
            said = word.get("error", f"the process ended without a word; see {LOG_NAME} in the run's folder")
            raise ModelError(f"the models cannot be loaded: {said}")
        child.port = word["port"]
        return child

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self.process.poll() is None

    def allow(self, folder: Path) -> None:
        """Lets one more run be asked. Raises ModelError in the child's words."""
        word = self._ask(str(folder))
        if word != {}:
            raise ModelError(word.get("error", "the models were unloaded; ask again"))

    def end(self) -> None:
        """Ends it at once, and gives its memory back."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _ask(self, line: str) -> dict[str, Any]:
        """Its answer to a line; what says so when it has gone."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            return {"gone": True}
        return _word(self.process.stdout)


def _word(lines: Any) -> dict[str, Any]:
    """One JSON line, whatever libraries print before it."""
    for line in lines:
        if line.startswith("{"):
            return json.loads(line)
    return {"gone": True}
