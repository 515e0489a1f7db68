from typing import Any

import pytest

from evals.judge.records import Judgement
from evals.log import EvalLog
from ftspace.redact import keep_secret
from ftspace.report import drill_markup
from ftspace.report.drill import Drill
from ftspace.report.pairs import pairs
from tests.report.made import TASK, log
from tests.ui.test_markup_safety import EVIL, _Tags  # pyright: ignore[reportPrivateUsage]


def a_drill(text: str) -> Drill:
    """Two questions in which every text is this one."""

    def side(name: str, scores: list[float]) -> EvalLog:
        found = log(name, scores, text, task=text)
        given = {"choices": (text, "b"), "logprobs": (-1.0, -2.0), "finish": "length", "overlap": True}
        scored = [
            one.model_copy(update={"scores": {text: one.scores["exact_match"]}, **given}) for one in found.samples
        ]
        return found.model_copy(update={"samples": tuple(scored)})

    base, tuned = side("base", [1.0, 0.0]), side("tuned", [0.0, 0.0])
    told: dict[str, Any] = {"task": TASK, "id": "0", "judge": text, "side": "tuned", "reply": text, "missing": text}
    said = [Judgement(way="pairwise", against="base", first=text, verdict=one, **told) for one in (text, None)]
    said += [Judgement(way="rubric", score=score, **told) for score in (3.0, float("nan"))]
    said.append(Judgement(way="pairwise", against="base", same=True, verdict="tie", **told))
    return Drill(TASK, ("base", "tuned"), pairs(base, base, tuned), said=said)


def html(text: str, address: str = "?") -> str:
    drill = a_drill(text)
    listed = drill_markup.listing(drill, [0, 1], 1, 0, address) + drill_markup.listing(drill, [], 1, None, "")
    return listed + drill_markup.sample(drill, 0, text) + drill_markup.regressions([drill])


@pytest.mark.parametrize("evil", EVIL)
def test_text_stays_text(evil: str) -> None:
    assert _Tags(html(evil, f"?find={evil}")).found == _Tags(html("a plain text of words")).found


def test_secrets_are_taken_out_of_every_cell_and_no_cell_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.redact._kept", {})
    for secret in ("a typed secret", "two\nlines of it"):
        keep_secret(secret)
        assert secret not in html(secret) and "[redacted]" in html(secret)
    assert html("see https://x?token=abcdef").count("data-sample") == html("text").count("data-sample")


def test_what_differs_is_marked_and_still_text() -> None:
    said = html("a <b> word")
    assert "<mark>base" in said and "<mark>tuned" in said and "&lt;b&gt;" in said


def test_what_judges_said_is_told_in_their_words() -> None:
    said = html("words")
    for one in ("no verdict, words", "3 of 10", "no rating, words", "a tie, without asking", "In its own words"):
        assert one in said, one
    assert "1 of 2 answers are worth less than before" in said and "cut off" in said and "contaminated" in said
