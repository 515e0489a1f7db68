import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM

import evals.outputs as outputs
from evals.errors import ModelError, Stopped
from evals.executor import Executor
from evals.models import load_comparison
from evals.prompts import Prompt, Prompter
from tests.evals.conftest import make_model, make_tokenizer

QUESTIONS = ["What does Anna like?", "Where is Ben from?", "a", "Anna lives in Rome. Where does Ben live? " * 3, "yes?"]


def executor_of(base: Path, adapter: Path | None, **options: Any) -> Executor:
    return Executor(*load_comparison(base, adapter), **options)


def ask(executor: Executor) -> list[Prompt]:
    return [executor.prompter.render([{"role": "user", "content": text}]) for text in QUESTIONS]


@pytest.fixture(scope="module", params=["tied", "untied"])
def pair(request: pytest.FixtureRequest, bases: dict[str, Path], adapters: dict[str, Path]) -> tuple[Path, Path]:
    return bases[request.param], adapters[request.param]


def test_answers_do_not_depend_on_the_batches(pair: tuple[Path, Path]) -> None:
    one, many = executor_of(*pair, batch_tokens=1), executor_of(*pair, batch_tokens=10_000)
    for which in ("base", "tuned"):
        alone = one.generate(ask(one), 12, which)
        assert alone == many.generate(ask(many), 12, which)
        pairs = [(prompt, text) for prompt in ask(one) for text in ("Rome", "blue and yes", "a")]
        for a, b in zip(one.loglikelihood(pairs, which), many.loglikelihood(pairs, which), strict=True):
            assert a.logprob == pytest.approx(b.logprob, abs=1e-4)
            assert (a.tokens, a.greedy) == (b.tokens, b.greedy)


def test_base_side_is_exactly_the_base_alone_and_tuned_differs(pair: tuple[Path, Path]) -> None:
    both, plain = executor_of(*pair), executor_of(pair[0], None, chat_template=make_tokenizer().chat_template)
    assert both.generate(ask(both), 12, "base") == plain.generate(ask(plain), 12, "base")
    assert both.generate(ask(both), 12, "base") != both.generate(ask(both), 12, "tuned")
    pairs = [(prompt, "Rome") for prompt in ask(both)]
    assert both.loglikelihood(pairs, "base") == plain.loglikelihood(pairs, "base")
    assert both.loglikelihood(pairs, "base") != both.loglikelihood(pairs, "tuned")
    with pytest.raises(ModelError, match="no adapter"):
        plain.generate(ask(plain), 12, "tuned")


def test_answers_are_the_greedy_ones(pair: tuple[Path, Path]) -> None:
    executor = executor_of(*pair)
    for prompt, answer in zip(ask(executor), executor.generate(ask(executor), 10, "tuned"), strict=True):
        ids = executor.prompter.encode(prompt)
        by_hand: list[int] = []
        while len(by_hand) < 10:
            with torch.inference_mode():
                following = int(executor.model(torch.tensor([ids + by_hand])).logits[0, -1].argmax())
            if following in executor.end_ids:
                break
            by_hand.append(following)
        assert list(answer.tokens) == by_hand
        assert answer.finish == ("length" if len(by_hand) == 10 else "end")
        assert answer.text == executor.prompter.decode(by_hand)


def test_loglikelihood_is_the_sum_by_hand(pair: tuple[Path, Path]) -> None:
    executor = executor_of(*pair)
    prompts = ask(executor)
    pairs = [(prompts[0], "Rome"), (Prompt("Anna lives in", rendered=False), " Rome."), (prompts[3], "blue and yes")]
    for (prompt, text), found in zip(pairs, executor.loglikelihood(pairs, "tuned"), strict=True):
        before, after = executor.prompter.split(prompt, text)
        with torch.inference_mode():
            logits = executor.model(torch.tensor([before + after])).logits[0].double()
        by_hand = sum(
            float(logits[len(before) - 1 + place].log_softmax(-1)[token]) for place, token in enumerate(after)
        )
        assert found.logprob == pytest.approx(by_hand, abs=1e-4)
        assert found.tokens == tuple(after)


def test_divergence_is_the_sum_by_hand(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "SLICE_NUMBERS", 1000)  # two positions at a time
    executor = executor_of(*pair)
    long = Prompt("Anna likes blue. " * 200, rendered=False)
    pairs = [*[(prompt, " Rome and blue") for prompt in ask(executor)], (long, " yes")]
    *found, bad = executor.divergence(pairs)
    for (prompt, text), one in zip(pairs, found, strict=False):
        before, after = executor.prompter.split(prompt, text)
        ids = torch.tensor([before + after])
        with torch.inference_mode():
            tuned = executor.model(ids).logits[0, len(before) - 1 : -1].double().log_softmax(-1)
            with executor.model.disable_adapter():
                base = executor.model(ids).logits[0, len(before) - 1 : -1].double().log_softmax(-1)
        by_hand = float((tuned.exp() * (tuned - base)).sum())
        assert one.nats == pytest.approx(by_hand, rel=1e-4)
        assert (one.tokens, one.problem) == (len(after), None)
    assert math.isnan(bad.nats) and bad.tokens == 0 and "context" in (bad.problem or "")
    assert all(one.nats < 1e-6 for one in executor.divergence(pairs[:5], of="base"))


