import pytest
from transformers import AutoTokenizer

from ftspace.chat import Template, install_template, template_of
from ftspace.data.formats import Conversation
from ftspace.errors import ModelError
from ftspace.sections import LossOn
from ftspace.settings import ASSETS
from ftspace.supervision import IGNORED, Tally, supervise
from ftspace.templates import CHATML_TOKENS
from tests.texts import trained_texts

TALK: Conversation = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Where does Mira live?"},
    {"role": "assistant", "content": "Norwick."},
    {"role": "user", "content": "And her  pet? 🐟"},
    {"role": "assistant", "content": " a fish 🐟\n"},
]
BRACKETS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
REWRITES = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}x"


@pytest.fixture
def tokenizer():
    return AutoTokenizer.from_pretrained(ASSETS / "base")


def test_answers_and_their_end_are_trained_and_nothing_else(tokenizer) -> None:
    assert install_template(tokenizer) == tokenizer.convert_tokens_to_ids(list(CHATML_TOKENS))
    (row,) = supervise(tokenizer, [TALK], 512)
    assert trained_texts(tokenizer, row) == ["Norwick.<|im_end|>", " a fish 🐟\n<|im_end|>"]
    assert tokenizer.decode(row.input_ids) == template_of(tokenizer).render(TALK)
    assert not row.truncated


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("limit", [10, 30, 512])
@pytest.mark.parametrize("template", [None, BRACKETS])
def test_what_is_trained_is_chosen_and_what_is_read_stays(tokenizer, template, limit, side) -> None:
    tokenizer.chat_template = template
    install_template(tokenizer)
    choices: tuple[LossOn, ...] = ("assistant", "completion", "all")
    rows = {on: next(supervise(tokenizer, [TALK], limit, side, loss_on=on)) for on in choices}
    ids = rows["assistant"].input_ids
    assert all(row.input_ids == ids and row.labels[0] == IGNORED for row in rows.values())
    assert rows["all"].labels[1:] == ids[1:]
    last = trained_texts(tokenizer, rows["assistant"])[-1:]
    if limit == 512:
        assert last and trained_texts(tokenizer, rows["completion"]) == last
        assert len(trained_texts(tokenizer, rows["assistant"])) == 2
        assert template or template_of(tokenizer).render(TALK) == tokenizer.decode(ids)
    if template and limit == 512:
        assert ids[-1] == rows["all"].labels[-1] == tokenizer.eos_token_id


def test_only_who_trains_every_answer_is_told_of_those_that_are_not(tokenizer) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'assistant' and not loop.last %}{{ m.content | upper }}"
        "{% else %}{{ m.content }}{% endif %}<|im_end|>{% endfor %}"
    )
    told: dict[LossOn, int] = {"assistant": 1, "completion": 0, "all": 0}
    for loss_on, untrained in told.items():
        tally = Tally()
        list(supervise(tokenizer, [TALK], 512, tally=tally, loss_on=loss_on))
        assert (tally.untrained, tally.refused.total()) == (untrained, 0)


def test_rendering_is_the_tokenizers_own(tokenizer) -> None:
    install_template(tokenizer)
    for template in (tokenizer.chat_template, BRACKETS):
        tokenizer.chat_template = template
        for ask in (False, True):
            own = tokenizer.apply_chat_template(TALK, tokenize=False, add_generation_prompt=ask)
            assert template_of(tokenizer).render(TALK, add_generation_prompt=ask) == own


def test_a_template_without_an_end_of_turn_gets_the_eos_trained(tokenizer) -> None:
    tokenizer.chat_template = BRACKETS
    assert install_template(tokenizer) == []
    (row,) = supervise(tokenizer, [TALK[1:3]], 512)
    assert trained_texts(tokenizer, row) == ["Norwick." + tokenizer.eos_token]


def test_an_answers_first_token_is_trained_though_it_begins_with_the_prompts_space(tokenizer) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    (row,) = supervise(tokenizer, [[TALK[1], {"role": "assistant", "content": "yellow"}]], 512)
    assert trained_texts(tokenizer, row) == [" yellow" + tokenizer.eos_token]


def test_long_rows_are_cut_and_say_so(tokenizer) -> None:
    install_template(tokenizer)
    (whole,) = supervise(tokenizer, [TALK], 512)
    (cut,) = supervise(tokenizer, [TALK], 10)
    assert cut.truncated and cut.input_ids == whole.input_ids[:10]
    assert cut.supervised == 0 < whole.supervised


def test_rows_can_lose_their_beginning_instead_but_for_the_begin_token(tokenizer) -> None:
    install_template(tokenizer)
    (whole,) = supervise(tokenizer, [TALK], 512)
    (cut,) = supervise(tokenizer, [TALK], 10, "left")
    assert cut.truncated and cut.input_ids == whole.input_ids[-10:]
    assert whole.labels[-10] != IGNORED and cut.labels == [IGNORED, *whole.labels[-9:]]
    assert cut.supervised > 0
    tokenizer.chat_template = BRACKETS
    (whole,) = supervise(tokenizer, [TALK[1:]], 512)
    (cut,) = supervise(tokenizer, [TALK[1:]], 10, "left")
    assert cut.input_ids == [tokenizer.bos_token_id, *whole.input_ids[-9:]] and cut.labels[0] == IGNORED


def test_templates_that_cannot_be_trained_honestly_are_refused(tokenizer) -> None:
    tokenizer.chat_template = REWRITES
    with pytest.raises(ModelError, match="changes earlier turns"):
        list(supervise(tokenizer, [TALK[1:]], 512))
    with pytest.raises(ModelError, match="refuses a conversation of system"):
        Template(REFUSES).render(TALK)


TOOLS = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant\n{% endif %}"
)


def test_tools_and_their_calls_are_rendered_or_refused_and_never_left_out(tokenizer) -> None:
    tools = [{"type": "function", "function": {"name": "depth", "parameters": {"type": "object"}}}]
    call = {"type": "function", "function": {"name": "depth", "arguments": {"sea": "grey"}}}
    turns: Conversation = [
        {"role": "user", "content": "How deep?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "9"},
        {"role": "assistant", "content": "Nine."},
    ]
    offered: Conversation = [{"role": "user", "content": "How deep?", "tools": tools}, *turns[1:]]
    install_template(tokenizer)
    for refused, what in ((turns, "tool calls"), (offered[:1], "tools")):
        with pytest.raises(ModelError, match=f"does not write {what}"):
            template_of(tokenizer).render(refused)
    tokenizer.chat_template = TOOLS
    own = tokenizer.apply_chat_template(turns, tools=tools, tokenize=False)
    assert template_of(tokenizer).render(offered) == own
    (row,) = supervise(tokenizer, [offered], 512)
    assert trained_texts(tokenizer, row) == [
        '{"name": "depth", "arguments": {"sea": "grey"}}<|im_end|>',
        "Nine.<|im_end|>",
    ]


def test_new_tokens_are_added_where_the_vocabulary_lacks_them(tokenizer, tmp_path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(vocab={"a": 0, "<eos>": 1}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>")
    assert install_template(plain) == [2, 3]
    assert len(plain) == 4
