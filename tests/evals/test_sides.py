"""Sides that are no LoRA adapter: trained prompts and prefixes, whole models, and quantized bases."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import LlamaForCausalLM

from evals.errors import ModelError
from evals.executor import Executor
from evals.models import load_base, load_comparison, peft_quiet
from evals.sides import Side
from tests.evals.conftest import make_tokenizer
from tests.evals.test_executor import ask

IDS = torch.tensor([[2, 40, 50, 3, 60], [1, 41, 2, 61, 3]])
PROMPTS = {"prompt": PromptTuningConfig, "prefix": PrefixTuningConfig}


@pytest.mark.parametrize("kind", PROMPTS)
def test_a_trained_prompt_s_answers_do_not_depend_on_the_batch(
    kind: str, tmp_path: Path, bases: dict[str, Path]
) -> None:
    torch.manual_seed(3)
    with peft_quiet():
        tuned: Any = get_peft_model(
            LlamaForCausalLM.from_pretrained(bases["tied"]), PROMPTS[kind](task_type="CAUSAL_LM", num_virtual_tokens=6)
        )
    tuned.prompt_encoder["default"].embedding.weight.data.normal_()
    tuned.save_pretrained(str(tmp_path), save_embedding_layers=False)
    make_tokenizer().save_pretrained(tmp_path)
    pair = load_comparison(bases["tied"], tmp_path)
    one, many = Executor(*pair, batch_tokens=1), Executor(*pair)
    assert many.max_length == 250
    alone = one.generate(ask(one), 8, "tuned")
    assert alone == many.generate(ask(many), 8, "tuned") != many.generate(ask(many), 8, "base")
    plain = Executor(*load_comparison(bases["tied"], None), chat_template=make_tokenizer().chat_template)
    assert many.generate(ask(many), 8, "base") == plain.generate(ask(plain), 8, "base")
    for prompt, answer in zip(ask(one), alone, strict=True):
        ids = one.prompter.encode(prompt)
        with torch.no_grad():
            row = torch.tensor([ids + list(answer.tokens)])
            logits = tuned.eval()(input_ids=row, attention_mask=torch.ones_like(row)).logits[0, -row.shape[1] :]
        assert logits[len(ids) - 1 : -1].argmax(-1).tolist() == list(answer.tokens)
        (found,) = many.loglikelihood([(prompt, "Rome")], "tuned")
        assert found.logprob == pytest.approx(one.loglikelihood([(prompt, "Rome")], "tuned")[0].logprob, abs=1e-4)


def test_a_whole_model_is_switched_by_its_weights(tmp_path: Path, bases: dict[str, Path]) -> None:
    tuned: Any = LlamaForCausalLM.from_pretrained(bases["tied"])
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    tuned.save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    both = Executor(*load_comparison(bases["tied"], tmp_path))
    answers: dict[str, Any] = {}
    sides: tuple[tuple[Side, Path], ...] = (("base", bases["tied"]), ("tuned", tmp_path))
    for side, folder in sides:
        alone = Executor(*load_comparison(folder, None), chat_template=make_tokenizer().chat_template)
        answers[side] = both.generate(ask(both), 8, side)
        assert answers[side] == alone.generate(ask(alone), 8, "base")
    assert answers["base"] != answers["tuned"] == both.generate(ask(both), 8, "tuned")
    with pytest.raises(ModelError, match="not an adapter on a base in nf4"):
        load_comparison(bases["tied"], tmp_path, quantization="nf4")


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_a_quantized_base_is_one_and_the_same(
    quantization: str, bases: dict[str, Path], adapters: dict[str, Path]
) -> None:
    model: Any = load_comparison(bases["tied"], adapters["tied"], quantization=quantization)[0]
    again: Any = load_base(bases["tied"], quantization=quantization, tokenizer=make_tokenizer())
    exact: Any = load_base(bases["tied"], tokenizer=make_tokenizer())
    with torch.inference_mode():
        with model.disable_adapter():
            base = model(IDS).logits
        assert torch.allclose(base, again(IDS).logits, atol=1e-5)
        assert 1e-3 < (base - exact(IDS).logits).abs().mean() < 1.5
        assert (model(IDS).logits - base).abs().max() > 0.1
    assert model.get_input_embeddings().weight.dtype == torch.float32


def test_what_cannot_be_quantized_is_said(bases: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match="use none, nf4, int8"):
        load_base(bases["tied"], quantization="int3", tokenizer=make_tokenizer())
