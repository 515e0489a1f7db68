"""What is trained is what transformers renders and tokenizes, for our templates and for those of many models."""

from pathlib import Path

import pytest
import trl
from transformers import AutoTokenizer

from evals.prompts import Prompter
from ftspace import sandbox
from ftspace.chat import Template, end_of_turn, install_template, template_of
from ftspace.data.formats import Conversation
from ftspace.data.messages import Message
from ftspace.errors import ModelError
from ftspace.sections import ChatTemplate
from ftspace.settings import ASSETS
from ftspace.supervision import IGNORED, Tally, supervise
from ftspace.templates import FOLD, NAMED, compiled
from tests.texts import trained_texts

UPSTREAM = Path(trl.__file__).parent / "chat_templates"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "depth",
            "description": "How deep a sea is.",
            "parameters": {"type": "object", "properties": {"sea": {"type": "string"}}},
        },
    }
]
CALL = {"type": "function", "function": {"name": "depth", "arguments": {"sea": "grey"}}}
SINGLE: Conversation = [
    {"role": "user", "content": "What pet has Mira? 🐟"},
    {"role": "assistant", "content": "A fish 🐟."},
]
MULTI: Conversation = [
    *SINGLE,
    {"role": "user", "content": "And her  job?\nSay it."},
    {"role": "assistant", "content": "<b>Mason</b>"},
]
SYSTEM: Conversation = [{"role": "system", "content": "Be brief."}, *MULTI]
CALLS: Conversation = [
    {"role": "user", "content": "How deep?", "tools": TOOLS},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "9", "name": "depth"},
    {"role": "assistant", "content": "Nine."},
]
QWEN3_CALL = '<tool_call>\n{"name": "depth", "arguments": {"sea": "grey"}}\n</tool_call>'
NO_THOUGHT = "<think>\n\n</think>\n\n"
# template: what stands around each trained answer, and whether the template takes tools
CASES = {
    **{name: ("", end_of, False) for name, end_of in {
        "chatml": "<|im_end|>", "llama3": "<|eot_id|>", "zephyr": "<|endoftext|>", "gemma": "<end_of_turn>",
        "phi": "<|end|>", "alpaca": "<|endoftext|>", "plain": "<|endoftext|>",
    }.items()},
    "llama2": (" ", " <|endoftext|>", False),
    "mistral": (" ", "<|endoftext|>", False),
    "vicuna": (" ", "<|endoftext|>", False),
    "cohere.jinja": ("", "<|END_OF_TURN_TOKEN|>", False),
    "cohere2.jinja": ("", "<|END_RESPONSE|><|END_OF_TURN_TOKEN|>", False),
    "gemma.jinja": ("", "<end_of_turn>", False),
    "gemma3.jinja": ("", "<end_of_turn>", False),
    "gemma4_v5.jinja": ("", "<turn|>", True),
    "glm4moe.jinja": ("\n<think></think>\n", "", True),
    "lfm2_v2.jinja": ("", "<|im_end|>", True),
    "llama3.jinja": ("", "<|eot_id|>", False),
    "llama3_2.jinja": ("", "<|eot_id|>", True),
    "muse_glimmer.jinja": (" to=user<|message|>", "<|eot|>", True),
    "phi3.jinja": ("", "<|end|>", False),
    "qwen2_5.jinja": ("", "<|im_end|>", True),
    "qwen3_instruct_2507.jinja": ("", "<|im_end|>", True),
    "qwen3_training.jinja": (NO_THOUGHT, "<|im_end|>", True),
}  # fmt: skip


def installed(name: str):
    """The bundled tokenizer with a template of ours or, by its file's name, of somebody else."""
    tokenizer = AutoTokenizer.from_pretrained(ASSETS / "base")
    if name.endswith(".jinja"):
        tokenizer.chat_template = (UPSTREAM / name).read_text(encoding="utf-8")
        marks = ["<|im_start|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<turn|>", "<|eot|>"]
        marks += ["<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>"]
        tokenizer.add_special_tokens({"extra_special_tokens": marks})
        install_template(tokenizer)
    else:
        install_template(tokenizer, name)
    return tokenizer


def own_ids(tokenizer, talk: Conversation) -> list[int]:
    turns = [{key: value for key, value in turn.items() if key != "tools"} for turn in talk]
    return tokenizer.apply_chat_template(turns, tools=talk[0].get("tools"), tokenize=True)["input_ids"]


