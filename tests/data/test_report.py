"""The tally of a dataset: what is counted, what is said about it, and that parts merge to the same in any order."""

import pickle
from collections.abc import Sequence
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.data.messages import Conversation
from ftspace.data.quality import Flag, language, look
from ftspace.data.report import DataReport, Tally
from ftspace.sections import Finding

FINDINGS: tuple[Finding, ...] = get_args(Finding)
SAID = "The grey sea lies flat under low clouds, and nobody is there."


def talk(answer: str, ask: str = "What is it?") -> Conversation:
    return [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]


def tallied(answers: Sequence[str]) -> Tally:
    tally = Tally()
    for row, answer in enumerate(answers):
        conversation = talk(answer)
        tally.add(row, conversation, look(conversation), language(conversation))
    return tally


def marked(finding: Finding, rows: int, of: int) -> Tally:
    tally = Tally()
    for row in range(of):
        tally.add(row, talk(f"{SAID} {row}"), [], "en")
        if row < rows:
            tally.mark(row, finding, f"row {row}")
    return tally


def test_the_report_counts_rows_and_keeps_the_first_examples() -> None:
    tally = tallied([f"{SAID} See {row}.<br>" if row % 2 else f"{SAID} {row}" for row in range(40)])
    tally.mark(4, "duplicate", "as row 2")
    report = tally.report(removed=["markup"])
    assert report.rows == 40
    assert [(one.finding, one.rows, one.share, one.removed) for one in report.found] == [
        ("markup", 20, 0.5, True),
        ("duplicate", 1, 0.025, False),
    ]
    assert [example.row for example in report.found[0].examples] == [1, 3, 5, 7, 9]
    assert report.found[1].examples[0].excerpt == "as row 2"
    assert report.languages == {"en": 40}
    assert report.answers == {}
    assert report.warnings == []
    assert DataReport.model_validate_json(report.model_dump_json()) == report


def test_labels_are_counted_and_their_being_short_is_no_warning() -> None:
    report = tallied(["negative"] * 91 + ["positive "] * 9).report([])
    assert report.answers == {"negative": 91, "positive": 9}
    assert [one.finding for one in report.found] == ["short_answer"]
    (warning,) = report.warnings
    assert warning.startswith("91 % of the answers are `negative`: the tuned model may learn to say only that; ")


LABELS = {
    "balanced": (["yes"] * 50 + ["no"] * 50, ""),
    "a rare class": (["a"] * 50 + ["b"] * 48 + ["c"] * 4, "`a` is 12 times as common as `c` (50 rows to 4)"),
    "one class": (["yes"] * 9, "all answers are `yes`"),
    "sentences": ([f"{SAID} {row}" for row in range(50)], ""),
    "words that differ": ([f"word{row}" for row in range(200)], ""),
    "a private label": (["a.holm@posteo.de"] * 95 + ["none"] * 5, "95 % of the answers are `a***@***.de`"),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_warning_where_one_answer_outweighs_the_others(name: str) -> None:
    answers, words = LABELS[name]
    warnings = [warning for warning in tallied(answers).report([]).warnings if "personal" not in warning]
    assert bool(warnings) == bool(words)
    assert all(words in warning for warning in warnings)


WARNED: dict[tuple[Finding, int], str] = {
    (
        "secret",
        1,
    ): "1 row holds what looks like an API key or a password; it will be learnt: add secret to data.filters",
    (
        "secret",
        3,
    ): "3 rows hold what looks like an API key or a password; they will be learnt: add secret to data.filters",
    ("personal", 4): "4 rows (2 %) hold what looks like personal data",
    ("overlap", 1): "1 row holds the question of a test row",
    ("refusal", 10): "10 rows (5 %) hold a refusal",
    ("refusal", 1): "",
    ("duplicate", 40): "20 % of the rows repeat others",
    ("near_duplicate", 40): "add near_duplicate to data.filters",
    ("duplicate", 4): "",
    ("markup", 4): "",
    ("markup", 20): "20 rows (10 %) hold remains of HTML",
    ("short_answer", 40): "20 % of the answers are one word or none",
    ("other_language", 40): "",
}


@pytest.mark.parametrize(("finding", "rows"), WARNED)
def test_a_finding_is_warned_of_from_some_share_on(finding: Finding, rows: int) -> None:
    of, words = 400 if rows < 4 else 200, WARNED[finding, rows]
    warnings = marked(finding, rows, of).report([]).warnings
    assert len(warnings) == bool(words)
    assert all(words in warning for warning in warnings)
    assert marked(finding, rows, of).report([finding]).warnings == []


def test_several_languages_are_said_with_their_shares() -> None:
    tally = Tally()
    for row in range(100):
        tally.add(row, talk(f"{SAID} {row}"), [], "de" if row % 5 == 0 else "en" if row != 1 else "fr")
    (warning,) = tally.report([]).warnings
    assert "more than one language (79 % en, 20 % de)" in warning
    assert tally.report(["other_language"]).warnings == []


def test_no_rows_make_an_empty_report() -> None:
    assert Tally().report([]) == DataReport(rows=0, found=[], languages={}, answers={}, warnings=[])


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["yes", "no", "no ", "maybe so", "\ud800", "x" * 90, *(f"word {n}" for n in range(120))]),
        st.sets(st.sampled_from(FINDINGS), max_size=3),
        st.sampled_from(["", "en", "de"]),
    ),
    max_size=130,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_parts_merge_to_the_same_report_in_any_order(
    rows: list[tuple[str, set[Finding], str]], data: st.DataObject
) -> None:
    whole, parts = Tally(), [Tally() for _ in range(4)]
    place = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    for row, ((answer, findings, code), part) in enumerate(zip(rows, place, strict=True)):
        flags = [Flag(finding, f"row {row}") for finding in sorted(findings)]
        for tally in (whole, parts[part]):
            tally.add(row, talk(answer), flags, code)
    parts = pickle.loads(pickle.dumps(parts))
    order = data.draw(st.permutations(parts))
    while len(order) > 1:
        at = data.draw(st.integers(0, len(order) - 2))
        order[at].merge(order.pop(at + 1))
    report = whole.report(["markup"])
    assert order[0].report(["markup"]) == report
    assert DataReport.model_validate_json(report.model_dump_json()) == report


def test_a_tally_stays_small() -> None:
    tally = Tally()
    for row in range(5000):
        tally.add(row, talk(f"word{row}"), [Flag("short_answer", f"word{row}")], "en")
    assert len(pickle.dumps(tally)) < 2000
