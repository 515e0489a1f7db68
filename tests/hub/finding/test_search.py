"""What the Hub says of models and datasets, and what is made of it: over HTTP, with the client's own session."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from ftspace.devices import TABLE, device_named
from ftspace.errors import HubError, ModelError
from ftspace.hub.asker import asking_with
from ftspace.hub.finding import search
from ftspace.hub.finding.facts import dataset_words, fit_of_facts, in_a_line, model_words, plain
from ftspace.hub.finding.shortlist import in_cache, shortlist
from ftspace.settings import ASSETS
from tests.hub.answering import Answering, point_at
from tests.loopback_hub import READER_TOKEN, Fault, LoopbackHub, serve

LLAMA = {
    "id": "towns/large",
    "sha": "a" * 40,
    "private": False,
    "gated": "manual",
    "likes": 1200,
    "downloads": 3_400_000,
    "tags": ["safetensors", "license:llama3.2"],
    "safetensors": {"parameters": {"BF16": 8_030_261_248}, "total": 8_030_261_248},
    "config": {"model_type": "llama", "tokenizer_config": {"chat_template": "{{ messages }}"}},
    "cardData": {"license": "other", "license_name": "towns-license"},
}
SILENT = {"id": "towns/silent", "tags": ["safetensors"]}
ADAPTER = {"id": "towns/adapter", "tags": ["safetensors", "peft", "base_model:adapter:towns/large"]}
SUMS = {
    "id": "towns/sums",
    "private": True,
    "gated": False,
    "mainSize": 2_500_000,
    "tags": ["size_categories:10K<n<100K", "license:mit"],
    "cardData": {
        "dataset_info": {
            "config_name": "default",
            "splits": [{"name": "train", "num_examples": 7473}, {"name": "test", "num_examples": 1319}],
        }
    },
}
RANGE = {"id": "towns/many", "tags": ["size_categories:10K<n<100K"], "cardData": {"dataset_info": "see below"}}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    search.forget()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Answering, str]]:
    hub = Answering()
    with serve(hub) as address:
        yield hub, address


@pytest.fixture
def answering(served: tuple[Answering, str], monkeypatch: pytest.MonkeyPatch) -> Answering:
    hub, address = served
    hub.says, hub.status, hub.asked = [], 200, []
    point_at(address, monkeypatch)
    return hub


def test_models_are_told_by_what_the_hub_says_of_them(answering: Answering) -> None:
    answering.says = [LLAMA, SILENT, ADAPTER]
    large, silent = search.search_models(" towns ")
    asked = answering.asked[0].query_params
    assert (asked["search"], asked["limit"], asked["filter"], asked["sort"]) == (
        "towns",
        "20",
        "safetensors",
        "downloads",
    )
    assert "safetensors" in asked.getlist("expand")
    assert (large.parameters, large.bytes, large.dtype) == (8_030_261_248, 16_060_522_496, "bfloat16")
    assert (large.license, large.gated, large.private, large.template) == ("towns-license", "manual", False, True)
    assert large.context is None
    assert {name for name, value in plain(silent).items() if value} == {"id"}
    assert {value for _, value in model_words(silent, fit_of_facts(silent, TABLE[0]))} == {"not known"}
    fits = [fit_of_facts(large, device_named(name, TABLE[0])) for name in ("T4", "A100-80")]
    assert [one and (one.verdict, one.rough) for one in fits] == [("4 bits", True), ("yes", True)]
    assert in_a_line(large, fits[0]) == "8B, fits in 4 bits, towns-license, gated, 3.4M downloads"
    json.dumps(plain(large, fits[0]))


def test_datasets_are_told_by_what_the_hub_says_of_them(answering: Answering) -> None:
    answering.says = [SUMS, RANGE]
    sums, many = search.search_datasets("towns", 5)
    assert (sums.rows, sums.bytes, sums.license, sums.private) == (8792, 2_500_000, "mit", True)
    assert [(one.name, one.rows) for one in sums.splits] == [("train", 7473), ("test", 1319)]
    assert (many.rows, many.about_rows) == (None, "10K<n<100K")
    assert dict(dataset_words(many))["rows"] == "10K<n<100K"
    json.dumps([plain(sums), plain(many)])


def test_an_answer_is_kept_for_the_one_who_asked(answering: Answering) -> None:
    answering.says = [SILENT]
    for token in ("hf_one", "hf_one", "hf_two"):
        with asking_with(token):
            search.search_models("silent")
    assert [one.headers["authorization"] for one in answering.asked] == ["Bearer hf_one", "Bearer hf_two"]


@pytest.mark.parametrize(
    ("status", "says", "said"),
    [
        (429, {}, "too many requests"),
        (401, {}, "refuses the token"),
        (503, {}, "answers with status 503"),
        (200, {"error": "no list"}, "answers a search with something else"),
        (200, [{"no": "id"}], "answers a search with something else"),
    ],
)
def test_a_refusal_is_named_at_once(answering: Answering, status: int, says: Any, said: str) -> None:
    answering.status, answering.says = status, says
    with pytest.raises(HubError, match=said):
        search.search_models("towns")
    assert len(answering.asked) == 1


def test_a_hub_out_of_reach_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    with pytest.raises(HubError, match="cannot be asked"):
        search.search_datasets("towns")


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LoopbackHub, str]]:
    root = tmp_path_factory.mktemp("hub")
    for name in ("base", "gated"):
        shutil.copytree(ASSETS / "base", root / "models" / "towns" / name)
    (root / "models" / "towns" / "gated" / ".gated").touch()
    shutil.copytree(ASSETS / "base", root / "models" / "people" / "t5")
    (root / "models" / "people" / "t5" / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    (root / "models" / "towns" / "base" / "consolidated.safetensors").write_bytes(b"the same once more")
    adapter = root / "models" / "towns" / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (root / "datasets" / "towns" / "sums").mkdir(parents=True)
    (root / "datasets" / "towns" / "sums" / "train.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n')
    hub = LoopbackHub(root)
    hub.store.repo("models", "towns", "gated").let_in("reader")
    with serve(hub) as address:
        yield hub, address


@pytest.fixture
def loopback(lent: tuple[LoopbackHub, str]) -> str:
    return lent[1]


def test_a_model_is_told_in_full(loopback: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(loopback, monkeypatch)
    found = search.describe_model("towns/base")
    assert found and found.shape
    assert (found.parameters, found.dtype, found.context, found.template) == (3_346_944, "bfloat16", 512, False)
    assert (found.license, found.gated, found.private, found.unfit) == ("apache-2.0", "no", False, "")
    assert found.bytes == (ASSETS / "base" / "model.safetensors").stat().st_size, "what is loaded, and no second form"
    fit = fit_of_facts(found, TABLE[0])
    assert fit and fit.verdict == "yes" and not fit.rough
    adapter = search.describe_model("towns/adapter")
    assert adapter and "it is an adapter" in adapter.unfit and fit_of_facts(adapter, TABLE[0]) is None
    both = search.describe_model("people/t5")
    assert both and "an encoder and a decoder" in both.unfit and fit_of_facts(both, TABLE[0]) is None
    closed = search.describe_model("towns/gated")
    assert closed and (closed.gated, closed.closed, closed.context, closed.shape) == ("auto", True, None, None)
    rough = fit_of_facts(closed, TABLE[0])
    assert rough and rough.rough
    with pytest.raises(ModelError, match="there is no model towns/nobody"):
        search.describe_model("towns/nobody")
    with asking_with(READER_TOKEN):
        mine = search.describe_model("towns/gated")
    assert mine and mine.gated == "auto" and mine.context == 512 and mine.closed is False
    sums = search.describe_dataset("towns/sums")
    assert sums and sums.rows is None and sums.bytes == 36


def test_what_cannot_be_read_now_is_not_known_and_is_asked_for_once(
    lent: tuple[LoopbackHub, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, address = lent
    point_at(address, monkeypatch)
    monkeypatch.setattr(hub, "faults", [Fault("status", path=".*/tokenizer_config.json", status=503, times=None)])
    hub.requests.clear()
    found = search.describe_model("towns/base")
    assert found and (found.context, found.template, found.closed) == (512, None, False)
    assert dict(model_words(found, None))["chat template"] == "not known"
    assert sum("tokenizer_config.json" in str(one) for one in hub.requests) == 1
    hub.faults = [Fault("status", path=".*/config.json", status=503, times=None)]
    gated = search.describe_model("towns/gated")
    assert gated and (gated.gated, gated.closed, gated.context) == ("auto", None, None), "nobody was turned away"


def test_a_search_finds_what_has_the_words_in_its_name(loopback: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(loopback, monkeypatch)
    found = {one.id: one for one in search.search_models("towns")}
    assert set(found) == {"towns/base", "towns/gated"}, "an adapter is no model to tune"
    base, gated = found["towns/base"], found["towns/gated"]
    assert (base.parameters, base.bytes, base.dtype) == (3_346_944, 6_693_888, "bfloat16")
    assert (base.license, base.gated, gated.gated, base.template) == ("apache-2.0", "no", "auto", None)
    assert [one.id for one in search.search_models("base town")] == ["towns/base"]
    assert search.search_models("nowhere") == ()
    assert [(one.id, one.bytes) for one in search.search_datasets("sums")] == [("towns/sums", 36)]


def test_the_short_list_knows_what_is_here(tmp_path: Path) -> None:
    models, datasets = shortlist("model"), shortlist("dataset")
    assert [one.id for one in (models[0], datasets[0])] == ["assets/base", "assets/datasets/people.jsonl"]
    assert [one.id for one in (*models, *datasets) if one.here] == [models[0].id, datasets[0].id]
    names = [one.id for one in (*models[1:], *datasets[1:])]
    assert len(set(names)) == len(names) and all(name.count("/") == 1 for name in names)
    assert all(one.why and one.size for one in (*models, *datasets))
    folder = tmp_path / "cache" / "models--towns--base" / "snapshots" / ("a" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").touch()
    assert not in_cache("model", "towns/base")
    shards = [f"model-{number:05}-of-00002.safetensors" for number in (1, 2)]
    (folder / shards[0]).touch()
    assert not in_cache("model", "towns/base"), "one of two"
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(zip("ab", shards, strict=True))})
    )
    assert not in_cache("model", "towns/base")
    (folder / shards[1]).touch()
    assert in_cache("model", "towns/base")
