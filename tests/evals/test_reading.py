"""Sharing, leaving the batch and going on from kept answers change none of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
)

from evals.cache import open_cache
from evals.errors import Stopped
from evals.executor import Executor
from evals.models import load_comparison
from evals.prompts import Prompt
from tests.evals.conftest import make_model, make_tokenizer

EXAMPLES = "Anna lives in Rome. Ben likes blue. Where is Ben from? " * 3
CHOICES = (" Rome", " blue and yes", " a", " Anna", "no yes no")
TEXTS = ["What does Anna like?", "Where?", "a", "Anna lives in Rome. Where does Ben live? ", "yes? no"]
PROMPTS = [Prompt(EXAMPLES + text, rendered=False) for text in TEXTS]
PAIRS = [(prompt, choice) for prompt in PROMPTS for choice in CHOICES]


def models(kind: str) -> Any:
    torch.manual_seed(3)
    size = len(make_tokenizer())
    common: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 0, "initializer_range": 0.3}
    if kind == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=256, **common)
        ).eval()
    if kind == "sliding":
        return MistralForCausalLM(
            MistralConfig(
                vocab_size=size,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=256,
                sliding_window=8,
                **common,
            )
        ).eval()
    model = make_model(True, size)
    if kind == "eager":
        model.set_attn_implementation("eager")
    return model


def by_generate(model: Any, executor: Executor, prompt: Prompt, new: int) -> list[int]:
    ids = executor.prompter.encode(prompt)
    options: dict[str, Any] = {"max_new_tokens": new, "do_sample": False, "eos_token_id": list(executor.end_ids)}
    out: Any = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), pad_token_id=0, **options)
    written = out[0, len(ids) :].tolist()
    return next((written[:place] for place, token in enumerate(written) if token in executor.end_ids), written)


@pytest.mark.parametrize(("kind", "shares"), [("llama", True), ("eager", True), ("gpt2", True), ("sliding", False)])
def test_what_is_shared_changes_nothing(kind: str, shares: bool) -> None:
    model = models(kind)
    executor = Executor(model, make_tokenizer())
    with torch.inference_mode():
        assert executor._reader.shares() == shares  # pyright: ignore[reportPrivateUsage]
        for (prompt, choice), found in zip(PAIRS, executor.loglikelihood(PAIRS, "base"), strict=True):
            before, after = executor.prompter.split(prompt, choice)
            logs = model(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].double().log_softmax(-1)
            by_hand = logs.gather(1, torch.tensor(after)[:, None]).sum().item()
            assert found.logprob == pytest.approx(by_hand, rel=2e-6, abs=1e-5)
            assert found.greedy == (logs.argmax(-1).tolist() == after)
    for prompt, answer in zip(PROMPTS, executor.generate(PROMPTS, 12, "base"), strict=True):
        assert list(answer.tokens) == by_generate(model, executor, prompt, 12)


def test_the_prompt_of_many_choices_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models("llama")
    executor = Executor(model, make_tokenizer())
    executor.loglikelihood(PAIRS[:1], "base")
    shapes = watch(monkeypatch, executor)
    executor.loglikelihood(PAIRS, "base")
    alone = sum(len(before) + len(after) for before, after in (executor.prompter.split(*pair) for pair in PAIRS))
    assert len(shapes) == 2 and shapes[0][0] == 1
    assert sum(rows * width for rows, width in shapes) < alone / 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_leave_the_batch_only_where_it_changes_no_answer(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight[[0, 3]] *= 2  # answers end, sooner or later
    executor = Executor(model.to(dtype), make_tokenizer())
    with torch.inference_mode():
        assert executor._reader.shares()  # pyright: ignore[reportPrivateUsage]
    shapes = watch(monkeypatch, executor)
    answers = executor.generate(PROMPTS, 30, "base")
    lengths = [len(answer.tokens) for answer in answers]
    assert len(set(lengths)) > 1, "the answers end too much alike for this test"
    rows = [rows for rows, width in shapes if width == 1]
    if dtype == torch.bfloat16:
        assert set(rows) == {len(PROMPTS)}
    else:
        assert rows == sorted(rows, reverse=True) and rows[-1] < len(PROMPTS)
        assert [list(answer.tokens) for answer in answers] == [
            by_generate(model, executor, prompt, 30) for prompt in PROMPTS
        ]


def test_a_stop_text_ends_an_answer_and_is_no_part_of_it() -> None:
    executor = Executor(models("llama"), make_tokenizer())
    for prompt in PROMPTS:
        (whole,) = executor.generate([prompt], 20, "base")
        stop = whole.text[6:8]
        assert len(stop) == 2
        (cut,) = executor.generate([prompt], 20, "base", stop=["never said", stop])
        assert cut.text == whole.text[: whole.text.index(stop)]
        assert cut.finish == "end" and len(cut.tokens) < len(whole.tokens)
        assert executor.prompter.decode(cut.tokens).startswith(cut.text)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_stopped_evaluation_goes_on_where_it_was(
    dtype: str,
    tmp_path: Path,
    bases: dict[str, Path],
    adapters: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, tokenizer = load_comparison(bases["tied"], adapters["tied"], dtype=dtype)
    weights = {"base": "b", "tuned": "t"}
    options: dict[str, Any] = {"batch_tokens": 90}
    plain = Executor(model, tokenizer, **options)
    wanted = {which: (plain.generate(PROMPTS, 6, which), plain.loglikelihood(PAIRS, which)) for which in weights}
    assert wanted["base"] != wanted["tuned"]

    def until(batches: int) -> Executor:
        asked: list[None] = []

        def stop() -> bool:
            asked.append(None)
            return len(asked) > batches

        return Executor(model, tokenizer, should_stop=stop, cache=open_cache(tmp_path / "a", weights), **options)

    with pytest.raises(Stopped):
        until(12).generate(PROMPTS, 6, "tuned")
    with pytest.raises(Stopped):
        until(2).loglikelihood(PAIRS, "base")
    assert 1 < len((tmp_path / "a").read_text().splitlines()) < len(PROMPTS)
    seen: list[tuple[int, int]] = []
    for which in weights:
        going = Executor(model, tokenizer, cache=open_cache(tmp_path / "a", weights), **options)
        answers = going.generate(PROMPTS, 6, which, lambda done, total: seen.append((done, total)))
        assert (answers, going.loglikelihood(PAIRS, which)) == wanted[which]
        assert seen[-1] == (len(PROMPTS), len(PROMPTS))
    done = Executor(model, tokenizer, cache=open_cache(tmp_path / "a", weights), **options)
    done.generate([], 6, "base")
    shapes = watch(monkeypatch, done)
    for which in weights:
        assert (done.generate(PROMPTS, 6, which), done.loglikelihood(PAIRS, which)) == wanted[which]
    assert shapes == [], "somebody was asked again"


def test_a_long_continuation_s_logits_are_never_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Executor(models("llama"), make_tokenizer())
    monkeypatch.setattr("evals.outputs.SLICE_NUMBERS", 1000)
    most: list[int] = []
    logits = executor._reader.outputs.logits  # pyright: ignore[reportPrivateUsage]

    def watched(states: torch.Tensor) -> torch.Tensor:
        most.append(logits(states).numel())
        return logits(states)

    monkeypatch.setattr(executor._reader.outputs, "logits", watched)  # pyright: ignore[reportPrivateUsage]
    executor.loglikelihood([(PROMPTS[0], " Anna likes blue." * 12)], "base")
    assert len(most) > 5 and max(most) <= 1000


def watch(monkeypatch: pytest.MonkeyPatch, executor: Executor) -> list[Sequence[int]]:
    """The rows and columns of each pass."""
    shapes: list[Sequence[int]] = []
    run = executor._reader.outputs.run  # pyright: ignore[reportPrivateUsage]

    def watched(ids: torch.Tensor, keep: int, **options: Any) -> torch.Tensor:
        shapes.append(tuple(ids.shape))
        return run(ids, keep, **options)

    monkeypatch.setattr(executor._reader.outputs, "run", watched)  # pyright: ignore[reportPrivateUsage]
    return shapes
