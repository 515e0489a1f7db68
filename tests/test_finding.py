"""`ftspace find` in a process: what it prints of the short list and of one repository, and what it refuses."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from ftspace.cli import main
from ftspace.hub.finding import search
from ftspace.settings import ASSETS
from tests.hub.answering import point_at
from tests.loopback_hub import LoopbackHub, serve


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    shutil.copytree(ASSETS / "base", root / "models" / "towns" / "base")
    with serve(LoopbackHub(root)) as address:
        yield address


@pytest.fixture(autouse=True)
def _there(address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    search.forget()
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.setenv("FTSPACE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    point_at(address, monkeypatch)


def test_an_address_is_told_in_full(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "models", f"{address}/towns/base/tree/main", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert (said["id"], said["parameters"], said["context"], said["license"]) == (
        "towns/base",
        3346944,
        512,
        "apache-2.0",
    )
    assert said["fits"]["verdict"] == "yes" and said["fits"]["needs"] < said["fits"]["has"]
    assert main(["find", "models", f"{address}/towns/base"]) == 0
    table = capsys.readouterr().out
    assert "512 tokens" in table and "yes: needs" in table
    assert main(["find", "models", "base"]) == 0
    assert "towns/base" in capsys.readouterr().out
    assert main(["find", "models", "assets/base", "--json"]) == 0
    (here,) = json.loads(capsys.readouterr().out)
    same = ("parameters", "bytes", "context", "template", "license", "unfit")
    assert [here[name] for name in same] == [said[name] for name in same]


def test_without_a_text_the_short_list_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "datasets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["id"] == "assets/datasets/people.jsonl"
    assert main(["find", "models"]) == 0
    assert "needs the Hub" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["models", "https://example.com/a/b"], "not of the Hub"),
        (["models", "hf.co/datasets/towns/sums"], "ftspace find datasets"),
        (["models", "towns", "--limit", "0"], "give a number from 1 to 100"),
        (["models", "hf.co/towns/nobody"], "there is no model towns/nobody"),
    ],
)
def test_what_cannot_be_told_is_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
