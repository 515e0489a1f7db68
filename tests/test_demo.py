"""The demo's own file, run with the bundled base and an adapter in a folder."""

import asyncio
import itertools
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from assets.demo.app import About, Pair, build, read_about
from ftspace.settings import ASSETS

QUESTION = [{"role": "user", "content": "What colour does Vosa prefer?"}]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The bundled base with an adapter that was not trained, but is not idle either."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(ASSETS / "base")
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    tuned: Any = get_peft_model(base, config)
    folder = tmp_path_factory.mktemp("adapter")
    tuned.save_pretrained(folder)
    return Pair(About(base=str(ASSETS / "base"), adapter=str(folder), title="A demo"))


def test_both_sides_answer_together_as_each_would_alone(pair: Pair) -> None:
    told = list(pair.answers(QUESTION, 12, 0.0))
    assert len(told) > 3 and told[-1][0] != told[-1][1]
    assert all(after[0].startswith(before[0]) for before, after in itertools.pairwise(told))
    text = pair.tokenizer.apply_chat_template(QUESTION, tokenize=False, add_generation_prompt=True)
    asked = pair.tokenizer(text, add_special_tokens=False, return_tensors="pt")
    options: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": sorted(pair.ends)}
    tuned = pair.model.generate(**asked, **options)
    with pair.model.disable_adapter():
        base = pair.model.generate(**asked, **options)
    alone = [
        pair.tokenizer.decode(ids[0, asked["input_ids"].shape[1] :], skip_special_tokens=True) for ids in (base, tuned)
    ]
    assert list(told[-1]) == [one.strip() for one in alone]


def test_the_page_is_built_from_what_its_file_says(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text('{"base": "towns/base", "adapter": "me/towns-lora", "title": "Before and after"}')

    async def built() -> gr.Blocks:  # where no loop is running Gradio makes one, and leaves it open
        return build(read_about(path), pair)

    page = asyncio.run(built())
    assert page.title == "Before and after"
    labels = {getattr(one, "label", None) for one in page.blocks.values()}
    assert {"Base", "Tuned", "Question", "System prompt"} <= labels
