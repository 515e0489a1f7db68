"""Lays a run's folder on the machine that a scheduler gave: config and prepared rows, so that torchrun finds a run.

`python -m ftspace.schedulers.lay CONFIG.yaml RUN_ID` prints the folder's path. Called again, on another machine that
shares the disk or after a restart, it prints the same one, and the training goes on from its newest checkpoint.
`python -m ftspace.schedulers.lay --todo FOLDER` prints the jobs that are not finished, `train evaluate` at first.
"""

import shutil
import sys
from pathlib import Path

from ftspace.config import RunConfig, load_config
from ftspace.data.prepare import prepare, read_manifest
from ftspace.errors import ConfigError, FtspaceError
from ftspace.events import JobName
from ftspace.runs import Run, RunReader, RunStore, is_run_id
from ftspace.settings import read_settings


def lay(config: RunConfig, run_id: str, runs_dir: Path) -> Run:
    """The run of this id, made where it is not there yet, its rows prepared. Raises FtspaceError."""
    if not is_run_id(run_id):
        raise ConfigError(f"{run_id} is no run's id")
    place = runs_dir / run_id
    if not place.is_dir():
        made = RunStore(runs_dir).create(config)
        try:
            made.path.rename(place)
        except OSError:  # another machine was faster
            shutil.rmtree(made.path, ignore_errors=True)
    run = Run(place)
    if run.config != config:
        raise ConfigError(f"{place} is the folder of another config; export the run again, which gives it a new id")
    if read_manifest(run.data) is None:
        prepare(config.data, run.data)
    return run


def todo(run: Run) -> list[JobName]:
    """The jobs of a run that are still to be done."""
    reader = RunReader(run)
    reader.refresh()
    return reader.state.unfinished(run.jobs)


def main(words: list[str]) -> int:
    """Prints the folder, or what is to be done in it."""
    try:
        if words[0] == "--todo":
            said = " ".join(todo(Run(Path(words[1]))))
        else:
            said = str(lay(load_config(words[0]), words[1], read_settings().runs_dir).path)
    except FtspaceError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
