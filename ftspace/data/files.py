"""What a local dataset file is, told by its content, and how it is opened. Knows no rows, no Hub and no conversations.

A file is never trusted for its name: what it begins with says what it is, and an error says what to do about it.
Compressed files are unpacked while they are read and never onto the disk, with a bound on what may come out of them.
"""

import codecs
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, TextIO, cast

from evals.errors import one_line
from ftspace.errors import DatasetError
from ftspace.settings import max_dataset_bytes

Kind = Literal["json", "csv", "parquet", "arrow"]
KINDS: dict[str, Kind] = {
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
"""What a file of rows is, by how its name ends."""
BUILDERS: dict[str, str] = {**KINDS, ".gz": "gzip", ".zip": "zip"}
"""All endings of local files: those of KINDS, and those of a json or csv file that is compressed."""

HEAD_BYTES = 4096
MAX_RATIO = 400
"""How many times its size a compressed file may unpack to. Rows of text stay far below; gzip can reach 1,000."""
RATIO_FREE_BYTES = 256 * 2**20
"""What may come out of a compressed file whatever its ratio."""
MAX_ZIP_ENTRIES = 1000
MAX_FILES = 100_000
"""Files looked at in a folder."""
DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, struct.error)
"""What reading a file raises when it is not whole."""

# What a file begins with, what that is, and what to do about it.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", "name it .zip, or unpack it"),
    (b"PK\x05\x06", "an empty zip archive", "give a file with rows"),
    (b"\x1f\x8b", "compressed by gzip", "name it .jsonl.gz or .csv.gz, or unpack it with gunzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with: zstd -d"),
    (b"BZh", "compressed by bzip2", "unpack it with bunzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz", "unpack it with unxz"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "unpack it with: lz4 -d"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"%PDF", "a PDF document", "give a file of rows, such as JSON Lines or CSV"),
    (b"\x89PNG", "a picture", "give a file of rows, such as JSON Lines or CSV"),
    (b"\xff\xd8\xff", "a picture", "give a file of rows, such as JSON Lines or CSV"),
    (b"SQLite format 3", "an SQLite database", "export its table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file", "save it as CSV in UTF-8"),
    (b"\x80\x04\x95", "a Python pickle", "pickles are never opened; write the rows as JSON Lines"),
    (b"\x93NUMPY", "a NumPy file", "write the rows as JSON Lines"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch the file with: git lfs pull"),
)
_TEXTS_ENCODED: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_FOREIGN = {".zst", ".bz2", ".xz", ".lz4", ".7z", ".rar", ".tar", ".tgz"}
"""Compressed files and archives that are refused."""
_NO_ROWS = ("config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")
"""Files beside a dataset's rows that say something about it."""


def kind_of(path: Path) -> Kind:
    """What a file is read as, once its name, its size and its beginning allow it. Raises DatasetError."""
    if not path.is_file():
        raise DatasetError(f"{path} is no regular file; give a file, or a folder of files")
    kind = named_kind(path)
    size = path.stat().st_size
    if size == 0:
        raise DatasetError(f"{path} is empty; give a file with at least a few rows")
    check_size(path, size)
    with _whole(path), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        file.seek(-min(size, 8), io.SEEK_END)
        tail = file.read()
    if path.suffix.lower() in (".gz", ".zip"):
        with opened(path) as stream:
            head = stream.read(HEAD_BYTES)
        if not head:
            raise DatasetError(f"{path} unpacks to an empty file; give a file with at least a few rows")
    _check_beginning(path, kind, head, tail)
    return kind


def named_kind(path: Path) -> Kind:
    """What a file's name says that it is; of a zip archive, the name of the file in it. Raises DatasetError."""
    suffix, inner = path.suffix.lower(), Path(path.stem).suffix.lower()
    if suffix == ".zip":
        with _zip(path) as archive:
            return KINDS[PurePosixPath(_only_entry(path, archive).filename).suffix.lower()]
    if suffix == ".gz":
        if KINDS.get(inner) in ("json", "csv"):
            return KINDS[inner]
        fix = (
            "unpack it with gunzip, it is compressed already" if inner in KINDS else "only .jsonl.gz, .json.gz, .csv.gz"
        )
        raise DatasetError(f"{path} is compressed by gzip, but no json or csv file by its name: {fix}")
    if suffix in _FOREIGN:
        raise DatasetError(f"{path} is compressed in a way that is not read; unpack it, or compress with gzip (.gz)")
    if suffix not in KINDS:
        raise DatasetError(f"{path} is no file of a known kind; known are {', '.join(BUILDERS)}")
    return KINDS[suffix]


