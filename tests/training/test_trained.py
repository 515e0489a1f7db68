"""What a training changes in a model is all that has to be put back, whatever the method."""

import copy
from typing import Any

import pytest
import torch
from peft import AdaLoraConfig, LoraConfig, PromptTuningConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig

from ftspace.errors import ModelError
from ftspace.training.trained import is_finite, put_back, ranks_of, trained

ADALORA = AdaLoraConfig(
    task_type="CAUSAL_LM", init_r=4, target_r=2, tinit=1, tfinal=2, deltaT=1, total_step=8, target_modules=["q_proj"]
)
KINDS = {
    "lora, a module and token rows": LoraConfig(
        task_type="CAUSAL_LM",
        r=2,
        target_modules=["q_proj"],
        modules_to_save=["lm_head"],
        trainable_token_indices={"embed_tokens": [3, 7]},
    ),
    "adalora": ADALORA,
    "prompt tuning": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "full": None,
}


class Counted(nn.Module):
    """A layer that changes a stored buffer as it is used, and has one that is not stored."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("passing", torch.ones(5), persistent=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return states * (1 + 0.01 * self.seen)


def make(kind: str) -> Any:
    torch.manual_seed(0)
    shape = LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=40,
        tie_word_embeddings=False,
    )
    model: Any = AutoModelForCausalLM.from_config(shape)
    model.model.norm = nn.Sequential(model.model.norm, Counted())
    config = KINDS[kind]
    return get_peft_model(model, copy.deepcopy(config)) if config else model


def step(model: Any, optimizer: torch.optim.Optimizer, number: int) -> None:
    ids = torch.arange(number, number + 12).view(1, -1) % 40
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    if hasattr(model, "base_model") and hasattr(model.base_model, "update_and_allocate"):
        model.base_model.update_and_allocate(number)
    optimizer.zero_grad()


@pytest.mark.parametrize("kind", KINDS)
def test_put_back_into_a_fresh_model_the_training_goes_on_as_it_did(kind: str) -> None:
    def start() -> tuple[Any, torch.optim.Optimizer]:
        model = make(kind)
        return model, torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.05)

    model, optimizer = start()
    for number in range(5):
        step(model, optimizer, number)
    kept = {name: one.clone() for name, one in trained(model).items()}
    ranks, state = ranks_of(model), copy.deepcopy(optimizer.state_dict())
    assert (ranks is not None) == (kind == "adalora")
    for number in range(5, 8):
        step(model, optimizer, number)

    again, other = start()
    put_back(again, kept, ranks)
    other.load_state_dict(state)
    for number in range(5, 8):
        step(again, other, number)
    expected, found = trained(model), trained(again)
    assert found.keys() == expected.keys() and ranks_of(again) == ranks_of(model)
    assert any(name.endswith("seen") for name in found) and not any(name.endswith("passing") for name in found)
    for name, one in expected.items():
        assert torch.equal(found[name], one), name
    if kind == "full":
        assert len([name for name in found if not name.endswith("seen")]) == len(list(model.parameters()))


def test_another_models_weights_are_refused() -> None:
    with pytest.raises(ModelError, match="not those that this run trains"):
        put_back(make("full"), trained(make("prompt tuning")), None)


def test_one_weight_that_is_no_number_is_found() -> None:
    model = make("prompt tuning")
    assert is_finite(model)
    next(one for one in model.parameters() if one.requires_grad).data[1, 2] = float("inf")
    assert not is_finite(model)
