"""Answers written by turns in this process: sides that are no LoRA adapter, and text while it grows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

from evals.executor import Executor
from evals.models import load_comparison, peft_quiet
from ftspace.inference.generate import Generator
from ftspace.inference.protocol import ChatRequest, parse_request
from ftspace.inference.spelling import Spelling
from tests.evals.conftest import make_model, make_tokenizer

PROMPTS: dict[str, Any] = {"prompt": PromptTuningConfig, "prefix": PrefixTuningConfig}
ASK = [{"role": "user", "content": "What does Anna like?"}]


def request(side: str) -> ChatRequest:
    return parse_request(
        f'{{"model": "{side}", "messages": [{{"role": "user", "content": "{ASK[0]["content"]}"}}]}}'.encode()
    )


def save(kind: str, base: Path, tuned: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(base)
    tokenizer.save_pretrained(tuned)
    model = make_model(tied=True, vocabulary=len(tokenizer))
    model.save_pretrained(base)
    torch.manual_seed(3)
    if kind == "whole":
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
        model.save_pretrained(tuned)
        return
    with peft_quiet():
        adapter: Any = get_peft_model(model, PROMPTS[kind](task_type="CAUSAL_LM", num_virtual_tokens=6))
    adapter.prompt_encoder["default"].embedding.weight.data.normal_()
    adapter.save_pretrained(str(tuned), save_embedding_layers=False)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("kind", [*PROMPTS, "whole"])
def test_every_kind_of_tuning_is_written_by_turns(
    kind: str, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each turn another side's token; what comes is what the evaluation says, also from a model that keeps no cache."""
    save(kind, tmp_path / "base", tmp_path / "tuned")
    pair = load_comparison(tmp_path / "base", tmp_path / "tuned", device="cpu")
    executor = Executor(*pair)
    prompt = executor.prompter.render(ASK)
    expected = {side: executor.generate([prompt], 12, side)[0].text for side in ("base", "tuned")}
    if not cached:
        monkeypatch.setattr("ftspace.inference.generate._CACHES", ())
    generator = Generator(*pair)
    ids, _ = generator.encode(request("base"))
    texts = dict.fromkeys(expected, "")
    steps = {side: generator.write(side, ids, 12, request(side)) for side in expected}
    while steps:
        for side in list(steps):
            try:
                texts[side] += next(steps[side])
            except StopIteration:
                del steps[side]
    assert texts == expected and texts["base"] != texts["tuned"]


@settings(max_examples=40)
@given(some.text(), some.integers(min_value=1, max_value=3))
def test_pieces_are_told_early_and_are_the_whole_text(text: str, size: int) -> None:
    """Tokens of some bytes each: a character is told once its last byte is there."""
    data = text.encode("utf-8", "surrogatepass").replace(b"\xed", b"?")
    tokens = [data[start : start + size] for start in range(0, len(data), size)]
    spelling = Spelling(lambda ids: b"".join(tokens[one] for one in ids).decode("utf-8", "replace"))
    told = ""
    for place in range(len(tokens)):
        told += spelling.add(place)
        so_far = b"".join(tokens[: place + 1]).decode("utf-8", "replace")
        assert so_far.startswith(told)
        assert told == so_far or so_far.endswith("\ufffd")
    assert told + spelling.rest() == data.decode("utf-8", "replace")
