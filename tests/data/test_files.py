import gzip
import io
import json
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.access import OWNER
from ftspace.data import compressed, json_rows, stored_rows
from ftspace.data.load import load_rows, peek_rows
from ftspace.errors import ConfigError, DatasetError, FtspaceError, JobError
from ftspace.sections import DataConfig
from ftspace.settings import max_dataset_bytes, read_settings
from ftspace.ui import uploads
from ftspace.ui.desk import Desk

ROWS = [{"q": "a", "a": 1}, {"q": "b", "a": "x"}]
zipped = partial(gzip.compress, mtime=0)
"""Without the time, which would be in the names of tests: every process must give them the same."""
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def arrow(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def archive(*names: str, content: str = LINES, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name in names:
            file.writestr(name, content)
    return out.getvalue()


def as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def read(path: Path) -> list[dict[str, Any]]:
    return [dict(row) for row in load_rows(DataConfig(id=str(path))).rows()]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("mixed.jsonl", LINES + '{"q": ["c"], "other": null}', [*ROWS, {"q": ["c"], "other": None}]),
        ("bom.jsonl", "\ufeff" + LINES, ROWS),
        ("bom.json", "\ufeff" + json.dumps(ROWS), ROWS),
        ("bom.csv", "\ufeffq,a\nx,1\n", [{"q": "x", "a": 1}]),
        ("blank.jsonl", f"\n\r\n{LINES}\n\n", ROWS),
        ("crlf.jsonl", LINES.replace("\n", "\r\n"), ROWS),
        ("list.jsonl", json.dumps(ROWS), ROWS),
        ("list.json", json.dumps(ROWS, indent=2), ROWS),
        ("lines.json", LINES, ROWS),
        ("spread.json", "\n".join(json.dumps(row, indent=2) for row in ROWS), ROWS),
        ("key.json", json.dumps({"version": 1, "data": ROWS}), ROWS),
        ("other-key.json", json.dumps({"pairs": ROWS}, indent=1), ROWS),
        ("one.json", '{"messages": [{"role": "user"}]}', [{"messages": [{"role": "user"}]}]),
        ("texts.json", '["a", "b"]', [{"text": "a"}, {"text": "b"}]),
        ("empty.json", "[]", []),
        ("comma.csv", 'q,a\n"x; y\nz","say ""hi"""\n', [{"q": "x; y\nz", "a": 'say "hi"'}]),
        ("semicolon.csv", "q;a\nx, y;2\n", [{"q": "x, y", "a": 2}]),
        ("bar.csv", "q|a\nx, y|-2\n", [{"q": "x, y", "a": -2}]),
        ("tab.tsv", "q\ta\nx, y\t\n", [{"q": "x, y", "a": None}]),
        ("numbers.csv", "q,a\n007,1.50\nNA,None\n", [{"q": "007", "a": "1.50"}, {"q": "NA", "a": "None"}]),
        ("mac.csv", "q,a\rx,1\r", [{"q": "x", "a": 1}]),
        ("names.csv", "q,q,\nx,1,2\n", [{"q": "x", "q.1": 1, "Unnamed: 2": 2}]),
        ("long.csv", "q,a\n" + "x" * 500_000 + ",1\n", [{"q": "x" * 500_000, "a": 1}]),
        ("rows.jsonl.gz", zipped(LINES.encode()), ROWS),
        ("rows.csv.gz", zipped(b"q,a\nx,1\n"), [{"q": "x", "a": 1}]),
        ("rows.zip", archive("a/rows.jsonl", "__MACOSX/rows.jsonl"), ROWS),
    ],
)
def test_what_can_be_understood_works(tmp_path: Path, name: str, content: str | bytes, rows: list[Any]) -> None:
    (tmp_path / name).write_bytes(as_bytes(content))
    assert read(tmp_path / name) == rows


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "\n \n", "blank lines only"),
        ("a.txt", "hello", "no file of a known kind"),
        ("a.jsonl", LINES.encode("utf-16"), "is UTF-16 text, not UTF-8; save it as UTF-8"),
        ("a.csv", "q,a\n1,2\n".encode("utf-16-le"), "is UTF-16 text by its look"),
        ("a.jsonl", LINES.encode() + '{"q": "é"}'.encode("latin-1"), "line 3: byte 0xe9 is not UTF-8 (it looks like"),
        ("a.csv", "q,a\n1,2\ncafé,x\n".encode("cp1252"), "line 3: byte 0xe9 is not UTF-8"),
        ("a.jsonl", LINES * 200 + '{"q": "\0"}', "line 401: there is a NUL byte"),
        ("a.csv", "q,a\n" + "1,2\n" * 2000 + "\0,1\n", "line 2002: there is a NUL byte"),
        ("a.jsonl", parquet(ROWS[:1]), "is a Parquet file, not text; name it .parquet"),
        ("a.csv", arrow(ROWS[:1]), "is an Arrow file, not text; name it .arrow"),
        ("a.parquet", LINES, "is no Parquet file but JSON text"),
        ("a.parquet", parquet(ROWS[:1])[:-9], "ends too early"),
        ("a.parquet", b"PAR1 not really PAR1", "is damaged"),
        ("a.arrow", "q,a\n", "is no Arrow file but text"),
        ("a.csv", b"PK\x03\x04....[Content_Types].xml", "is an Excel workbook"),
        ("a.jsonl", "<!DOCTYPE html>", "is a web page"),
        ("a.parquet", "version https://git-lfs.github.com/spec/v1", "fetch the file with: git lfs pull"),
        ("a.jsonl", LINES + '\n\n{"q": "a"\n' + LINES, "line 5: the row ends too early"),
        ("a.jsonl", '{"q": "a"\n' + LINES, "line 1: the row ends too early"),
        ("a.jsonl", LINES + '{"q": "a",}\n', "line 3: there is a comma before the closing bracket"),
        ("a.jsonl", '{"q": 1},\n{"q": 2},\n', "line 1: there is a comma after the row"),
        ("a.jsonl", "{'q': 'a'}\n", "line 1: single quotes, as Python prints them"),
        ("a.jsonl", LINES + '{"q": None}\n', "line 3: None is Python's word"),
        ("a.jsonl", LINES + '{"q": "a\tb"}\n', "line 3: there is a line break or tab inside a text"),
        ("a.jsonl", LINES + "[1]\n", "line 3: a list, not a row"),
        ("a.jsonl", LINES + "{oops}\n", "line 3: this is not JSON"),
        ("a.jsonl", LINES + "[" * 100_000, "line 3: brackets are nested too deeply"),
        ("a.jsonl", LINES + '{"q": ' + "9" * 5000 + "}", "line 3: a number has too many digits"),
        ("a.json", '[{"q": 1},\n {"q": [1}]', "line 2: this is not JSON"),
        ("a.json", '[{"q": 1},\n {"q": 2},\n]', "line 3: there is a comma after the last row"),
        ("a.json", '[{"q": 1}\n {"q": 2}]', "line 2: a comma is missing between two rows"),
        ("a.json", '[{"q": 1},\n {"q": 2}', "line 2: the list of rows ends too early"),
        ("a.json", "[" + f'{{"q": "{"x" * 1000}"}},\n' * 1500 + "{oops}]", "line 1501: this is not JSON"),
        ("a.json", "3", "line 1: a number, not a row"),
        ("a.json", json.dumps({"train": ROWS, "test": ROWS}), "holds several lists of rows"),
        ("a.csv", 'q,a\n"x\ny",2\n1,2,3\n', "line 4: 3 cells where the header has 2"),
        ("a.csv", "q,a\n1\n", "line 2: 1 cells where the header has 2"),
        ("a.csv", 'q,a\n1,2\n"x,2\n3,4\n', "line 3: a quote that opens a cell here is never closed"),
        ("a.csv", 'q,a\n"say "hi"",2\n', "line 2: there is a single quote inside a quoted cell"),
        ("a.jsonl.zst", LINES, "unpack it, or compress with gzip"),
        ("a.gz", zipped(b"x"), "no json or csv file by its name"),
        ("a.parquet.gz", zipped(b"x"), "unpack it with gunzip"),
        ("a.jsonl.gz", LINES, "is damaged"),
        ("a.jsonl.gz", zipped(LINES.encode() * 999)[:40], "ends too early"),
        ("a.jsonl.gz", zipped(b""), "unpacks to an empty file"),
        ("a.jsonl.gz", zipped(zipped(LINES.encode())), "is compressed by gzip, not text"),
        ("a.csv.gz", zipped("q,a\né,1\n".encode("latin-1")), "line 2: byte 0xe9 is not UTF-8"),
        ("a.zip", b"PK\x03\x04 not really", "is no zip archive"),
        ("a.zip", archive("a.jsonl", "b.jsonl"), "exactly one json or csv file and holds 2"),
        ("a.zip", archive("../a.jsonl"), "whose path leads outside"),
        ("a.zip", archive("/etc/a.jsonl"), "whose path leads outside"),
        ("a.zip", archive("b.zip"), "exactly one json or csv file and holds 0 (b.zip)"),
        ("a.zip", archive(*(f"{n}.txt" for n in range(1001))), "holds 1,001 files"),
        ("a.zip", archive("a.jsonl", method=zipfile.ZIP_LZMA), "compressed in a way that is not read"),
        ("a.zip", archive("a.jsonl").replace(b"\x14\x00\x00\x00\x08", b"\x14\x00\x01\x00\x08"), "is encrypted"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    (tmp_path / name).write_bytes(as_bytes(content))
    with pytest.raises(DatasetError) as caught:
        read(tmp_path / name)
    assert said in str(caught.value)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DatasetError, match="no regular file"):
        read(tmp_path / "pipe.jsonl")


