"""Trained token rows under TRL's fused head: the loss and the gradients must be those of the plain logits."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from evals.models import load_tokenizer
from ftspace.chat import install_template
from ftspace.settings import ASSETS
from ftspace.training.heads import complete_head, token_rows


@pytest.mark.parametrize("tied", [True, False])
def test_the_fused_loss_is_the_plain_one_and_trains_the_token_rows(tmp_path: Path, tied: bool) -> None:
    tokenizer = load_tokenizer(ASSETS / "base")
    rows = install_template(tokenizer)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=tied,
        pad_token_id=1,
    )
    model: Any = LlamaForCausalLM(shape)
    ids = [[rows[0], 10, 11, rows[1]], [rows[0], 12, 13, 14, rows[1]]]
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            activation_checkpointing=False,
            report_to="none",
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list([{"input_ids": one, "labels": one} for one in ids]),
        processing_class=tokenizer,
        peft_config=LoraConfig(
            task_type="CAUSAL_LM", target_modules="all-linear", trainable_token_indices=token_rows(model, rows)
        ),
    )
    model = trainer.model
    complete_head(model.get_base_model())
    batch: dict[str, Any] = next(iter(trainer.get_train_dataloader()))

    fused = trainer.compute_loss(model, dict(batch))
    fused.backward()
    gradients = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    plain = model(**batch).loss
    plain.backward()

    torch.testing.assert_close(fused, plain)
    trained = [name for name in gradients if "trainable_tokens" in name]
    assert len(trained) == (1 if tied else 2) and all(gradients[name].abs().sum() > 0 for name in trained)
    for name, value in model.named_parameters():
        if value.grad is not None:
            torch.testing.assert_close(gradients[name], value.grad, rtol=1e-4, atol=1e-6)
