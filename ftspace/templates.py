"""Chat templates by name, and how any template's Jinja is made to render. Knows no tokenizer.

The named ones are written for this project; each renders what the public template of its family renders, where there is
one, for conversations of system, user and assistant.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from ftspace.sandbox import Sandbox, bounded, paid, paid_filter

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The template of models that come without one (OpenAI's ChatML)."""
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")

FOLD = (
    "{% set fold = namespace(system='', turns=[]) %}"
    "{% for turn in messages %}"
    "{% if turn['role'] == 'system' %}"
    "{% set fold.system = fold.system + turn['content'] + '\n\n' %}"
    "{% else %}"
    "{% if fold.system and turn['role'] == 'user' %}"
    "{% set turn = dict(turn, content=fold.system + turn['content']) %}"
    "{% elif fold.system %}"
    "{% set fold.turns = fold.turns + [dict(role='user', content=fold.system | trim)] %}"
    "{% endif %}"
    "{% set fold.system = '' %}"
    "{% set fold.turns = fold.turns + [turn] %}"
    "{% endif %}"
    "{% endfor %}"
    "{% if fold.system %}"
    "{% set fold.turns = fold.turns + [dict(role='user', content=fold.system | trim)] %}"
    "{% endif %}"
    "{% set messages = fold.turns %}\n"
)
"""Put in front of a template that takes no system prompt: writes it at the head of the user turn that follows.

Part of the template that is saved, so that everything that renders with it folds alike. Ends with the newline that
`trim_blocks` removes, so that the template behind it begins at the head of a line, as it does alone.
"""

_PAIRS = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set opening = messages[0]['content'] %}{% set turns = messages[1:] %}"
    "{% else %}"
    "{% set opening = '' %}{% set turns = messages %}"
    "{% endif %}"
)
"""The system prompt as `opening`, and the other turns as `turns`."""
_ALTERNATE = (
    "{% if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') %}"
    "{{ raise_exception('after the system prompt, turns must alternate between user and assistant') }}"
    "{% endif %}"
)
_KNOWN_ROLES = (
    "{% if message['role'] not in ('system', 'user', 'assistant') %}"
    "{{ raise_exception('turns must be of system, user or assistant') }}"
    "{% endif %}"
)
_BOS, _EOS = "{{ bos_token | default('') }}", "{{ eos_token | default('') }}"


@dataclass(frozen=True)
class Named:
    """A template that can be chosen by name."""

    source: str
    tokens: tuple[str, ...] = ()
    """Special tokens that it writes beside bos and eos; the vocabulary gets those that it lacks."""


