import re
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from evals.log import write_log
from evals.results import Finding, read_results, write_results
from ftspace.cli import main
from ftspace.config import default_config
from ftspace.errors import JobError
from ftspace.events import EventLog, Finished, Started
from ftspace.report.command import report_html
from ftspace.runs import RunStore
from tests.report.made import TASK, log, made
from tests.ui.test_markup_safety import EVIL

WORSE = [0.0] * 30, [1.0] * 25 + [0.0] * 5
LOSING = [1.0] * 8 + [0.5] + [0.0] * 11, [0.0] * 8 + [0.25] + [1.0] * 11


class Read(HTMLParser):
    """A page's tags and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[tuple[str, bool]] = []
        self.unlabelled = 0
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        hidden = "aria-hidden" in given or (bool(self.open) and self.open[-1][1])
        self.unlabelled += tag == "svg" and not hidden and "aria-label" not in given
        if tag not in ("meta", "link"):
            self.open.append((tag, hidden))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def of(self, *names: str) -> list[dict[str, str]]:
        return [attrs for tag, attrs in self.tags if tag in names]


def test_it_says_what_a_run_came_to_and_asks_for_nothing(store: RunStore) -> None:
    run = made(store, *LOSING)
    html = report_html(run, link="https://towns-ftspace.hf.space/?run=1")
    page = Read(html)
    for said in (
        "base on rows", run.id, "Finished", "exact_match", "9 of 20 answers are worth less", "95 % interval", "2.13.0",
        "1.16.0", "0.0002", "90", "1 that cannot be used", "ab" * 32, "3.000 → 0.500", "python -m ftspace run run.yaml",
        "learning_rate: ", 'href="https://towns-ftspace.hf.space/?run=1"',
    ):  # fmt: skip
        assert said in html, said
    assert "/home/somebody" not in html
    worst = re.findall(r"sample (\d+), exact_match: (\S+) before, (\S+) after", html.partition('id="examples"')[0])
    assert worst == [(str(place), "1", "0") for place in range(5)]

    fetched = [one for attrs in page.of(*{tag for tag, _ in page.tags}) for one in _led(attrs)]
    assert {one for one in fetched if not one.startswith("#")} == {"data:,", "https://towns-ftspace.hf.space/?run=1"}
    assert not page.of("script", "img", "iframe", "object", "base", "form", "input", "button")
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    assert "default-src 'none'" in page.of("meta")[1]["content"]


def _led(attrs: dict[str, str]) -> list[str]:
    return [value for name, value in attrs.items() if name in ("href", "src", "action", "data", "poster", "srcset")]


def test_it_can_be_read_without_seeing_it(store: RunStore) -> None:
    page = Read(report_html(made(store, *LOSING)))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1 and all(after - before < 2 for before, after in pairwise(levels))
    assert page.of("table") and all(attrs.get("scope") in ("col", "row") for attrs in page.of("th"))
    assert page.of("svg") and not page.unlabelled
    assert page.of("html")[0]["lang"] == "en" and page.of("main") and page.of("nav")[0]["aria-label"]
    named = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert {one["href"][1:] for one in page.of("a")} <= set(named) and len(named) == len(set(named))


@pytest.mark.parametrize("evil", EVIL)
def test_whatever_is_in_a_run_stays_text(store: RunStore, evil: str) -> None:
    def tags(text: str) -> list[tuple[str, list[str]]]:
        run = made(store, *LOSING, text=text)
        found = read_results(run.results)
        told = Finding(kind="noise", tone="note", message=text, task=text)
        hostile = {"task": text, "metric": text, "test": text, "role": "earlier", "side": text}
        rows = (*found.rows, *(row.model_copy(update=hostile) for row in found.rows))
        write_results(run.results, found.model_copy(update={"findings": (told,), "rows": rows, "verdict": text}))
        html = report_html(run, link=f"https://{text}")
        cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html, re.DOTALL)
        assert any(escape(text) in cell for cell in cells), "a task's name stands in a table"
        page = Read(html)
        return [(tag, sorted(attrs)) for tag, attrs in page.tags]

    assert tags(evil) == tags("plain text of words")


def test_without_texts_there_are_none(store: RunStore) -> None:
    run = made(store, *LOSING, text="SECRET")
    assert report_html(run).count("SECRET") > 20
    html = report_html(run, texts=False)
    assert "SECRET asked" not in html and "SECRET tuned" not in html and "SECRET right" not in html
    assert "SECRET system" not in html and "SECRET reason" not in html
    assert "9 of 20 answers are worth less" in html and "left out" in html


def test_secrets_are_taken_out_of_every_text_of_the_comparison(store: RunStore) -> None:
    token = "hf_" + "a1B2" * 8
    run = made(store, *LOSING)
    found = read_results(run.results)
    told = Finding(kind="noise", tone="note", message=token, task=token)
    rows = tuple(row.model_copy(update={"task": token, "metric": token, "test": token}) for row in found.rows)
    write_results(run.results, found.model_copy(update={"findings": (told,), "rows": rows, "verdict": token}))
    html = report_html(run)
    assert token not in html and "[redacted]" in html


def test_it_stays_small_however_much_was_asked(store: RunStore) -> None:
    run = made(store, *LOSING)
    for which, score in (("base", 1.0), ("tuned", 0.0)):
        write_log(run.evals / TASK / f"{which}.json", log(which, [score] * 3_000, "\"<&'" * 20))
    html = report_html(run)
    assert "3,000 of 3,000 answers are worth less" in html and len(html.encode()) < 300_000
    long = made(store, *LOSING, text="<&" * 20_000)
    assert len(report_html(long).encode()) < 2_000_000 and "more characters" in report_html(long)


def test_a_run_without_a_comparison_has_a_report_of_what_it_has(store: RunStore) -> None:
    run = store.create(default_config())
    events = EventLog(run.events)
    events.append(Started(job="train", pid=1))
    events.append(Finished(job="train", status="failed", reason="memory", message="/home/somebody/rows.jsonl: SECRET"))
    events.close()
    html = report_html(run)
    assert "Failed. Nothing was compared." in html and "Memory ran out." in html and 'id="recipe"' in html
    assert "SECRET" not in html and "/home/somebody" not in html
    assert 'id="differences"' not in html and 'id="loss"' not in html


def test_the_command_writes_the_file(store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = made(store, *WORSE, text="SECRET")
    words = ["report", run.id, "--data-dir", str(store.runs_dir.parent), "--no-texts", "--out"]
    assert main([*words, str(tmp_path / "new" / "r.html")]) == 0
    html = (tmp_path / "new" / "r.html").read_text()
    assert html.startswith("<!doctype html>") and "SECRET asked" not in html
    assert main([*words, str(tmp_path)]) == 2 and "can't be written" in capsys.readouterr().err
    run.results.write_text("{")
    assert main([*words, str(tmp_path / "r.html")]) == 2 and "results.json" in capsys.readouterr().err
    with pytest.raises(JobError):
        store.get("no-run")
