from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM

from evals.adapters import add_adapters
from evals.errors import ModelError
from evals.models import load_comparison
from evals.sides import names, switched
from tests.evals.conftest import make_adapter, make_tokenizer

IDS = torch.tensor([[2, 40, 50, 3, 60], [1, 41, 2, 61, 3]])


def logits(model: Any, which: str) -> torch.Tensor:
    with torch.inference_mode(), switched(model, which):
        return model(IDS).logits


@pytest.mark.parametrize("name", ["tied", "untied"])
def test_two_adapters_on_one_base_answer_as_each_alone(
    name: str, bases: dict[str, Path], adapters: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer = make_tokenizer()
    added = {
        key: make_adapter(LlamaForCausalLM.from_pretrained(bases[name]), tmp_path / key, tokenizer, seed)
        for key, seed in (("b", 5), ("c", 6))
    }
    model, own = load_comparison(bases[name], adapters[name], device="cpu")
    wanted = {"tuned": logits(model, "tuned"), "base": logits(model, "base")}
    add_adapters(model, own, added)
    assert names(model) == ["base", "tuned", "b", "c"]
    wanted |= {key: logits(load_comparison(bases[name], added[key], device="cpu")[0], "tuned") for key in added}
    for which in ("c", "base", "b", "tuned", "c", "b"):
        assert torch.equal(logits(model, which), wanted[which]), which
    assert len({tuple(one.flatten().tolist()) for one in wanted.values()}) == 4


def test_what_cannot_share_the_base_is_refused(
    bases: dict[str, Path], adapters: dict[str, Path], tmp_path: Path
) -> None:
    tied = LlamaForCausalLM.from_pretrained(bases["tied"])
    other = make_adapter(tied, tmp_path / "other", make_tokenizer(template="{{ messages }}"))
    rowless = make_adapter(tied, tmp_path / "rowless", make_tokenizer(), rows=False)
    model, own = load_comparison(bases["tied"], adapters["tied"], device="cpu")
    cases: list[tuple[str, Path, str]] = [
        ("other", other, "another tokenizer or chat template"),
        ("rows", rowless, "trainable_token_indices are not those"),
        ("tuned", adapters["tied"], "each is used once"),
        ("a.b", adapters["tied"], "without dots"),
        ("whole", bases["tied"], "shares no weights"),
    ]
    for name, folder, words in cases:
        with pytest.raises(ModelError, match=words):
            add_adapters(model, own, {name: folder})
    with pytest.raises(ModelError, match="no adapter called nobody"):
        logits(model, "nobody")
    with pytest.raises(ModelError, match="no adapter, so there is no tuned model"):
        logits(load_comparison(bases["tied"], None, device="cpu")[0], "tuned")
