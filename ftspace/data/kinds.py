"""Which kinds of files there are: by how their names end, and by what they begin with. Opens no file, knows no rows."""

from pathlib import Path
from typing import Literal

from ftspace.errors import DatasetError

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
FOREIGN = {".zst", ".bz2", ".xz", ".lz4", ".7z", ".rar", ".tar", ".tgz"}
"""Compressed files and archives that are refused."""

HEAD_BYTES = 4096
"""How much of a file's beginning tells what it is."""

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


def check_beginning(path: Path, kind: Kind, head: bytes, tail: bytes) -> None:
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
