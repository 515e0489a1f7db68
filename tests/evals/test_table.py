import csv
import io
import math
from pathlib import Path

from rich.console import Console

from evals.log import Results, Row, SideBySide
from evals.table import HEADINGS, cells, to_csv, to_markdown, to_rich, write_tables

ROW = Row(
    task="people",
    metric="exact_match",
    base=0.031,
    base_stderr=0.012,
    tuned=0.95,
    tuned_stderr=math.nan,
    delta=0.919,
    ci_low=0.88,
    ci_high=0.95,
    n=200,
    unscored=1,
    verdict="better",
)
EVIL = "a | b\n# title <script> [link](x) `code` [bold]"
SAMPLE = SideBySide(
    task="people", id="3", prompt=EVIL, expected="Rome", base=EVIL, tuned="x" * 1000, base_score=0, tuned_score=math.nan
)
RESULTS = Results(rows=(ROW,), verdict="better on people", samples=(SAMPLE,))


def test_cells() -> None:
    wanted = ("people", "exact_match", "3.1 ± 1.2", "95.0 ± –", "+91.9", "+88.0 to +95.0", "200", "1", "better")
    assert cells(ROW) == wanted
    assert len(HEADINGS) == len(wanted)


def test_markdown_survives_what_models_write() -> None:
    text = to_markdown(RESULTS)
    tables = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = [line.replace("\\|", "").count("|") for line in tables]
    assert unescaped == [10, 10, 10, 5, 5, 5]
    assert "<script>" not in text.replace("\\<", "")
    assert "**Verdict:** better on people" in text
    assert "unscored" in tables[-1]


def test_csv_has_full_numbers() -> None:
    (row,) = csv.DictReader(io.StringIO(to_csv(RESULTS)))
    assert list(row) == list(Row.model_fields)
    assert row["base"] == "0.031" and row["tuned_stderr"] == "nan" and row["verdict"] == "better"


def test_rich_shows_all_and_reads_no_markup() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(to_rich(RESULTS))
    text = console.export_text()
    for part in (
        "people",
        "exact_match",
        "3.1 ± 1.2",
        "+88.0 to +95.0",
        "1 unscored",
        "better on people",
        "[bold]",
        "Rome",
    ):
        assert part in text


def test_without_rows_there_is_the_verdict() -> None:
    nothing = Results(rows=(), verdict="nothing to compare with")
    assert to_markdown(nothing) == "**Verdict:** nothing to compare with\n"
    assert to_csv(nothing).splitlines() == [",".join(Row.model_fields)]
    console = Console(record=True, file=io.StringIO())
    console.print(to_rich(nothing))
    assert "nothing to compare" in console.export_text()


def test_files(tmp_path: Path) -> None:
    write_tables(tmp_path, RESULTS)
    assert (tmp_path / "table.md").read_text() == to_markdown(RESULTS)
    assert (tmp_path / "table.csv").read_text() == to_csv(RESULTS)


def test_no_text_of_the_csv_is_a_formula() -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "plain"]
    rows = [ROW.model_copy(update={"task": name, "delta": -0.5}) for name in names]
    found = list(csv.DictReader(io.StringIO(to_csv(Results(rows=tuple(rows), verdict="")))))
    assert [row["task"] for row in found] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "plain"]
    assert {row["delta"] for row in found} == {"-0.5"}