def check_size(what: Path, size: int) -> None:
    """Raises DatasetError when a file or folder is larger than this machine allows."""
    limit = max_dataset_bytes()
    if size > limit:
        raise DatasetError(
            f"{what} has {size / 1e9:,.3g} GB and the limit is {limit / 1e9:,.3g} GB; "
            "give a part of it, or raise the limit with the environment variable FTSPACE_MAX_DATASET_GB"
        )


def check_unpacked(path: Path, most: int) -> None:
    """Raises DatasetError when a compressed file unpacks to more than `most` bytes."""
    out = 0
    with opened(path) as stream:
        while data := stream.read(1 << 20):
            out += len(data)
            if out > most:
                raise DatasetError(f"{path} unpacks to more than {most / 1e6:,.0f} MB; give a part of it")


def files_in(folder: Path) -> list[Path]:
    """The files of rows in a folder and its subfolders, hidden ones left out.

    Raises DatasetError when there are none, or when they are larger than this machine allows.
    """
    found: list[Path] = []
    scripts: list[Path] = []
    foreign: list[Path] = []
    for count, path in enumerate(folder.rglob("*")):
        if count >= MAX_FILES:
            raise DatasetError(f"{folder} holds more than {MAX_FILES:,} files; give a folder with the dataset alone")
        if any(part.startswith((".", "__")) for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        if path.suffix.lower() in BUILDERS and path.name not in _NO_ROWS:
            found.append(path)
        elif path.suffix == ".py":
            scripts.append(path)
        elif path.suffix.lower() in _FOREIGN:
            foreign.append(path)
    if not found:
        why = "no files of rows"
        if scripts:
            why = f"a dataset script ({_shown(scripts[0].name)}) and no files of rows, and scripts are never run"
        elif foreign:
            named_kind(foreign[0])
        raise DatasetError(f"{folder} holds {why}; known are {', '.join(BUILDERS)}")
    check_size(folder, sum(path.stat().st_size for path in found))
    return sorted(found)


def one_kind(folder: Path, files: Iterable[Path]) -> Kind:
    """The kind of all these files. Raises DatasetError when they are of several."""
    kinds: dict[Kind, Path] = {}
    for path in files:
        kinds.setdefault(named_kind(path), path)
    if len(kinds) > 1:
        names = " and ".join(_shown(str(path.relative_to(folder))) for path in kinds.values())
        raise DatasetError(
            f"{folder} holds files of several kinds, such as {names}; give one of them, or keep one kind"
        )
    return next(iter(kinds))


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """A file's bytes, unpacked while they are read. Reading raises DatasetError when too much comes out."""
    suffix = path.suffix.lower()
    with _whole(path), path.open("rb") as raw:
        if suffix == ".gz":
            with GzipFile(fileobj=raw) as unpacked:
                yield _bounded(path, cast("BinaryIO", unpacked))
        elif suffix == ".zip":
            with _zip(path) as archive, _entry(path, archive) as unpacked:
                yield _bounded(path, unpacked)
        else:
            yield raw


@contextmanager
def opened_text(path: Path) -> Generator[TextIO]:
    """A file's text, with its line breaks as they are; errors in its bytes are told with their line. DatasetError."""
    with opened(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            yield text
        except UnicodeDecodeError as error:
            raise DatasetError(_undecodable(path)) from error
        finally:
            text.detach()


@contextmanager
def _whole(path: Path) -> Generator[None]:
    """Says of a file that cannot be read, that is damaged or that breaks off, that it is so."""
    try:
        yield
    except DAMAGED as error:
        said = (error.strerror if isinstance(error, OSError) else None) or one_line(error)
        if path.suffix.lower() not in (".gz", ".zip") or isinstance(error, PermissionError | FileNotFoundError):
            raise DatasetError(f"{path} cannot be read: {said}") from error
        why = "ends too early" if isinstance(error, EOFError) else "is damaged"
        raise DatasetError(f"{path} {why} ({said}); copy or download it again") from error


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
                f"{path} holds a file whose path leads outside ({_shown(entry.filename)}); it is not opened"
            )
    files = [e for e in entries if not e.is_dir() and not e.filename.startswith("__MACOSX/")]
    files = [e for e in files if not PurePosixPath(e.filename).name.startswith(".")]
    data = [e for e in files if KINDS.get(PurePosixPath(e.filename).suffix.lower()) in ("json", "csv")]
    if len(data) != 1:
        listed = ", ".join(_shown(entry.filename) for entry in files[:3]) + (", …" if len(files) > 3 else "")
        raise DatasetError(
            f"{path} must hold exactly one json or csv file and holds {len(data)} ({listed or 'no file'}); "
            "unpack it and give the file or folder of rows"
        )
    if data[0].flag_bits & 1:
        raise DatasetError(f"{path} is encrypted; unpack it with its password first")
    if data[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DatasetError(f"{path} is compressed in a way that is not read; unpack it first")
    return data[0]


def _shown(name: str) -> str:
    """A name out of an archive or folder, in one line."""
    return name if name.isprintable() else ascii(name)


def _check_beginning(path: Path, kind: Kind, head: bytes, tail: bytes) -> None:
    """Raises DatasetError when a file begins as another kind than its name says."""
    if kind == "parquet":
        if not head.startswith(b"PAR1"):
            raise DatasetError(f"{path} is no Parquet file but {_guess(head)}; {_rename(head)}")
        if tail[-4:] != b"PAR1":
            raise DatasetError(f"{path} is a Parquet file that ends too early; copy or download it again")
        return
    if kind == "arrow":
        if not head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
            raise DatasetError(f"{path} is no Arrow file but {_guess(head)}; {_rename(head)}")
        return
    found = _binary(head)
    if found:
        raise DatasetError(f"{path} is {found[0]}, not text; {found[1]}")
    for mark, name in _TEXTS_ENCODED:
        if head.startswith(mark):
            raise DatasetError(f"{path} is {name} text, not UTF-8; save it as UTF-8")
    if b"\0" in head:
        if head[1::2].count(0) > len(head) // 5 or head[::2].count(0) > len(head) // 5:
            raise DatasetError(f"{path} is UTF-16 text by its look, not UTF-8; save it as UTF-8")
        line = head.count(b"\n", 0, head.index(0)) + 1
        raise DatasetError(f"{path} is no text: there is a NUL byte in line {line}; give a text file in UTF-8")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        raise DatasetError(f"{path} is a web page, not a file of rows; download the file itself, not the page about it")
    if start.startswith(b"<?xml"):
        raise DatasetError(f"{path} is XML; write the rows as JSON Lines or CSV")


def _binary(head: bytes) -> tuple[str, str] | None:
    """What a file is that is no text, and what to do about it."""
    if head.startswith(b"PAR1"):
        return "a Parquet file", "name it .parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "an Arrow file", "name it .arrow"
    if head.startswith(b"PK\x03\x04") and (b"[Content_Types].xml" in head or b"xl/" in head):
        return "an Excel workbook or another office document", "save it as CSV in UTF-8"
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it"
    return next(((what, fix) for mark, what, fix in _BEGINNINGS if head.startswith(mark)), None)


def _guess(head: bytes) -> str:
    found = _binary(head)
    if found:
        return found[0]
    try:
        head[: HEAD_BYTES - 8].decode()
    except UnicodeDecodeError:
        return "something else"
    return "JSON text" if head.lstrip()[:1] in (b"{", b"[") else "text"


def _rename(head: bytes) -> str:
    found = _binary(head)
    if found:
        return found[1]
    return "name it by what it is: " + ", ".join(KINDS) if _guess(head) != "something else" else "give the right file"


def _undecodable(path: Path) -> str:
    """What is wrong with a file that is not UTF-8, and in which line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    count = 1
    with opened(path) as stream:
        more = True
        while more:
            more = stream.read(1 << 20)
            try:
                decoder.decode(more, final=not more)
            except UnicodeDecodeError as error:
                count += error.object.count(b"\n", 0, error.start)
                byte = error.object[error.start]
                look = " (it looks like Windows-1252 or Latin-1)" if _western(error.object, error.start) else ""
                return (
                    f"{path}, line {count}: byte 0x{byte:02x} is not UTF-8{look}; "
                    "save the file as UTF-8, for instance with: iconv -f cp1252 -t utf-8"
                )
            count += more.count(b"\n")
    return f"{path} is not UTF-8 text; save it as UTF-8"


def _western(text: bytes, at: int) -> bool:
    """Whether the bytes around `at` read as text of a western language in one byte a letter."""
    near = text[max(0, at - 200) : at + 200]
    return sum(byte >= 0x80 for byte in near) <= len(near) // 4 and not any(byte < 9 for byte in near)
