"""What all runs of a sweep have in common is prepared once: rows of one dataset, split in one way, as one set of files.

The files lie beside the sweep's and are linked into the runs' folders, so that they take the room of one. Knows no
process and no screen.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from evals.cache import digest
from ftspace.data.prepare import prepare, read_manifest
from ftspace.data.split import SPLITS, Split
from ftspace.runs import Run
from ftspace.sections import DataConfig


class SharedRows:
    """The prepared rows of a sweep, by what is asked of the data."""

    def __init__(self, folder: Path, say: Callable[[str], object]) -> None:
        """`folder` is made when something is prepared; `say` is told of that."""
        self._folder, self._say = folder, say

    def lay(self, run: Run) -> dict[Split, int]:
        """Puts the rows of a run that is being made into its folder, and says how many each split has.

        Raises DatasetError, HubError, OSError.
        """
        source = self._prepared(run.config.data)
        run.data.mkdir()
        for path in sorted(source.iterdir(), key=lambda one: one.name == "manifest.json"):  # that one last
            if path.is_file():
                _link(path, run.data / path.name)
        manifest = read_manifest(source)
        return manifest.rows if manifest else dict.fromkeys(SPLITS, 0)

    def forget(self) -> None:
        """Removes them; the runs keep theirs."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _prepared(self, config: DataConfig) -> Path:
        place = self._folder / digest(config.model_dump(mode="json"))
        if read_manifest(place) is None:
            self._say(f"preparing the rows of {config.id}" + _share(config) + " …")
            prepare(config, place)
        return place


def _share(config: DataConfig) -> str:
    return "" if config.fraction == 1 else f", {100 * config.fraction:g} % of those for training"


def _link(source: Path, place: Path) -> None:
    """The same file under another name; a copy where the disk has no such thing."""
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
