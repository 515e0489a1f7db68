"""Folders that appear whole or not at all. Knows files, and nothing of what is in them."""

import os
import shutil
from pathlib import Path

_OLD = ".old-"


def put(building: Path, target: Path) -> None:
    """Makes the finished folder `building` the folder `target`; one that is there is lost only once this is whole.

    Raises OSError, and then all is as it was.
    """
    for file in sorted(building.rglob("*")):
        if file.is_file():
            sync(file)
    sync(building)
    old = target.with_name(_OLD + target.name)
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    try:
        building.rename(target)
    except OSError:
        restore(target)
        raise
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def restore(target: Path) -> None:
    """Takes back what `put` had moved aside when it was cut off in between."""
    old = target.with_name(_OLD + target.name)
    if old.exists() and not target.exists():
        old.rename(target)


def sync(path: Path) -> None:
    """Returns when a file, or a folder's list of names, lies on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
