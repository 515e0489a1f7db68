"""What a base without an adapter answered, kept for other evaluations that ask it the same in the same way.

One file a log, named by a hash of all that the answers depend on, so that runs on one base ask it once. The folder is a
cache: it may be deleted at any time. Knows logs and files, no model.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from evals.cache import digest
from evals.errors import LogError
from evals.log import EvalLog, EvalSpec, read_log, write_log

VERSION = 1
"""Of how questions are put and answers read: raised when either changes, so that older logs are not taken."""


@dataclass(frozen=True)
class SharedLogs:
    """A folder of such logs."""

    folder: Path

    def take(self, spec: EvalSpec, side: str, asked_with: str | None, context: int | None) -> EvalLog | None:
        """Return the log that answers just this, or None.

        Args:
            spec: what is asked, and of which base; without a revision of it nothing is shared.
            side: base, or the base asked in another way.
            asked_with: a hash of what stands before every question.
            context: the longest prompt in tokens: longer ones are not asked, and trained prompts take some of it.
        """
        path = self._path(spec, side, asked_with, context)
        if path is None or not path.exists():
            return None
        try:
            log = read_log(path)
        except LogError:
            return None
        with suppress(OSError):
            os.utime(path)  # it was of use now
        return log if (log.spec, log.asked_with, log.adapter_hash) == (spec, asked_with, None) else None

    def keep(self, log: EvalLog, context: int | None) -> None:
        """Keep a log for others. A disk that refuses costs nothing but the sharing."""
        path = self._path(log.spec, log.which, log.asked_with, context)
        if path is not None:
            with suppress(LogError):
                write_log(path, log)

    def _path(self, spec: EvalSpec, side: str, asked_with: str | None, context: int | None) -> Path | None:
        if spec.base_revision is None:
            return None
        return self.folder / f"{digest(VERSION, spec.model_dump(mode='json'), side, asked_with, context)}.json"
