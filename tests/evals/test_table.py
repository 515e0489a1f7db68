import csv
import io
import math
from pathlib import Path

from rich.console import Console

from evals.results import Change, Finding, JudgeSummary, Results, Row, SideBySide
from evals.table import HEADINGS, cells, sections, to_csv, to_markdown, to_rich, write_tables

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
    numbers = ("3.1 ± 1.2", "95.0 ± –", "+91.9", "+88.0 to +95.0", "–", "200; 1 unscored", "better")
    assert cells(ROW) == ("people", "exact_match", *numbers)
    assert len(HEADINGS) == len(cells(ROW))
    shown = {"verdict": "no difference shown", "p": 0.0421, "detectable": 0.12, "needed": 900, "groups": 12}
    assert cells(ROW.model_copy(update=shown))[-3:] == (
        "0.042",
        "200; in 12 groups; 1 unscored",
        "no difference shown; could miss 12.0; needs 900 to show it",
    )
    odd = {"subset": "clean", "better": "lower", "share": False, "base": 24.72, "p": 1e-9}
    task, metric, base, *_, p, _, _ = cells(ROW.model_copy(update=odd))
    assert (task, metric, base, p) == ("people (clean)", "exact_match (lower is better)", "24.7 ± 0.012", "< 0.001")


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
        "± 1.2",
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


MANY = Results(
    rows=(
        ROW,
        ROW.model_copy(update={"subset": "clean"}),
        ROW.model_copy(update={"task": "f" * 60, "role": "forgetting", "verdict": "worse"}),
        ROW.model_copy(update={"role": "prompting", "against": "base-prompted"}),
        ROW.model_copy(update={"role": "earlier", "against": "checkpoint-1200"}),
        ROW.model_copy(update={"role": "earlier", "against": "other"}),
        ROW.model_copy(update={"role": "noise", "side": "base-again", "base": -1234567.0, "share": False}),
    ),
    verdict="better on people",
    findings=(
        Finding(kind="contaminated test", tone="bad", message="12 samples [bold]repeat[/bold] | rows"),
        Finding(kind="noise", tone="note", message="none"),
    ),
    change=Change(identical=0.125, answers=80, kl=0.5, kl_tokens=900, update_norm=0.02),
    judges=(
        JudgeSummary(judge="big", kind="pairwise", n=20, missing=2, wins=12, losses=3, ties=5, flips=0.1),
        JudgeSummary(judge="big", kind="rubric", n=20, missing=0),
    ),
)


def test_findings_come_first_and_rows_stand_by_what_is_compared() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(to_rich(MANY))
    text = console.export_text()
    wanted = [
        "bad: contaminated test. 12 samples [bold]repeat[/bold] | rows",
        "note: noise. none",
        "What tuning gave",
        "people (clean)",
        "What it lost, worst first",
        "Against the base with examples",
        "Against other adapters",
        "Noise floor",
        "Clean: without the samples",
        "Did anything change: 12.5 % of 80 answers are the same text",
        "Judge: big prefers tuned 12 times",
        "Verdict: better on people",
    ]
    assert sorted(wanted, key=text.index) == wanted
    assert max(map(len, text.splitlines())) <= 80
    markdown = to_markdown(MANY)
    assert markdown.startswith("- **bad: contaminated test.** 12 samples \\[bold\\]repeat")
    assert "| task | metric | base-prompted | tuned |" in markdown and markdown.count("### Against other adapters") == 2
    assert [(one.first, one.second, len(one.rows)) for one in sections(MANY.rows)][:2] == [
        ("base", "tuned", 2),
        ("base", "tuned", 1),
    ]


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
