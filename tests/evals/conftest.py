"""A tiny random Llama with a byte-level BPE tokenizer and adapters on it, made once a session in a temp folder."""

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from evals.models import peft_quiet

torch.set_num_threads(1)  # a busy machine with several threads is many times slower than one thread

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|begin|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "Anna lives in Rome. Ben likes blue.",
    "What does Anna like? Where is Ben from?",
    "user assistant system yes no",
]


def make_tokenizer(template: str | None = CHATML) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 20, trainer)
    wrapped: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=SPECIAL[0], bos_token=SPECIAL[1], pad_token=SPECIAL[0]
    )
    wrapped.chat_template = template
    return wrapped


def make_model(tied: bool, vocabulary: int, layers: int = 2) -> Any:
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=0,
        pad_token_id=0,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def make_adapter(model: Any, folder: Path, tokenizer: Any, seed: int = 11, *, rows: bool = True) -> Path:
    """A LoRA adapter with large random weights, and both ChatML rows retrained, saved with its tokenizer."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4,
        target_modules="all-linear",
        trainable_token_indices=[2, 3] if rows else None,
        task_type="CAUSAL_LM",
        init_lora_weights=False,
    )
    with peft_quiet():
        tuned = get_peft_model(model, config)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "trainable_tokens_delta" in name:
                weight.add_(torch.randn_like(weight))
    tuned.save_pretrained(str(folder), save_embedding_layers=False)
    tokenizer.save_pretrained(folder)
    tuned.unload()
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> dict[str, Path]:
    """Folders of a tied and an untied base."""
    folders: dict[str, Path] = {}
    for name in ("tied", "untied"):
        folders[name] = tmp_path_factory.mktemp("base") / name
        make_model(name == "tied", len(tokenizer)).save_pretrained(folders[name])
        make_tokenizer(template=None).save_pretrained(folders[name])
    return folders


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any, bases: dict[str, Path]) -> dict[str, Path]:
    """Folders of an adapter for each base; the tokenizer beside it has the chat template."""
    return {
        name: make_adapter(
            LlamaForCausalLM.from_pretrained(bases[name]), tmp_path_factory.mktemp("adapter") / name, tokenizer
        )
        for name in bases
    }
