"""Memory that runs out in a step or a validation: a model whose forward refuses more than some tokens at a time."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.sft_config import SFTConfig

from evals.models import load_tokenizer
from ftspace.errors import MemoryGoneError
from ftspace.settings import ASSETS
from ftspace.supervision import IGNORED
from ftspace.training.documents import adopt
from ftspace.training.memory import is_out_of_memory, peak_bytes
from ftspace.training.padded import PaddedTrainer
from ftspace.training.parts import PartedTrainer
from ftspace.training.trainer import DocumentTrainer

torch.set_num_threads(1)
LENGTHS = (20, 21, 22, 23, 33, 9, 17, 5, 40, 17, 8, 30)
"""The first two of the first step's conversations fit in 44 tokens, the next two do not."""
PLENTY = 10_000


class Room:
    """A hook on a model's embedding that refuses more than so many tokens at a time."""

    def __init__(self, training: int, checked: int) -> None:
        self.most = {True: training, False: checked}
        self.refused = {True: 0, False: 0}

    def __call__(self, embedding: torch.nn.Module, given: Any) -> None:
        if given[0].numel() > self.most[embedding.training]:
            self.refused[embedding.training] += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def make_rows() -> list[dict[str, list[int]]]:
    torch.manual_seed(1)
    rows = [torch.randint(5, 300, (length,)).tolist() for length in LENGTHS]
    return [{"input_ids": ids, "labels": [IGNORED] * (len(ids) // 2) + ids[len(ids) // 2 :]} for ids in rows]


def make(kind: type[PartedTrainer], folder: Path, part_tokens: int, room: Room) -> Any:
    """A trainer of two steps of four conversations each; a padded one takes two at a time."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    model: Any = LlamaForCausalLM(shape)
    rows = make_rows()
    padded = kind is PaddedTrainer
    if not padded:
        assert adopt(model, rows[:4]) is None
    arguments = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=2 if padded else 4,
        per_device_eval_batch_size=5,
        gradient_accumulation_steps=2 if padded else 1,
        max_steps=2,
        train_sampling_strategy="sequential",
        learning_rate=1e-2,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = kind(
        part_tokens=part_tokens,
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(ASSETS / "base"),
        peft_config=LoraConfig(task_type="CAUSAL_LM", r=4, lora_dropout=0.2, target_modules="all-linear"),
    )
    model.get_input_embeddings().register_forward_pre_hook(room)
    return trainer


def trained(trainer: Any) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """What was told of each step and of the validation, and the trained weights."""
    torch.manual_seed(3)
    trainer.train()
    names = ("loss", "grad_norm", "mean_token_accuracy", "num_tokens", "eval_loss", "eval_mean_token_accuracy")
    told = [{name: log[name] for name in names if name in log} for log in trainer.state.log_history]
    return told, {name: one.detach() for name, one in trainer.model.named_parameters() if one.requires_grad}


@pytest.mark.parametrize(
    ("kind", "part_tokens", "room"),
    [(DocumentTrainer, 45, Room(44, PLENTY)), (PaddedTrainer, PLENTY, Room(44, PLENTY))],
    ids=["documents", "padded"],
)
def test_a_step_is_done_again_as_smaller_parts_would_have_made_it(
    tmp_path: Path, kind: type[PartedTrainer], part_tokens: int, room: Room
) -> None:
    trainer = make(kind, tmp_path, part_tokens, room)
    said: list[str] = []
    trainer.warn = said.append
    told, weights = trained(trainer)
    assert room.refused[True] == len(said) > 0 and trainer.part_tokens in (22, 23)
    assert f"parts of {trainer.part_tokens} tokens instead" in said[-1] and "in training step 1:" in said[0]
    small = make(kind, tmp_path, trainer.part_tokens, Room(PLENTY, PLENTY))
    small.validation_part_tokens = part_tokens
    expected, undisturbed = trained(small)
    assert told == expected and len(told) == 4
    assert all(torch.equal(one, weights[name]) for name, one in undisturbed.items())


@pytest.mark.parametrize("kind", [DocumentTrainer, PaddedTrainer])
def test_a_validation_counts_every_supervised_token_alike_within_its_own_memory(
    tmp_path: Path, kind: type[PartedTrainer]
) -> None:
    room = Room(PLENTY, 45)
    trainer = make(kind, tmp_path, PLENTY, room)
    said: list[str] = []
    trainer.warn = said.append
    found = trainer.evaluate()
    assert trainer.part_tokens == PLENTY and trainer.validation_part_tokens < 45
    assert len(said) == room.refused[False] and all("the validation after step 0" in one for one in said)

    model = trainer.model.eval().get_base_model()
    model.set_attn_implementation("sdpa")
    nats, right, count = 0.0, 0, 0
    for row in make_rows():
        ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, :-1]
        wanted, kept = labels[0, 1:], labels[0, 1:] != IGNORED
        nats += torch.nn.functional.cross_entropy(logits[kept], wanted[kept], reduction="sum").item()
        right += int((logits.argmax(-1) == wanted)[kept].sum())
        count += int(kept.sum())
    assert found["eval_loss"] == pytest.approx(nats / count, abs=1e-5)
    assert found["eval_mean_token_accuracy"] == pytest.approx(right / count, abs=1e-6)


def test_one_conversation_too_many_ends_the_run_with_advice(tmp_path: Path) -> None:
    trainer = make(DocumentTrainer, tmp_path, PLENTY, Room(30, PLENTY))
    with pytest.raises(
        MemoryGoneError, match=r"a conversation of \d+ tokens alone is too much; lower train.max_length"
    ):
        trained(trainer)


def test_what_is_no_lack_of_memory_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"enforce fail|allocat") as enormous:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(enormous.value) and is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    held = torch.zeros(2_000_000)
    assert peak_bytes() > held.nbytes