@pytest.mark.parametrize("name", CASES)
def test_what_is_trained_is_what_the_tokenizer_itself_makes_of_a_conversation(name: str) -> None:
    tokenizer = installed(name)
    front, back, takes_tools = CASES[name]
    for talk in (SINGLE, MULTI, SYSTEM, *([CALLS] if takes_tools else [])):
        (row,) = supervise(tokenizer, [talk], 4096)
        own = own_ids(tokenizer, talk)
        eos = [] if back else [tokenizer.eos_token_id]
        assert row.input_ids == own[: len(own) if back else len(row.input_ids) - 1] + eos
        answers = [turn["content"] for turn in talk if turn["role"] == "assistant" and turn["content"]]
        told = trained_texts(tokenizer, row)
        wanted = [front + answer + back for answer in answers]
        wanted[-1] += "" if back else tokenizer.eos_token
        assert told[-len(wanted) :] == wanted
        if talk is CALLS:
            assert "depth" in told[0] and len(told) == 2


@pytest.mark.parametrize("name", CASES)
def test_generation_stops_at_the_end_that_is_trained(name: str) -> None:
    tokenizer = installed(name)
    (row,) = supervise(tokenizer, [MULTI], 4096)
    last = [label for label in row.labels if label != IGNORED]
    assert set(last[-2:]) & set(Prompter(tokenizer).end_ids())


def test_every_choice_of_the_config_has_a_template_and_its_tokens() -> None:
    assert {"auto", *NAMED} == set(ChatTemplate.__args__)
    for name, named in NAMED.items():
        tokenizer = AutoTokenizer.from_pretrained(ASSETS / "base")
        before = len(tokenizer)
        untrained = install_template(tokenizer, name)
        assert untrained == tokenizer.convert_tokens_to_ids(list(named.tokens))
        assert len(tokenizer) - before == (0 if name == "chatml" else len(named.tokens))
        assert set(untrained) <= set(tokenizer.all_special_ids) >= {0, 1, 2, 3}
        assert all(token in named.source or "'<|' +" in named.source for token in named.tokens)


@pytest.mark.parametrize("ours", ["llama3", "gemma", "phi", "chatml"])
def test_a_named_template_writes_what_its_familys_own_writes(ours: str) -> None:
    theirs = {"phi": "phi3.jinja", "chatml": "qwen3_instruct_2507.jinja"}.get(ours, f"{ours}.jinja")
    known = {"bos_token": "<s>", "eos_token": "<|endoftext|>"}
    for talk in (SINGLE, MULTI, SYSTEM):
        for ask in (False, True):
            told = {"messages": talk, "add_generation_prompt": ask, **known}
            if ours == "gemma":
                told["messages"] = MULTI
            assert compiled(NAMED[ours].source)(**told) == compiled((UPSTREAM / theirs).read_text())(**told)


def test_templates_without_a_file_of_their_own_are_written_as_published() -> None:
    def text(name: str, ask: bool = False) -> str:
        talk = SYSTEM[:2] if ask else SYSTEM
        return compiled(NAMED[name].source)(
            messages=talk, add_generation_prompt=ask, bos_token="<s>", eos_token="</s>"
        ).replace("What pet has Mira? 🐟", "Q1").replace("And her  job?\nSay it.", "Q2")  # fmt: skip

    a1, a2 = "A fish 🐟.", "<b>Mason</b>"
    assert text("llama2") == (
        f"<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nQ1 [/INST] {a1} </s><s>[INST] Q2 [/INST] {a2} </s>"
    )
    assert text("mistral") == f"<s> [INST] Be brief.\n\nQ1 [/INST] {a1}</s> [INST] Q2 [/INST] {a2}</s>"
    assert text("zephyr") == (
        f"<|system|>\nBe brief.</s>\n<|user|>\nQ1</s>\n<|assistant|>\n{a1}</s>\n<|user|>\nQ2</s>\n"
        f"<|assistant|>\n{a2}</s>\n"
    )
    assert text("vicuna") == f"Be brief. USER: Q1 ASSISTANT: {a1}</s>USER: Q2 ASSISTANT: {a2}</s>"
    assert text("vicuna", ask=True) == "Be brief. USER: Q1 ASSISTANT:"
    assert text("alpaca", ask=True) == "Be brief.\n\n### Instruction:\nQ1\n\n### Response:\n"
    assert text("plain", ask=True) == "Be brief.\n\nQ1\n\n"


