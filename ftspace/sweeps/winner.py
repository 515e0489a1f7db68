"""A search's best cell, compared with its base at last: a run of its own that takes over what was trained.

The trials were asked no question of the test. So that what is read there is no choice's luck, one is asked it: the one
that the validation rows chose.
"""

import shutil
from pathlib import Path

from ftspace.config import RunConfig
from ftspace.errors import ConfigError
from ftspace.labels import TITLE, Label, write_label
from ftspace.runs import Run, RunStore
from ftspace.words import clipped


def compared(store: RunStore, trained: Run, base: RunConfig, name: str, tag: str) -> Run:
    """A run with the adapter, the rows and the curves of `trained`, and the questions of `base`; not yet queued.

    Raises ConfigError where nothing was trained, DiskError.
    """
    if not trained.adapter.is_dir():
        raise ConfigError(f"run {trained.id} has no adapter any more, so it cannot be compared with its base")

    def fill(run: Run) -> None:
        for folder in (trained.adapter, trained.data):
            shutil.copytree(folder, run.path / folder.name, ignore=_no_tokens)
        shutil.copyfile(trained.events, run.events)
        write_label(run, Label(title=clipped(f"best: {name}", TITLE), tags=(tag,)))

    return store.create(trained.config.model_copy(update={"eval": base.eval}), fill=fill)


def _no_tokens(folder: str, names: list[str]) -> list[str]:
    """What is made again where it is needed."""
    return ["tokens"] if Path(folder).name == "data" and "tokens" in names else []
