"""The card must be taken by the Hub's own validators, tell the truth, and carry no stranger's markup."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from markdown_it import MarkdownIt

from evals.results import Finding, Results, Row
from ftspace.config import parse_config
from ftspace.events import Finished, Prepared
from ftspace.hub.bundle.model_card import Told, model_card
from ftspace.hub.bundle.origins import Origin, Origins
from ftspace.hub.bundle.published import LeftOut
from ftspace.hub.push.records import PushRequest
from ftspace.state import RunState
from tests.finished_run import COMMIT, DATA_COMMIT
from tests.loopback_hub import LoopbackHub, serve
from tests.report.test_results_view import row

BASE = Origin(
    name="owner/base", url="https://hub/owner/base", revision=COMMIT, terms={"license": "mit"}, restricted=None
)
DATA = Origin(
    name="owner/rows",
    url="https://hub/datasets/owner/rows",
    revision=DATA_COMMIT,
    terms={"license": "cc-by-4.0"},
    restricted=None,
)
PREPARED = Prepared(
    rows={"train": 900, "test": 100},
    dropped={"unknown role <script>alert(1)</script>": 2},
    format="messages",
    total_steps=10,
    trainable_parameters=8,
    parameters=1000,
    device="cuda",
    hardware="NVIDIA L4",
    dtype="bfloat16",
)


def told(rows: tuple[Row, ...] | None = (), data: Origin = DATA, **sections: Any) -> Told:
    state = RunState(prepared=PREPARED, ended={"train": Finished(job="train", status="finished", seconds=36000)})
    results = Results(rows=rows, verdict="better on a|b") if rows is not None else None
    config = parse_config({"model": {"id": "owner/base"}} | sections)
    return Told("r", config, Origins(base=BASE, data=data), state, results, PushRequest(repo_id="me/tuned"))


def test_the_hubs_own_validators_take_it_and_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (row("heldout", 0.25, "better"), row("facts", -0.02, "no difference shown", role="forgetting"))
    card = ModelCard(model_card(told(rows)))
    (tmp_path / "hub").mkdir()
    with serve(LoopbackHub(tmp_path / "hub")) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        card.validate()
    front = card.data.to_dict()
    assert (front["base_model"], front["base_model_relation"], front["library_name"]) == (
        "owner/base",
        "adapter",
        "peft",
    )
    assert (front["license"], front["datasets"], front["pipeline_tag"]) == ("mit", ["owner/rows"], "text-generation")
    assert front["tags"] == ["lora", "sft", "trl", "ftspace"]
    name, results = model_index_to_eval_results(front["model-index"])
    assert eval_results_to_model_index(name, results) == front["model-index"]
    found = [(one.dataset_type, one.metric_value, one.dataset_revision) for one in results]
    assert found == [("owner/rows", 0.25, DATA_COMMIT)], "facts is in the table, and no dataset of the Hub"
    args = results[0].metric_args
    assert args is not None and (args["difference_95_low"], args["difference_95_high"], args["n"]) == (0.15, 0.35, 1200)


def test_it_links_by_revision_and_says_what_nobody_looked_at() -> None:
    text = model_card(told((row("heldout", 0.25, "better"),)))
    assert f"https://hub/owner/base/tree/{COMMIT}" in text and f"datasets/owner/rows/tree/{DATA_COMMIT}" in text
    assert (
        f'from_pretrained("owner/base", revision="{COMMIT}")' in text and "+25.0" in text and "+15.0 to +35.0" in text
    )
    assert "about 0.72 kWh. That is an estimate" in text
    assert "What tuning lost: nothing was asked" in text and "Whether a good prompt does as well" in text
    assert "--lora-modules tuned=me/tuned" in text and "`mit`" in text and "`cc-by-4.0`" in text
    bare = model_card(told(None))
    assert "Nobody looked" in bare and "model-index" not in bare
    assert "vLLM does not take it as it is, for it uses DoRA" in model_card(told(None, lora={"dora": True}))


@pytest.mark.parametrize("restricted", ["private", "unknown"])
def test_a_dataset_that_others_cannot_see_is_not_in_the_front_matter(restricted: str) -> None:
    closed = told((row("heldout", 0.25, "better"),), data=DATA.model_copy(update={"restricted": restricted}))
    front = model_card(closed).split("---\n")[1]
    assert "datasets" not in front and "owner/rows" not in front and DATA_COMMIT not in front


def test_no_markup_of_a_stranger_is_in_it() -> None:
    evil = "<img src=x onerror=alert(1)> [a](https://evil) `x` ``<img src=y>`` | y\n\n# z"
    results = Results(
        rows=(row(evil, 0.1, "better"),),
        verdict=evil,
        findings=(Finding(kind="noise", tone="warning", message=evil),),
    )
    data = Origin(name=evil, restricted="unknown", terms={"license": "other", "license_name": evil})
    known = told(data=data)
    text = model_card(
        Told("r", known.config, known.origins, known.state, results, known.request, left_out=(LeftOut(evil, evil),))
    )
    page = MarkdownIt("commonmark").enable("table").render(text.split("---\n", 2)[2])
    for mark in ("<img", "<script", 'href="https://evil', "<h1>z"):
        assert mark not in page, mark
    assert "&lt;img src=x" in page, "it is told, as text"
    assert ModelCard(text).data.to_dict()["pipeline_tag"] == "text-generation"
