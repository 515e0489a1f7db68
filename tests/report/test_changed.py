"""Did anything change, in plain sentences."""

import math

import pytest

from evals.results import Change, Finding, Results
from ftspace.report.changed import changed


def results(identical: float, kl: float, norm: float, *findings: Finding) -> Results:
    found = Change(
        identical=identical, answers=200, kl=kl, kl_tokens=50, update_norm=norm, updates={"q_proj": 2 * norm}
    )
    return Results(rows=(), verdict="", findings=findings, change=found)


@pytest.mark.parametrize(
    ("found", "headline", "said"),
    [
        (results(0.0, 7.0, 0.08), "Yes", ["None of 200 answers", "far apart: 7 nats", "by 8 %", "q_proj (by 16 %)"]),
        (results(0.25, 0.01, 0.08), "Yes", ["50 of 200 answers (25 %)", "slightly apart"]),
        (results(1.0, 1e-5, 1e-4), "Hardly", ["All 200 answers", "practically alike"]),
        (results(1.0, math.nan, 0.0), "Hardly", ["by nothing"]),
        (
            results(1.0, 0.0, 0.0, Finding(kind="adapter did nothing", tone="bad", message="It is the base.")),
            "The adapter changes nothing",
            ["is the base"],
        ),
    ],
)  # fmt: skip
def test_what_was_measured_is_told_in_words(found: Results, headline: str, said: list[str]) -> None:
    told = changed(found)
    assert told.headline.startswith(headline)
    assert all(words in " ".join(told.sentences) for words in said)


def test_what_was_not_measured_is_said_to_be_so() -> None:
    assert "not measured" in changed(Results(rows=(), verdict="")).headline
