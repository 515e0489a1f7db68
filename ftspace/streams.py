"""What a process prints, with secrets taken out on the way. Knows nothing of who reads it.

A line is held until it is whole, so that no secret slips through in two pieces. Covered is all that goes through
Python's own streams: prints, logging, warnings, tracebacks, rich. What a library's C code prints goes past them;
whoever shows a log redacts what is read, too.
"""

import os
import re
import sys
import threading
from typing import Any, TextIO

from ftspace.redact import redact

HELD = 1 << 16
"""Characters of a line that are held; of a longer one the beginning is let go."""
LONGEST = 1 << 12
"""No secret is longer."""
_END = re.compile(r".*[\r\n]", re.DOTALL)


class Guarded:
    """A text stream that redacts; all but the writing is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    @property
    def buffer(self) -> "_Bytes":
        """Takes bytes, which are redacted as well."""
        return _Bytes(self)

    def write(self, text: str) -> int:
        """Takes text; whole lines go on at once."""
        with self._lock:
            self._held += text
            whole = _END.match(self._held)
            if whole:
                self._held = self._held[whole.end() :]
                self._stream.write(redact(whole.group()))
            if len(self._held) > HELD:
                clean = redact(self._held)
                self._stream.write(clean[:-LONGEST])
                self._held = clean[-LONGEST:]
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Takes several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Lets go what is held, be it half a line."""
        with self._lock:
            held, self._held = self._held, ""
            if held:
                self._stream.write(redact(held))
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _renew(self) -> None:
        """A forked process has a lock that somebody held elsewhere."""
        self._lock = threading.RLock()


class _Bytes:
    """The bytes' side of a guarded stream."""

    def __init__(self, guarded: Guarded) -> None:
        self._guarded = guarded

    def write(self, content: bytes) -> int:
        self._guarded.write(bytes(content).decode(errors="replace"))
        return len(content)

    def flush(self) -> None:
        self._guarded.flush()


def guard() -> None:
    """From now on nothing that Python prints in this process holds a secret that `redact` knows."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Guarded):
            setattr(sys, name, Guarded(stream))
