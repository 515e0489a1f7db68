import pytest

from ftspace.chat import template_of
from ftspace.data.formats import Conversation
from ftspace.lab import lab_row
from ftspace.sections import ModelConfig
from ftspace.supervision import supervise
from ftspace.tokenizer import LightTokenizer, open_tokenizer

TALK: Conversation = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "And her  pet? 🐟"},
    {"role": "assistant", "content": " a fish 🐟🐟\n"},
]


def tokenizer_with(choice: str = "auto") -> LightTokenizer:
    return open_tokenizer(ModelConfig.model_validate({"chat_template": choice})).tokenizer


@pytest.mark.parametrize("choice", ["auto", "gemma", "llama2", "plain"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(("limit", "loss_on"), [(9, "assistant"), (30, "all"), (500, "completion"), (500, "all")])
def test_the_lab_shows_what_is_trained_token_by_token(choice, side, limit, loss_on) -> None:
    tokenizer = tokenizer_with(choice)
    row = lab_row(tokenizer, TALK, limit, side, pad_to=limit, loss_on=loss_on)
    (trained,) = supervise(tokenizer, [TALK], limit, side, loss_on=loss_on)
    kept = [token for token in row.tokens if token.kind in ("trained", "context")]
    assert [token.id for token in kept] == trained.input_ids
    assert [token.kind == "trained" for token in kept] == [label >= 0 for label in trained.labels]
    assert (row.trained, row.kept, len(row.tokens)) == (trained.supervised, len(kept), limit + row.cut)
    shown = [token for token in row.tokens if token.kind != "padding"]
    assert "".join(token.text for token in shown) == row.text == template_of(tokenizer).render(TALK)
    assert len(shown) == row.kept + row.cut
    assert row.text.count("🐟") == 3
    assert all(token.id == tokenizer.pad_token_id and token.special for token in row.tokens if token.kind == "padding")


def test_what_is_cut_stands_in_its_place() -> None:
    tokenizer = tokenizer_with("gemma")
    right = lab_row(tokenizer, TALK, 10)
    assert [token.kind for token in right.tokens] == ["context"] * 10 + ["cut"] * right.cut
    left = lab_row(tokenizer, TALK, 10, "left")
    kinds = [token.kind for token in left.tokens]
    assert kinds[: left.cut + 1] == ["context"] + ["cut"] * left.cut  # the begin token stays
    assert left.trained and left.tokens[0].text == "<|endoftext|>"


def test_the_eos_behind_a_template_without_an_end_is_shown() -> None:
    tokenizer = tokenizer_with()
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    row = lab_row(tokenizer, TALK, 100)
    assert row.text.endswith("🐟🐟\n<|endoftext|>") or row.text.endswith("🐟🐟<|endoftext|>")
    assert row.tokens[-1] == type(row.tokens[-1])(0, "<|endoftext|>", "trained", True)