def test_a_dataset_larger_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "set").mkdir()
    for name in ("one.jsonl", "two.jsonl"):
        (tmp_path / "set" / name).write_text(LINES * 100)
    size = len(LINES) * 100
    (tmp_path / "small.jsonl.gz").write_bytes(zipped(LINES.encode() * 200))
    for limit, path in ((size - 1, "set/one.jsonl"), (size + 1, "set"), (size + 1, "small.jsonl.gz")):
        monkeypatch.setenv("FTSPACE_MAX_DATASET_GB", str(limit / 1e9))
        with pytest.raises(DatasetError, match="raise the limit with the environment variable FTSPACE_MAX_DATASET_GB"):
            read(tmp_path / path)
    for wrong in ("many", "0", "-1", "nan", "inf"):
        with pytest.raises(ConfigError, match="FTSPACE_MAX_DATASET_GB"):
            max_dataset_bytes({"FTSPACE_MAX_DATASET_GB": wrong})
    assert max_dataset_bytes({}) == 50_000_000_000


@pytest.mark.parametrize("name", ["bomb.jsonl.gz", "bomb.zip"])
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(compressed, "RATIO_FREE_BYTES", 100_000)
    content = '{"q": "' + "x" * 5_000_000 + '"}'
    packed = zipped(content.encode()) if name.endswith(".gz") else archive("a.jsonl", content=content)
    (tmp_path / name).write_bytes(packed)
    with pytest.raises(DatasetError, match="unpacks to more than 400 times its size"):
        read(tmp_path / name)


