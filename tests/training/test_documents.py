from copy import deepcopy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, MambaConfig, MistralConfig, PretrainedConfig

from ftspace.supervision import IGNORED
from ftspace.training.documents import ATTENTION, adopt, documents, parted
from ftspace.training.heads import fuses, summed_loss
from ftspace.training.lora_product import fuse
from ftspace.training.trainer import part_loss

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 300,
}
LENGTHS = (5, 17, 33, 9, 17, 5, 40, 17)
CPU = torch.device("cpu")


def make(config: PretrainedConfig):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(deepcopy(config))


def make_rows() -> list[dict[str, list[int]]]:
    torch.manual_seed(1)
    rows = [torch.randint(0, 300, (length,)).tolist() for length in LENGTHS]
    return [{"input_ids": ids, "labels": [IGNORED] * (len(ids) // 2) + ids[len(ids) // 2 :]} for ids in rows]


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize(
    "config",
    [LlamaConfig(**SHAPE, tie_word_embeddings=True), MistralConfig(**SHAPE, sliding_window=7)],
    ids=["llama", "sliding window"],
)
def test_no_conversation_sees_another_loss_and_gradients_are_those_of_each_alone(
    config: PretrainedConfig, fused: bool
) -> None:
    model = make(config)
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    rows = make_rows()
    counts = [sum(label != IGNORED for label in row["labels"]) for row in rows]
    alone = torch.zeros(())
    for row, count in zip(rows, counts, strict=True):
        ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
        alone = alone + tuned(input_ids=ids, labels=labels).loss * count / sum(counts)
    alone.backward()
    expected = {name: one.grad for name, one in tuned.named_parameters() if one.grad is not None}

    assert adopt(model, rows) is None and model.config._attn_implementation == ATTENTION
    whole = documents(rows)
    if fused:
        assert fuse(tuned) == 14 and fuses(tuned, *whole.inputs(CPU))
    assert whole.supervised == sum(counts)
    for most, passes in ((10, 7), (30, 6), (1000, 1)):
        tuned.zero_grad()
        parts = list(parted(whole, most))
        assert len(parts) == passes and sum(len(part.lengths) for part in parts) == len(rows)
        together = 0.0
        for part in parts:
            loss, _ = part_loss(tuned, part, CPU, fused=fused)
            (loss / whole.supervised).backward()
            together += loss.item() / whole.supervised
        assert together == pytest.approx(alone.item(), abs=1e-5)
        for name, one in tuned.named_parameters():
            if one.requires_grad:
                torch.testing.assert_close(one.grad, expected[name], atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (Gemma2Config(**SHAPE, head_dim=16), "attends in a way of its own"),
        (MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=300, state_size=4), "differ|way of its own"),
    ],
    ids=["soft caps", "state space"],
)
def test_a_model_that_would_mix_conversations_is_left_as_it_is(config: PretrainedConfig, why: str) -> None:
    model = make(config)
    own = model.config._attn_implementation
    refused = adopt(model, make_rows())
    assert refused is not None
    assert any(words in refused for words in why.split("|"))
    assert model.config._attn_implementation == own


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_filler_changes_no_loss_and_makes_sizes_that_come_again(dtype: torch.dtype) -> None:
    model = make(LlamaConfig(**SHAPE, tie_word_embeddings=True)).to(dtype)
    rows = make_rows()
    assert adopt(model, rows) is None
    whole = documents(rows)
    plain, filled = (whole.inputs(CPU, multiple) for multiple in (1, 64))
    assert (plain[0]["input_ids"].shape[1], filled[0]["input_ids"].shape[1]) == (sum(LENGTHS), 192)
    losses = [summed_loss(model, *given, fused=fused)[0].item() for given in (plain, filled) for fused in (False, True)]
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-5 if dtype == torch.float32 else 1e-2)
