"""What a local dataset file is, told by its content, and how it is opened. Knows no rows, no Hub and no conversations.

A file is never trusted for its name: what it begins with says what it is, and an error says what to do about it.
"""

import codecs
import io
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from evals.errors import one_line
from ftspace.data.compressed import COMPRESSED, DAMAGED, name_inside, shown, unpacked
from ftspace.data.kinds import BUILDERS, FOREIGN, HEAD_BYTES, KINDS, Kind, check_beginning
from ftspace.errors import DatasetError
from ftspace.settings import max_dataset_bytes

MAX_ROW_CHARACTERS = 2**28
"""Longest row of a text file, and longest JSON document that is not a list of rows."""
MAX_FILES = 100_000
"""Files looked at in a folder."""
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
    if path.suffix.lower() in COMPRESSED:
        with opened(path) as stream:
            head = stream.read(HEAD_BYTES)
        if not head:
            raise DatasetError(f"{path} unpacks to an empty file; give a file with at least a few rows")
    check_beginning(path, kind, head, tail)
    return kind


def named_kind(path: Path) -> Kind:
    """What a file's name says that it is; of a zip archive, the name of the file in it. Raises DatasetError."""
    suffix, inner = path.suffix.lower(), Path(path.stem).suffix.lower()
    if suffix == ".zip":
        return KINDS[name_inside(path).suffix.lower()]
    if suffix == ".gz":
        if KINDS.get(inner) in ("json", "csv"):
            return KINDS[inner]
        fix = (
            "unpack it with gunzip, it is compressed already" if inner in KINDS else "only .jsonl.gz, .json.gz, .csv.gz"
        )
        raise DatasetError(f"{path} is compressed by gzip, but no json or csv file by its name: {fix}")
    if suffix in FOREIGN:
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
        elif path.suffix.lower() in FOREIGN:
            foreign.append(path)
    if not found:
        why = "no files of rows"
        if scripts:
            why = f"a dataset script ({shown(scripts[0].name)}) and no files of rows, and scripts are never run"
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
        names = " and ".join(shown(str(path.relative_to(folder))) for path in kinds.values())
        raise DatasetError(
            f"{folder} holds files of several kinds, such as {names}; give one of them, or keep one kind"
        )
    return next(iter(kinds))


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """A file's bytes, unpacked while they are read. Reading raises DatasetError when too much comes out."""
    with _whole(path), path.open("rb") as raw:
        if path.suffix.lower() in COMPRESSED:
            with unpacked(path, raw) as stream:
                yield stream
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
        if path.suffix.lower() not in COMPRESSED or isinstance(error, PermissionError | FileNotFoundError):
            raise DatasetError(f"{path} cannot be read: {said}") from error
        why = "ends too early" if isinstance(error, EOFError) else "is damaged"
        raise DatasetError(f"{path} {why} ({said}); copy or download it again") from error


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