def test_a_soft_cap_on_the_logits_is_kept() -> None:
    torch.manual_seed(1)
    tokenizer = make_tokenizer()
    capped: Any = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            final_logit_softcapping=2.0,
            initializer_range=0.5,
        )
    ).eval()
    executor = Executor(capped, tokenizer)
    (found,) = executor.loglikelihood([(ask(executor)[0], "Rome")], "base")
    before, after = executor.prompter.split(ask(executor)[0], "Rome")
    with torch.inference_mode():
        logs = capped(torch.tensor([before + after])).logits[0, len(before) - 1 : -1].log_softmax(-1)
    assert found.logprob == pytest.approx(logs.gather(1, torch.tensor(after)[:, None]).sum().item(), rel=1e-5)


def test_a_checkpoint_s_generation_settings_do_not_creep_in(pair: tuple[Path, Path]) -> None:
    plain, penalized = executor_of(*pair), executor_of(*pair)
    settings = penalized.model.get_base_model().generation_config
    settings.repetition_penalty = 5.0
    settings.do_sample, settings.temperature = True, 2.0
    assert plain.generate(ask(plain), 12, "base") == penalized.generate(ask(plain), 12, "base")
    assert settings.repetition_penalty == 5.0
    assert penalized.model.get_base_model().generation_config is settings


def test_too_long_prompts_and_damaged_weights_are_problems_not_answers(pair: tuple[Path, Path]) -> None:
    executor = executor_of(*pair)
    assert executor.max_length == 256
    long = Prompt("Anna likes blue. " * 200, rendered=False)
    seen: list[tuple[int, int]] = []
    answers = executor.generate([long, *ask(executor)], 5, "base", lambda done, total: seen.append((done, total)))
    assert answers[0].problem is not None and "context of 256" in answers[0].problem
    assert all(answer.problem is None for answer in answers[1:])
    assert seen[-1] == (6, 6)
    (found,) = executor.loglikelihood([(long, " Rome")], "base")
    assert math.isnan(found.logprob) and found.problem
    (empty,) = executor.loglikelihood([(Prompt("Anna", rendered=False), "")], "base")
    assert math.isnan(empty.logprob) and empty.problem
    with torch.no_grad():
        executor.model.get_base_model().model.norm.weight.fill_(math.nan)
    assert all("not-a-number" in (answer.problem or "") for answer in executor.generate(ask(executor), 5, "base"))
    (found,) = executor.loglikelihood([(ask(executor)[0], " Rome")], "base")
    assert "not-a-number" in (found.problem or "")


def test_stops_when_asked(pair: tuple[Path, Path]) -> None:
    asked: list[None] = []

    def after_three() -> bool:
        asked.append(None)
        return len(asked) > 3

    executor = executor_of(*pair, should_stop=after_three)
    with pytest.raises(Stopped):
        executor.generate(ask(executor), 50, "base")
    assert len(asked) == 4
    with pytest.raises(Stopped):
        executor.loglikelihood([(ask(executor)[0], "Rome")], "base")


def test_every_end_is_known() -> None:
    tokenizer = make_tokenizer()
    prompter = Prompter(tokenizer)
    assert prompter.end_ids() == (0, 3)
    model = make_model(tied=True, vocabulary=len(tokenizer))
    model.generation_config.eos_token_id = [0, 1]
    assert Executor(model, tokenizer).end_ids == (0, 1, 3)
    assert Prompter(make_tokenizer(template=None)).end_ids() == (0,)


def test_begin_tokens_are_neither_doubled_nor_lost() -> None:
    tokenizer = make_tokenizer("{{ bos_token }}{{ messages[0]['content'] }}")
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|begin|> $A <|endoftext|>", special_tokens=[("<|begin|>", 1), ("<|endoftext|>", 0)]
    )
    prompter = Prompter(tokenizer)
    rendered = prompter.render([{"role": "user", "content": "Anna"}])
    assert prompter.encode(rendered).count(1) == 1
    plain = prompter.encode(prompter.render([{"role": "user", "content": "Anna"}], raw=True))
    assert plain[0] == 1 and 0 not in plain
    assert prompter.encode(Prompt("", rendered=True)) == [1]


def test_no_template_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="chat template"):
        Prompter(make_tokenizer(template=None)).render([{"role": "user", "content": "?"}])


def test_a_border_inside_a_token_keeps_the_prompt_s_tokens() -> None:
    prompter = Prompter(make_tokenizer())
    before, after = prompter.split(Prompt("An", rendered=False), "na")
    assert before == prompter.encode(Prompt("An", rendered=False))
    assert prompter.decode(after) == "na"
