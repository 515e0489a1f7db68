"""Sides that answer at the same time: followed, stopped, failed alone, and judged beside each other."""

import csv
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ftspace.answering import Answer, Answering, How, Turn, conversation, load, verdict
from ftspace.asking import to_csv
from ftspace.errors import ConfigError, JobError
from ftspace.inference.client import SideFailed
from ftspace.questions import Question
from ftspace.runs import Run

RUN = Run(Path("nowhere"))


class Scripted:
    """Says what it was told to, in place of models that take a while to load."""

    def __init__(self, *pieces: tuple[str, str] | SideFailed, endless: bool = False) -> None:
        self.pieces, self.endless = pieces, endless
        self.closed = threading.Event()
        self.heard: dict[str, Any] = {}

    def together(
        self, run: Run, sides: list[str], messages: Mapping[str, Any], *, cut: set[str], **how: Any
    ) -> Generator[tuple[str, str]]:
        self.heard = {"sides": sides, "messages": messages, **how}
        try:
            yield from self.pieces
            while self.endless:
                time.sleep(0.01)
                yield sides[0], "more "
            cut.add("tuned")
            yield "tuned", ""
        finally:
            self.closed.set()

    def open(self, run: Run, token: str | None, also: Any) -> None:
        time.sleep(0.3)
        raise JobError("the machine is at work")


def work(models: Any, *sides: str) -> Answering:
    return Answering(models, RUN, {side: conversation([], side, "", "Hi?") for side in sides}, How(max_tokens=7))


def test_all_are_followed_to_their_ends_and_one_may_fail_alone() -> None:
    models = Scripted(("base", "one "), ("tuned", "two"), SideFailed("base", "out of memory"))
    found = work(models, "base", "tuned")
    list(found.follow())
    base, tuned = found.answers["base"], found.answers["tuned"]
    assert (base.text, base.failed, base.cut) == ("one ", "out of memory", False)
    assert (tuned.text, tuned.failed, tuned.cut) == ("two", "", True)
    assert models.heard["max_tokens"] == 7 and models.heard["sides"] == ["base", "tuned"]


def test_stopping_ends_the_answers_and_keeps_what_was_written() -> None:
    models = Scripted(("tuned", ""), endless=True)
    found = work(models, "base", "tuned")
    with closing(found.follow()) as ticks:
        while len(found.answers["base"].text) < 10:
            next(ticks)
    assert models.closed.wait(5) and found.answers["base"].stopped and not found.answers["tuned"].stopped
    assert found.answers["base"].text.startswith("more more")


def test_loading_tells_the_time_and_fails_in_words() -> None:
    ticks: list[float] = []
    with pytest.raises(JobError, match="at work"):
        ticks.extend(load(Scripted(), RUN, None))  # pyright: ignore[reportArgumentType]
    assert not ticks or ticks == sorted(ticks)


def test_whatever_keeps_models_from_loading_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Scripted, "open", full)
    with pytest.raises(OSError, match="no room"):
        list(load(Scripted(), RUN, None))  # pyright: ignore[reportArgumentType]


def test_each_side_goes_on_from_its_own_answers() -> None:
    turns = [
        Turn("One?", {"base": Answer("a "), "tuned": Answer("b")}),
        Turn("Two?", {"base": Answer(""), "tuned": Answer("c")}),
    ]
    said = {
        side: [one["content"] for one in conversation(turns, side, "Be kind.", "Three?")]
        for side in ("base", "tuned", "new")
    }
    assert said == {
        "base": ["Be kind.", "One?", "a", "Three?"],
        "tuned": ["Be kind.", "One?", "b", "Two?", "c", "Three?"],
        "new": ["Be kind.", "Three?"],
    }


@pytest.mark.parametrize(
    ("base", "tuned", "expected", "said"),
    [
        ("red", " red", (), "same"),
        ("red", "blue", (), "differs"),
        ("red", "blue", ("blue",), "only the tuned model is right"),
        ("red", "It is red", ("red",), "differs, all are right"),
        ("red", "blue", ("green",), "differs, none is right"),
        ("red", "red", ("green",), "same, wrong"),
    ],
)
def test_answers_are_judged_in_a_few_words(base: str, tuned: str, expected: tuple[str, ...], said: str) -> None:
    asked = Question(question="=What?", answers=expected)
    answers = {"base": Answer(base), "tuned": Answer(tuned)}
    assert verdict(asked, answers) == said
    row = next(csv.reader(to_csv([(asked, answers)], ["base", "tuned"]).splitlines()[1:]))
    assert row == ["'=What?", " / ".join(expected), base, tuned, said]
    assert verdict(asked, answers | {"base": Answer(failed="gone")}) == "no answer of the base"


@pytest.mark.parametrize(
    "wrong", [lambda: How(max_tokens=0), lambda: How(temperature=-1), lambda: How(top_p=0), lambda: How(seed=-1)]
)
def test_settings_that_no_model_takes_are_refused(wrong: Callable[[], How]) -> None:
    with pytest.raises(ConfigError):
        wrong()
