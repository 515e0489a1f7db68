"""A run in a folder that goes again, for commands that measure: its process starts at once, beside the queue.

It holds a slot as a run does, so that neither disturbs the other's figures. Whatever happens, the process is gone at
the end.
"""

import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ftspace.config import RunConfig
from ftspace.launchers.local import end_group, launch
from ftspace.runs import RunReader, RunStore, take_lock
from ftspace.settings import worker_env
from ftspace.slots import hold_slot

GRACE_SECONDS = 20.0
"""How long the process may take to end before it is killed."""


@contextmanager
def scratch_run(
    folder: Path, config: RunConfig, module: str, runs_dir: Path, waiting: Callable[[], object]
) -> Generator[RunReader]:
    """A run in `folder` with the one job `module`, at work; `waiting` is called when the machine is taken first."""
    with hold_slot(runs_dir, waiting) as (slot, held):
        run = RunStore(folder / "runs").create(config)
        lock = take_lock(run.lock)
        assert lock is not None, "the run is new"
        try:
            env = slot.fitted(worker_env(offline=config.hub.offline))
            process = launch(run.path, module, locks=[lock, held], env=env)
        finally:
            os.close(lock)
        try:
            yield RunReader(run)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        finally:
            end_group(process)
