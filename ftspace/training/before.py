"""What of the train job needs no GPU: the rows prepared and tokenized, the base fetched.

Run by a launcher whose GPU is lent, before it asks for one: `python -m ftspace.training.before RUN_DIR PID`, PID being
the process that sees the run through. What it makes lies in the run's folder and the caches, and is found there by the
train job.
"""

import math
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from ftspace.config import RunConfig
from ftspace.events import EndStatus
from ftspace.launchers.lease import LEAVE
from ftspace.runs import Run
from ftspace.settings import resolve_local
from ftspace.training import checkpoints
from ftspace.training.worker import looker
from ftspace.workers import Job, Lease, Stopped, run_job

_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "*.py"]
"""What of a base's repository loading it may read; what is stored otherwise is fetched by who loads it."""
_TWICE = ["consolidated*", "original/*", "*/*"]


def prepare(job: Job) -> EndStatus:
    """Does it, and leaves: the training is for another process. Raises FtspaceError where the run cannot be made."""
    checkpoints.prepared(job, looker(job))
    _fetch(job.run.config)
    job.stop_here()
    from ftspace.training.loading import tokenizer_of
    from ftspace.training.rows import training_rows

    training_rows(job, tokenizer_of(job.run.config)[0])
    job.leave()
    raise Stopped


def _fetch(config: RunConfig) -> None:
    """The base's files, as far as they are to be had: what is wrong with them is told by who loads them."""
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if resolve_local(config.model.id) is None:
        with suppress(HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, HTTPError):
            snapshot_download(
                config.model.id, revision=config.model.revision, allow_patterns=_FILES, ignore_patterns=_TWICE
            )


if __name__ == "__main__":
    _run = Run(Path(sys.argv[1]))
    _lease = Lease(math.inf, int(sys.argv[2]), _run.path / LEAVE)
    sys.exit(run_job(_run, "train", prepare, job_of=partial(Job, lease=_lease), pid=_lease.pid))
