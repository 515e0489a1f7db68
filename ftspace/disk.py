"""A disk that is full or cannot be written: how it shows, and room kept aside so that the last word finds a place.

Knows files and errors, and nothing of what is written.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (*FULL, errno.EROFS)
_WORDS = (
    "os error 28",
    "os error 30",
    "os error 122",
    "No space left on device",
    "Read-only file system",
    "PytorchStreamWriter failed",
    "unexpected pos",
)
"""What safetensors, tokenizers and torch say of it, who have no OSError for it."""
LITTLE = 64 * 1024
"""Bytes that are as good as none."""
_PIECE = 16 * 1024
_ZEROS = bytes(1024 * 1024)


def is_disk_full(error: BaseException) -> bool:
    """Whether nothing can be written any more."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _REFUSED
    return any(words in str(error) for words in _WORDS)


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it says it was raised from."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__


def trouble(folder: Path) -> str:
    """Why nothing can be written in a folder now, in words; "" when it can."""
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        return f"the folder cannot be read: {error.strerror}"
    if disk.f_flag & os.ST_RDONLY:
        return "its disk is read-only"
    if not os.access(folder, os.W_OK):
        return "the folder may not be written"
    if disk.f_bavail * disk.f_frsize < LITTLE:
        return "its disk is full"
    if disk.f_files and not disk.f_favail:
        return "its disk cannot hold one more file"
    return ""


def keep_aside(path: Path, size: int) -> None:
    """Makes `path` a file that takes `size` bytes of the disk. Raises OSError, and leaves none, where there is no room.

    A file system that cannot promise blocks is given zeros.
    """
    try:
        with path.open("wb") as file:
            if not _allocated(file.fileno(), size):
                for start in range(0, size, len(_ZEROS)):
                    file.write(_ZEROS[: size - start])
    except OSError:
        path.unlink(missing_ok=True)
        raise


def give_some(path: Path) -> bool:
    """Gives a piece of what is kept aside back to the disk; False when nothing is left of it."""
    with suppress(OSError):
        size = path.stat().st_size
        if size:
            os.truncate(path, max(0, size - _PIECE))
            return True
    return False


def bytes_of(path: Path) -> int:
    """What a file, or all in a folder, takes of the disk; what cannot be looked at counts for nothing."""
    total = 0
    with suppress(OSError):
        total = path.lstat().st_blocks * 512
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += (Path(folder) / name).lstat().st_blocks * 512
    return total


def remove(path: Path) -> None:
    """Removes a file or a folder with all in it, also what its owner had made unreadable. Raises OSError."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, below, _ in os.walk(path):  # top down: what is made readable here is looked into next
        for name in below:
            inside = Path(folder) / name
            if not inside.is_symlink():
                with suppress(OSError):
                    inside.chmod(0o700)
    shutil.rmtree(path)


def _allocated(fd: int, size: int) -> bool:
    """Whether the file system gave the file its blocks; False where it knows no such promise."""
    try:
        os.posix_fallocate(fd, 0, size)
    except AttributeError:
        return False
    except OSError as error:
        if error.errno in _REFUSED:
            raise
        return False
    return True