def test_a_row_longer_than_any_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_ROW_CHARACTERS", 1000)
    monkeypatch.setattr(stored_rows, "MAX_BATCH_BYTES", 1000)
    row = {"q": "x" * 2_000_000}
    for name, content in (
        ("a.jsonl", LINES.encode() + json.dumps(row).encode()),
        ("a.json", json.dumps([row, row]).encode()),
        ("a.parquet", parquet([row])),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=r"longer than|take more than"):
            read(tmp_path / name)


@pytest.fixture
def table(tmp_path: Path) -> Desk:
    return Desk.of(read_settings(tmp_path / "data", environ={}))


def test_an_upload_is_kept_once_under_a_plain_name(tmp_path: Path, table: Desk) -> None:
    for name, stem, ending in (("my rows!.JSONL", "my-rows-", ".jsonl"), ("x y.csv.gz", "x-y-", ".csv.gz")):
        content = zipped(b"q,a\n1,2\n") if ending.endswith(".gz") else LINES.encode()
        (tmp_path / name).write_bytes(content)
        kept = table.keep_upload(tmp_path / name, OWNER)
        assert kept == table.keep_upload(tmp_path / name, OWNER)
        assert kept.parent == table.uploads_of(OWNER) and kept.name.startswith(stem) and kept.name.endswith(ending)
        assert kept.read_bytes() == content and read(kept)
    assert len(list(table.uploads_of(OWNER).iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.exe", LINES, "no file of a known kind"),
        ("a.jsonl", parquet(ROWS[:1]), "is a Parquet file"),
        ("a.jsonl", LINES * 5000 + "{oops", "line 10001"),
        ("a.csv", "q,a\n", "has no rows"),
        ("a.arrow", arrow(ROWS[:1]), "not taken as uploads"),
        ("a.jsonl", LINES + "x" * 1_000_000, "has more than 1 MB"),
        ("a.jsonl.gz", zipped(LINES.encode() * 50_000), "unpacks to more than 1 MB"),
        ("a.parquet", parquet([{"q": "a"}] * 20_001), "has more than 20,000 rows"),
    ],
)
def test_a_bad_upload_is_refused_at_once(
    tmp_path: Path, table: Desk, monkeypatch: pytest.MonkeyPatch, name: str, content: str | bytes, said: str
) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_MAX_BYTES", 1_000_000)
    monkeypatch.setattr(uploads, "UPLOAD_MAX_ROWS", 20_000)
    (tmp_path / name).write_bytes(as_bytes(content))
    with pytest.raises(DatasetError) as caught:
        table.keep_upload(tmp_path / name, OWNER)
    assert said in str(caught.value) and str(tmp_path) not in str(caught.value)
    assert not table.uploads_of(OWNER).exists()