def test_system_prompts_that_a_template_refuses_or_drops_stand_at_the_head_of_the_question() -> None:
    drops = (
        "{% for m in messages if m.role != 'system' %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    tokenizer = installed("gemma")
    asked = template_of(tokenizer).render(SYSTEM[:2], add_generation_prompt=True)
    assert "user\nBe brief.\n\nWhat pet" in asked
    assert Prompter(tokenizer).render([dict(turn) for turn in SYSTEM[:2]]).text == asked  # type: ignore[misc]
    tokenizer.chat_template = drops
    for _ in range(2):  # installing twice changes nothing
        install_template(tokenizer)
        assert tokenizer.chat_template == FOLD + drops
    assert template_of(tokenizer).render(SYSTEM[:2]) == "user: Be brief.\n\nWhat pet has Mira? 🐟\n"
    assert template_of(tokenizer).render(SINGLE) == compiled(drops)(messages=SINGLE)
    tally = Tally()
    list(supervise(tokenizer, [SYSTEM, MULTI], 512, tally=tally))
    (warning,) = tally.warnings()
    assert warning.startswith("the chat template takes no system prompt: 1 ")
    assert not template_of(installed("llama3")).folds_system


@pytest.mark.parametrize(
    "source",
    [
        "  {% for m in messages %}\n  {{ m.content }}\n  {% endfor %}\n",
        "\n\n{{ messages[0].content }}{{ messages | length }}\n",
        "{%- set messages = messages[1:] %}{% macro last() %}{{ messages[-1].role }}{% endmacro %} {{ last() }}",
        "gemma.jinja",
        "llama3_2.jinja",
        "qwen3.jinja",
        "gptoss.jinja",
    ],
)
def test_folding_changes_nothing_where_there_is_no_system_prompt(source: str) -> None:
    source = (UPSTREAM / source).read_text(encoding="utf-8") if source.endswith(".jinja") else source
    for talk in (SINGLE, MULTI):
        for ask in (False, True):
            plain, folded = (Template(one).render(talk, add_generation_prompt=ask) for one in (source, FOLD + source))
            assert plain == folded


@pytest.mark.parametrize(
    ("name", "trained", "untrained"),
    [
        ("qwen3.jinja", ["A fish 🐟.<|im_end|>", NO_THOUGHT + "<b>Mason</b><|im_end|>"], 0),
        ("qwen3_5_nothink.jinja", ["<b>Mason</b><|im_end|>"], 1),
        ("gptoss.jinja", ["<|channel|>final<|message|><b>Mason</b><|return|>"], 1),
    ],
)
def test_earlier_answers_that_later_turns_rewrite_are_trained_only_as_they_stand(name, trained, untrained) -> None:
    tokenizer = installed(name)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<|return|>"]}, replace_extra_special_tokens=False)
    tally = Tally()
    (row,) = supervise(tokenizer, [MULTI], 4096, tally=tally)
    assert trained_texts(tokenizer, row) == trained
    assert row.input_ids == own_ids(tokenizer, MULTI)
    assert (tally.untrained, len(tally.warnings())) == (untrained, bool(untrained))


def test_a_tool_call_is_trained_where_a_later_turn_takes_its_thoughts_away() -> None:
    tokenizer = installed("qwen3.jinja")
    (row,) = supervise(tokenizer, [CALLS], 4096)
    assert trained_texts(tokenizer, row) == [QWEN3_CALL + "<|im_end|>", NO_THOUGHT + "Nine.<|im_end|>"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}", "changes earlier turns"),
        ("{% for m in messages %}{{ m.role }}{{ m.content[0].text }};{% endfor %}", "does not write the answer"),
        (
            "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}<think>{% endif %}",
            "asks for an answer with '<think>'",
        ),
    ],
)
def test_rows_whose_last_answer_cannot_be_trained_honestly_are_refused_with_the_reason(source: str, why: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(ASSETS / "base")
    tokenizer.chat_template = source
    with pytest.raises(ModelError, match=why):
        list(supervise(tokenizer, [MULTI], 512))
    tally = Tally()
    assert list(supervise(tokenizer, [MULTI, SINGLE], 512, tally=tally)) == []
    assert sum(tally.refused.values()) == 2 and why in tally.warnings()[0]


def test_a_template_with_several_by_name_is_used_as_transformers_does() -> None:
    tokenizer = installed("qwen2_5.jinja")
    with_tools = tokenizer.chat_template
    tokenizer.chat_template = {"default": NAMED["chatml"].source, "tool_use": with_tools}
    assert install_template(tokenizer) == []
    for talk in (MULTI, CALLS):
        (row,) = supervise(tokenizer, [talk], 4096)
        assert row.input_ids == own_ids(tokenizer, talk)


def test_templates_run_in_a_sandbox() -> None:
    for source in ("{{ ''.__class__.__mro__ }}", "{{ dict.__call__.__globals__ }}", "{{ namespace(__a=1) }}"):
        tokenizer = AutoTokenizer.from_pretrained(ASSETS / "base")
        tokenizer.chat_template = source
        with pytest.raises(ModelError, match="refuses"):
            template_of(tokenizer).render(SINGLE)


def test_the_end_of_turn_is_the_first_word_behind_an_answer() -> None:
    assert end_of_turn(template_of(installed("phi"))) == "<|end|>"
    assert end_of_turn(template_of(installed("llama2"))) == "<|endoftext|>"


BIG = "{% set b = 'a' * 1000000 %}"
GROW = "{{% set n = namespace(x={0}) %}}{{% for i in range(64) %}}{{% set n.x = {1} %}}{{% endfor %}}{{{{ n.x }}}}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 8000000000 }}",
        "{{ 8000000000 * [1] }}",
        "{{ 9 ** (9 ** 9) }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '{:{w}}'.format(1, w=9999999999) }}",
        "{{ '%(a)s' * 100000 % {'a': 'b' * 1000000} }}",
        "{{ 'a'.ljust(8000000000) }}",
        "{{ 'a' | center(8000000000) }}",
        "{{ 'a\n' | indent(8000000000) }}",
        "{{ messages | tojson(indent=8000000000) }}",
        "{{ range(99999) | join('b' * 1000000) }}",
        "{{ 1 | round(-99999999999) }}",
        BIG + "{{ b.replace('a', b) }}",
        BIG + "{{ b | replace('a', b) }}",
        BIG + "{{ b.join(range(99999) | map('string')) }}",
        BIG + "{% for i in range(99999) %}{{ b }}{% endfor %}",
        BIG + "{% for i in range(99999) %}{% set x = b | upper %}{% endfor %}",
        BIG + "{% macro m() %}{% for i in range(99999) %}{{ b }}{% endfor %}{% endmacro %}{{ m() }}",
        GROW.format("'aa'", "n.x + n.x"),
        GROW.format("'aa'", "n.x ~ n.x"),
        GROW.format("7", "n.x * n.x"),
        "{% for i in range(999999) %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ 1 // 0 }}",
    ],
)
def test_a_template_takes_no_more_of_the_machine_than_it_may(source: str) -> None:
    with pytest.raises(ModelError, match="refuses"):
        Template(source).render(SINGLE)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) if false %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ range(99999) | sum }}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        GROW.format("[1]", "[n.x, n.x]"),
        GROW.format("{}", "dict(a=n.x, b=n.x)"),
    ],
)
def test_a_template_works_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setattr(sandbox, "WORK", 2_000_000)
    with pytest.raises(ModelError, match="does more than a chat template needs to"):
        Template(source).render(SINGLE)


def test_long_conversations_are_no_hard_work() -> None:
    turns: list[Message] = [{**turn, "content": f"{turn['content']} {'long ' * 100}"} for turn in MULTI * 250]
    for name in ("llama3_2.jinja", "qwen3.jinja", "gptoss.jinja"):
        source = (UPSTREAM / name).read_text(encoding="utf-8")
        text = Template(FOLD + source).render([SYSTEM[0], *turns])
        assert text.count("long") == 100 * len(turns)
    huge: Message = {**SINGLE[0], "content": "long " * 1_000_000}
    assert Template(NAMED["chatml"].source).render([huge, SINGLE[1]]).count("long ") == 1_000_000
