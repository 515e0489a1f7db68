"""What a picker offers: what is here, what the Hub finds, and what it says while the Hub cannot be asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from ftspace.devices import TABLE
from ftspace.hub.asker import asking_with
from ftspace.hub.finding import search
from ftspace.ui.choose.choice import BEHIND, NAMES, Choice
from ftspace.ui.choose.offers import SILENT_SECONDS, Shelf
from tests.hub.answering import Answering, point_at
from tests.loopback_hub import serve

QWEN = "Qwen/Qwen2.5-0.5B-Instruct"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Answering]:
    search.forget()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    answering = Answering()
    with serve(answering) as address:
        point_at(address, monkeypatch)
        yield answering


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def shelf(clock: Clock | None = None) -> Shelf:
    return Shelf(lambda: TABLE[0], clock or Clock())


def test_what_is_here_comes_before_what_is_found(hub: Answering) -> None:
    hub.says = [{"id": QWEN}, {"id": "towns/qwen", "safetensors": {"parameters": {"BF16": 10**11}, "total": 10**11}}]
    opened = shelf().near("model", ["me/mine"], "me/mine")
    assert opened[1] == ("me/mine", "me/mine") and opened[0][1] == "assets/base" and not hub.asked
    found = shelf().matching("model", "qwen", ["me/mine", "me/qwen-mine"])
    labels = {value: label for label, value in found.choices}
    assert next(iter(labels)) == "me/qwen-mine" and list(labels)[-1] == "towns/qwen" and QWEN in labels
    assert labels["towns/qwen"] == f"towns/qwen{BEHIND}100B, does not fit here"
    assert found.trouble == "" and len(hub.asked) == 1
    assert shelf().matching("model", "q").choices and shelf().matching("dataset", "./rows").choices == []
    assert len(hub.asked) == 1


def test_a_hub_that_is_down_is_asked_once_a_while(hub: Answering) -> None:
    hub.status, hub.says = 503, {}
    clock = Clock()
    mine = shelf(clock)
    first, second = mine.matching("model", "smol"), mine.matching("model", "smollm2")
    assert "answers with status 503" in first.trouble and second.trouble == first.trouble and len(hub.asked) == 1
    assert all("needs the Hub" in label for label, _ in second.choices) and second.choices
    assert mine.matching("model", "assets").choices[0][1] == "assets/base"
    clock.now += SILENT_SECONDS + 1
    hub.status, hub.says = 200, [{"id": "towns/smol"}]
    assert mine.matching("model", "smol").choices[-1][1] == "towns/smol" and mine.matching("model", "").trouble == ""


def test_a_refusal_of_one_visitors_token_is_no_others_business(hub: Answering) -> None:
    hub.status, hub.says = 401, {}
    mine = shelf()
    with asking_with("hf_expired"):
        assert "refuses the token" in mine.matching("model", "smol").trouble
    hub.status, hub.says = 200, [{"id": "towns/smol"}]
    with asking_with("hf_good"):
        found = mine.matching("model", "smol")
    assert found.trouble == "" and found.choices[-1][1] == "towns/smol"
    with asking_with("hf_expired"):
        assert "refuses the token" in mine.matching("model", "smoll").trouble and len(hub.asked) == 2


def test_nobody_is_asked_offline(hub: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = shelf().matching("dataset", "alpaca")
    assert (
        "while offline" in found.trouble and found.offline and not hub.asked and "needs the Hub" in found.choices[-1][0]
    )


def test_an_address_is_taken_as_it_is(hub: Answering) -> None:
    page = "https://huggingface.co/datasets/towns/sums/tree/v2"
    assert shelf().matching("dataset", page).choices == [("towns/sums at v2", page)]
    assert "this is the field of the model" in shelf().matching("model", page).trouble
    assert "not of the Hub" in shelf().matching("model", "https://example.com/a/b").trouble
    assert not hub.asked


def test_what_is_said_of_a_name_is_no_part_of_it() -> None:
    values = dict.fromkeys(NAMES, "") | {"model": f"{QWEN}{BEHIND}0.5B, apache-2.0", "dataset": " me/rows "}
    choice = Choice.of([values[name] for name in NAMES])
    assert (choice.model, choice.dataset) == (QWEN, "me/rows")