@pytest.mark.parametrize(("limit", "most"), [("UPLOADS_MAX_FILES", 1), ("UPLOADS_MAX_BYTES", len(LINES) + 5)])
def test_uploads_take_no_more_room_than_they_may(
    tmp_path: Path, table: Desk, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(uploads, limit, most)
    for name, extra in (("a.jsonl", ""), ("b.jsonl", "\n")):
        (tmp_path / name).write_text(LINES + extra)
    table.keep_upload(tmp_path / "a.jsonl", OWNER)
    with pytest.raises(JobError, match=r"no room for one more upload: 1 files .* remove some from"):
        table.keep_upload(tmp_path / "b.jsonl", OWNER)
    assert [path.name[0] for path in table.uploads_of(OWNER).iterdir()] == ["a"]


MANY: list[dict[str, Any]] = [{"q": f"é {n}", "a": [{"role": "user", "content": "x" * n}], "n": n} for n in range(20)]
MANY_LINES = "".join(json.dumps(row) + "\n" for row in MANY)
VALID: dict[str, bytes] = {
    "x.jsonl": MANY_LINES.encode(),
    "x.json": json.dumps(MANY, indent=1).encode(),
    "y.json": json.dumps({"data": MANY}).encode(),
    "x.csv": "".join(f'"x, ""{n}""\ny",{n}\n' for n in range(20)).encode(),
    "x.parquet": parquet(MANY),
    "x.arrow": arrow(MANY),
    "x.jsonl.gz": zipped(MANY_LINES.encode()),
    "x.zip": archive("x.jsonl", content=MANY_LINES),
}


def rows_or_a_dataset_error(name: str, content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        asks: list[Callable[[DataConfig], Any]] = [lambda c: list(load_rows(c).rows()), lambda c: peek_rows(c, 3)]
        for ask in asks:
            try:
                ask(DataConfig(id=str(path)))
            except FtspaceError as error:
                assert isinstance(error, DatasetError)
                assert "\n" not in str(error) and name in str(error)


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(VALID)),
    changes=st.lists(st.tuples(st.integers(0, 9999), st.binary(max_size=3), st.integers(0, 3)), min_size=1, max_size=8),
    kept=st.integers(1, 20000),
)
def test_a_damaged_file_gives_rows_or_a_dataset_error(
    name: str, changes: list[tuple[int, bytes, int]], kept: int
) -> None:
    content = bytearray(VALID[name])
    for at, put, gone in changes:
        content[at % len(content) : at % len(content) + gone] = put or b"\0"
    rows_or_a_dataset_error(name, bytes(content[:kept]))


@settings(max_examples=100)
@given(
    name=st.sampled_from(sorted(VALID)),
    content=st.binary(max_size=60) | st.text("[]{}:,;|'\"\\ \t\r\n\0\ufeff019-.eaqé€😀", max_size=60).map(str.encode),
)
def test_random_bytes_give_rows_or_a_dataset_error(name: str, content: bytes) -> None:
    rows_or_a_dataset_error(name, content)
