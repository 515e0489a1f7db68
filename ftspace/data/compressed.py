"""The bytes in a gzip file or a zip archive, unpacked while they are read and never onto the disk. Knows no rows.

What may come out of a small file is bounded, and of an archive only the one file of rows is opened.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from evals.errors import one_line
from ftspace.data.kinds import KINDS
from ftspace.errors import DatasetError
from ftspace.settings import max_dataset_bytes

COMPRESSED = (".gz", ".zip")
MAX_RATIO = 400
"""How many times its size a compressed file may unpack to. Rows of text stay far below; gzip can reach 1,000."""
RATIO_FREE_BYTES = 256 * 2**20
"""What may come out of a compressed file whatever its ratio."""
MAX_ZIP_ENTRIES = 1000
"""Files that an archive may hold."""
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, struct.error)
"""What reading a file raises when it is not whole."""


@contextmanager
def unpacked(path: Path, raw: BinaryIO) -> Generator[BinaryIO]:
    """What a compressed file, opened as `raw`, holds. Reading raises DatasetError when too much comes out."""
    if path.suffix.lower() == ".gz":
        with GzipFile(fileobj=raw) as stream:
            yield _bounded(path, cast("BinaryIO", stream))
    else:
        with _zip(path) as archive, _entry(path, archive) as stream:
            yield _bounded(path, stream)


def name_inside(path: Path) -> PurePosixPath:
    """The name of the one file of rows in a zip archive. Raises DatasetError."""
    with _zip(path) as archive:
        return PurePosixPath(_only_entry(path, archive).filename)


def shown(name: str) -> str:
    """A name out of an archive or folder, in one line."""
    return name if name.isprintable() else ascii(name)


class _Bounded(io.RawIOBase):
    """What comes out of a compressed file, counted: a small file that unpacks to a huge one is refused."""

    def __init__(self, stream: BinaryIO, check: Callable[[int], None]) -> None:
        self._stream = stream
        self._check = check
        self._out = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._stream.read(len(buffer))
        self._out += len(data)
        self._check(self._out)
        buffer[: len(data)] = data
        return len(data)


def _bounded(path: Path, stream: BinaryIO) -> BinaryIO:
    packed, limit = path.stat().st_size, max_dataset_bytes()

    def check(out: int) -> None:
        if out > limit:
            raise DatasetError(
                f"{path} unpacks to more than the limit of {limit / 1e9:,.3g} GB; "
                "give a part of it, or raise the limit with the environment variable FTSPACE_MAX_DATASET_GB"
            )
        if out > max(RATIO_FREE_BYTES, packed * MAX_RATIO):
            raise DatasetError(
                f"{path} unpacks to more than {MAX_RATIO} times its size, as only files made to do harm do; "
                "unpack it yourself if you trust it"
            )

    return cast("BinaryIO", io.BufferedReader(_Bounded(stream, check), 1 << 18))


@contextmanager
def _zip(path: Path) -> Generator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (*DAMAGED, LookupError, RuntimeError, ValueError) as error:
        raise DatasetError(
            f"{path} is no zip archive that can be read ({one_line(error)}); copy or download it again"
        ) from error
    with archive:
        yield archive


def _entry(path: Path, archive: zipfile.ZipFile) -> BinaryIO:
    """The one file of rows in an archive, opened. Raises DatasetError."""
    entry = _only_entry(path, archive)
    try:
        return cast("BinaryIO", archive.open(entry))
    except (*DAMAGED, LookupError, RuntimeError, ValueError) as error:
        raise DatasetError(f"{path} is damaged ({one_line(error)}); copy or download it again") from error


def _only_entry(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of rows in an archive. Raises DatasetError."""
    entries = archive.infolist()
    if len(entries) > MAX_ZIP_ENTRIES:
        raise DatasetError(f"{path} holds {len(entries):,} files; unpack it and give the file or folder of rows")
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        if ".." in parts or parts[0] == "" or re.match(r"[A-Za-z]:", entry.filename):
            raise DatasetError(
                f"{path} holds a file whose path leads outside ({shown(entry.filename)}); it is not opened"
            )
    files = [e for e in entries if not e.is_dir() and not e.filename.startswith("__MACOSX/")]
    files = [e for e in files if not PurePosixPath(e.filename).name.startswith(".")]
    data = [e for e in files if KINDS.get(PurePosixPath(e.filename).suffix.lower()) in ("json", "csv")]
    if len(data) != 1:
        listed = ", ".join(shown(entry.filename) for entry in files[:3]) + (", …" if len(files) > 3 else "")
        raise DatasetError(
            f"{path} must hold exactly one json or csv file and holds {len(data)} ({listed or 'no file'}); "
            "unpack it and give the file or folder of rows"
        )
    if data[0].flag_bits & 1:
        raise DatasetError(f"{path} is encrypted; unpack it with its password first")
    if data[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DatasetError(f"{path} is compressed in a way that is not read; unpack it first")
    return data[0]