_LLAMA2 = (
    _PAIRS + "{% for message in turns %}" + _ALTERNATE + "{% if message['role'] == 'user' %}"
    "{% set asked = message['content'] %}"
    "{% if loop.first and opening %}"
    "{% set asked = '<<SYS>>\n' + opening + '\n<</SYS>>\n\n' + asked %}"
    "{% endif %}" + _BOS + "{{ '[INST] ' + asked | trim + ' [/INST]' }}"
    "{% else %}"
    "{{ ' ' + message['content'] | trim + ' ' }}" + _EOS + "{% endif %}"
    "{% endfor %}"
)
_LLAMA3 = (
    _BOS + "{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
_MISTRAL = (
    _PAIRS + _BOS + "{% for message in turns %}" + _ALTERNATE + "{% if message['role'] == 'user' %}"
    "{{ ' [INST] ' + (opening + '\n\n' if loop.first and opening else '') + message['content'] + ' [/INST]' }}"
    "{% else %}"
    "{{ ' ' + message['content'] }}" + _EOS + "{% endif %}"
    "{% endfor %}"
)
_ZEPHYR = (
    "{% for message in messages %}" + _KNOWN_ROLES + "{{ '<|' + message['role'] + '|>\n' + message['content'] }}" + _EOS
    + "{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)  # fmt: skip
_GEMMA = (
    _BOS + "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system prompt') }}{% endif %}"
    "{% for message in messages %}" + _ALTERNATE
    + "{{ '<start_of_turn>' + ('user' if message['role'] == 'user' else 'model') + '\n' }}"
    "{{ message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)  # fmt: skip
_PHI = (
    "{% for message in messages %}" + _KNOWN_ROLES
    + "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}" + _EOS + "{% endif %}"
)  # fmt: skip
_ALPACA = (
    _PAIRS + "{{ opening or 'Below is an instruction that describes a task. Write a response that appropriately "
    "completes the request.' }}{{ '\n\n' }}"
    "{% for message in turns %}" + _ALTERNATE + "{% if message['role'] == 'user' %}"
    "{{ '### Instruction:\n' + message['content'] + '\n\n' }}"
    "{% else %}"
    "{{ '### Response:\n' + message['content'] }}" + _EOS + "{{ '\n\n' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}"
)
_VICUNA = (
    _PAIRS + '{{ opening or "A chat between a curious user and an artificial intelligence assistant. The assistant '
    "gives helpful, detailed, and polite answers to the user's questions.\" }}{{ ' ' }}"
    "{% for message in turns %}" + _ALTERNATE + "{% if message['role'] == 'user' %}"
    "{{ 'USER: ' + message['content'] + ' ' }}"
    "{% else %}"
    "{{ 'ASSISTANT: ' + message['content'] }}" + _EOS + "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
_PLAIN = (
    "{% for message in messages %}" + _KNOWN_ROLES + "{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}" + _EOS + "{% endif %}"
    "{{ '\n\n' }}"
    "{% endfor %}"
)

NAMED: dict[str, Named] = {
    "chatml": Named(CHATML, CHATML_TOKENS),
    "llama2": Named(_LLAMA2),
    "llama3": Named(_LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    "mistral": Named(_MISTRAL),
    "zephyr": Named(_ZEPHYR),
    "gemma": Named(_GEMMA, ("<start_of_turn>", "<end_of_turn>")),
    "phi": Named(_PHI, ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")),
    "alpaca": Named(_ALPACA),
    "vicuna": Named(_VICUNA),
    "plain": Named(_PLAIN),
}
"""All choices of `model.chat_template` but auto."""


class _Generation(Extension):
    """`{% generation %}`, which training templates put around answers: writes what it holds."""

    tags = {"generation"}  # noqa: RUF012  (as jinja2 has it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """Jinja's, without the underscore names that reach into Python."""

    def __init__(*args: Any, **values: Any) -> None:
        given = dict(*args[1:], **values)
        for name in given:
            _require_plain(name)
        Namespace.__init__(args[0], given)  # pyright: ignore[reportArgumentType]

    def __setitem__(self, name: str, value: Any) -> None:
        _require_plain(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"  # without what it holds, which may be itself


class _Dict:
    """`dict` for templates, without its other attributes."""

    def __call__(self, *args: Any, **values: Any) -> dict[Any, Any]:
        return paid(dict(*args, **values))


def _require_plain(name: str) -> None:
    if name.startswith("_"):
        raise TemplateError(f"a namespace cannot hold {name!r}")


def _raise(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form[:100])


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=64)
def compiled(source: str) -> Callable[..., str]:
    """The template as a function of its variables, rendering as transformers does. Raises jinja2's TemplateError.

    Templates come from strangers: they run in jinja2's sandbox, which is all that stands between them and Python, and
    within the bounds of `sandbox.py`, which are all that stands between them and the machine.
    """
    ours = source.removeprefix(FOLD) in [named.source for named in NAMED.values()]  # they take little, unwatched less
    environment = (ImmutableSandboxedEnvironment if ours else Sandbox)(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = paid_filter("tojson", _to_json)
    given: dict[str, Any] = environment.globals  # pyright: ignore[reportAssignmentType]
    given |= {"raise_exception": _raise, "strftime_now": _now, "dict": _Dict(), "namespace": _Namespace}
    template = environment.from_string(source)
    known = dict(template.globals)

    def render(**variables: Any) -> str:
        # what template.render does, without reading the globals anew each time, which takes longer than the rest
        context = template.new_context({**known, **variables}, shared=True)
        return bounded(lambda: "".join(template.root_render_func(context)))

    return render
