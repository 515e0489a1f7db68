import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model

from evals.models import peft_quiet
from evals.sides import Whole
from evals.updates import update_norms
from tests.evals.conftest import make_model

QV = ["q_proj", "v_proj"]
CONFIGS: dict[str, dict[str, Any]] = {
    "lora": {"target_modules": "all-linear"},
    "rslora, tokens": {"target_modules": QV, "use_rslora": True, "trainable_token_indices": [2, 3]},
    "dora": {"target_modules": QV, "use_dora": True},
    "embeddings": {"target_modules": [*QV, "embed_tokens"]},
    "saved": {"target_modules": QV, "modules_to_save": ["down_proj", "lm_head"]},
    "dora of embeddings": {"target_modules": ["embed_tokens"], "use_dora": True},
}


def shaken(model: Any) -> Any:
    """All that is trained, moved at random."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.1)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "tied"), [*((name, False) for name in CONFIGS), *((name, True) for name in list(CONFIGS)[:3])]
)
def test_norms_are_those_of_the_merged_weights(name: str, tied: bool) -> None:
    base = make_model(tied, 300)
    before = {key: value.detach().clone() for key, value in base.named_parameters()}
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=3, **CONFIGS[name])
    with peft_quiet():
        tuned: Any = shaken(get_peft_model(base, config))
        total, kinds = update_norms(tuned)
        merged = dict(tuned.merge_and_unload().named_parameters())
    update: dict[str, float] = {}
    weight: dict[str, float] = {}
    for key, value in before.items():
        moved = float((merged[key].detach() - value).double().square().sum())
        if moved > 0:
            kind = key.split(".")[-2]
            update[kind] = update.get(kind, 0) + moved
            weight[kind] = weight.get(kind, 0) + float(value.double().square().sum())
    assert kinds == {kind: pytest.approx(math.sqrt(update[kind] / weight[kind]), rel=1e-4) for kind in update}
    assert total == pytest.approx(math.sqrt(sum(update.values()) / sum(weight.values())), rel=1e-4)


def test_an_untouched_adapter_has_moved_nothing_and_a_trained_prompt_moves_no_weights() -> None:
    with peft_quiet():
        fresh = get_peft_model(make_model(True, 300), LoraConfig(task_type="CAUSAL_LM", target_modules=QV))
        prompt = get_peft_model(make_model(True, 300), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
        scaled = get_peft_model(
            make_model(True, 300),
            IA3Config(task_type="CAUSAL_LM", target_modules=QV, feedforward_modules=[]),
        )
    assert update_norms(fresh) == (0.0, {"q_proj": 0.0, "v_proj": 0.0})
    assert math.isnan(update_norms(prompt)[0]) and math.isnan(update_norms(scaled)[0])


def test_a_model_tuned_whole_is_measured_weight_by_weight(tmp_path: Path) -> None:
    base, tuned = make_model(True, 300), make_model(True, 300)
    with torch.no_grad():
        tuned.model.layers[1].mlp.up_proj.weight.mul_(1.5)
    pair = Whole(base, tuned)
    total, kinds = update_norms(pair)
    ups = [layer.mlp.up_proj.weight for layer in make_model(True, 300).requires_grad_(False).model.layers]
    moved = float(ups[1].square().sum() / 4)
    assert kinds.pop("up_proj") == pytest.approx(math.sqrt(moved / float(sum(up.square().sum() for up in ups))))
    assert set(kinds.values()) == {0.0} and 0 < total < 0.5
