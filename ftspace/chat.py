"""Conversations to text, and where in it the answers lie. The one renderer of what is trained, shown and compared.

Knows tokenizers by what they do, not by their library: importing it loads neither torch nor transformers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from ftspace.data.formats import Conversation, Message
from ftspace.errors import ModelError
from ftspace.templates import CHATML, FOLD, NAMED, compiled

_MARK = "\ue000"
"""A private-use character that no template writes."""


@dataclass(frozen=True)
class Template:
    """A Jinja chat template and the special tokens that it may name."""

    source: str
    special_tokens: dict[str, Any] = field(default_factory=dict[str, Any])
    tools_source: str | None = None
    """Another template that some models have for conversations that offer tools."""

    @property
    def folds_system(self) -> bool:
        """Whether it writes system prompts at the head of the question, since the model takes none."""
        return self.source.startswith(FOLD)

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """The conversation as text. Raises ModelError when the template refuses it."""
        turns: list[dict[str, Any]] = [dict(message) for message in messages]
        tools = turns[0].pop("tools", None) if turns else None
        source = self.tools_source if tools and self.tools_source else self.source
        _require(source, "tools", bool(tools))
        _require(source, "tool_calls", any("tool_calls" in turn for turn in turns))
        try:
            return compiled(source)(
                **{
                    "messages": turns,
                    "tools": tools,
                    "documents": None,
                    "add_generation_prompt": add_generation_prompt,
                    **self.special_tokens,
                }
            )
        except (TemplateError, TypeError, ValueError) as error:
            roles = ", ".join(message["role"] for message in messages)
            raise ModelError(f"the model's chat template refuses a conversation of {roles}: {error}") from error


def _require(source: str, name: str, given: bool) -> None:
    """A template that does not speak of tools would leave them out in silence."""
    if given and name not in source:
        raise ModelError(
            f"the model's chat template does not write {name.replace('_', ' ')}, which the dataset has, so they "
            "would be left out; choose a model whose template takes tools, or rows without them"
        )


def template_of(tokenizer: Any) -> Template:
    """The template that a tokenizer carries, ChatML when it carries none."""
    return make_template(tokenizer.chat_template, dict(tokenizer.special_tokens_map))


def make_template(carried: str | dict[str, str] | None, special_tokens: dict[str, Any]) -> Template:
    """The template of what a tokenizer carries: one, several by name, or none."""
    if isinstance(carried, dict):
        default = carried.get("default") or next(iter(carried.values()), CHATML)
        return Template(default, special_tokens, carried.get("tool_use"))
    return Template(carried or CHATML, special_tokens)


def install_template(tokenizer: Any, choice: str = "auto") -> list[int]:
    """Gives a tokenizer the template chosen, a name of `NAMED`; auto is its own, and ChatML where it has none.

    Special tokens of the template are added where the vocabulary lacks them. Where the template takes no system prompt,
    the one installed writes it at the head of the question. Returns the ids of the tokens whose rows must be trained,
    since the model's own template never named them.
    """
    own = tokenizer.chat_template
    untrained: list[int] = []
    if choice != "auto" or not own:
        named = NAMED["chatml" if choice == "auto" else choice]
        if lacking := [token for token in named.tokens if token not in tokenizer.all_special_tokens]:
            tokenizer.add_special_tokens({"extra_special_tokens": lacking}, replace_extra_special_tokens=False)
        written = "".join(own.values()) if isinstance(own, dict) else own or ""
        untrained = [tokenizer.convert_tokens_to_ids(token) for token in named.tokens if token not in written]
        tokenizer.chat_template = named.source
    special = dict(tokenizer.special_tokens_map)
    if isinstance(tokenizer.chat_template, dict):
        tokenizer.chat_template = {name: folding(one, special) for name, one in tokenizer.chat_template.items()}
    else:
        tokenizer.chat_template = folding(tokenizer.chat_template, special)
    return untrained


def folding(source: str, special_tokens: dict[str, Any]) -> str:
    """The template, with `templates.FOLD` in front where it refuses system prompts or leaves them out."""
    return FOLD + source if refuses_system(Template(source, special_tokens)) else source


def refuses_system(template: Template) -> bool:
    """Whether a template that writes a question and its answer raises, or leaves out, a system prompt before them."""
    talk: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    try:
        template.render(talk)
    except ModelError:
        return False
    try:
        return _MARK not in template.render([{"role": "system", "content": _MARK}, *talk])
    except ModelError:
        return True


@dataclass(frozen=True)
class Rendered:
    """A conversation as text, and what of it is trained."""

    text: str
    spans: list[tuple[int, int]]
    """Where the characters of each trained answer lie, with those that end it."""
    untrained: int
    """Earlier answers that are not trained, since the template writes them otherwise than when they are asked for."""


def render_answers(template: Template, conversation: Conversation) -> Rendered:
    """Renders a conversation and finds its answers. Raises ModelError when the last one cannot be trained honestly.

    An answer is trained when the text before it is what the model sees when asked for it. It ends with the string with
    which the template ends a last answer; where that is not right behind it, with what the template adds to the
    conversation up to it, provided that later turns leave that as it is.
    """
    text = template.render(conversation)
    answers = [index for index, turn in enumerate(conversation) if turn["role"] == "assistant"]
    end = end_of_turn(template)
    spans: list[tuple[int, int]] = []
    for index in answers:
        before = template.render(conversation[:index], add_generation_prompt=True)
        stop = None
        if text.startswith(before):
            stop = _located(text, len(before), conversation[index], end)
            if stop is None:
                stop = _remaining(template, conversation, index, text, len(before), end)
        if stop is not None:
            spans.append((len(before), stop))
        elif index == answers[-1]:
            raise ModelError(_why_not(template, conversation[:index], text, before))
    return Rendered(text, spans, len(answers) - len(spans))


def _why_not(template: Template, asked: Conversation, text: str, before: str) -> str:
    """Why a last answer cannot be trained."""
    if text.startswith(before):
        why = "the model's chat template does not write the answer as the dataset has it"
    elif text.startswith(shown := template.render(asked)):
        why = (
            f"the model's chat template asks for an answer with {before.removeprefix(shown)[-40:]!r}, which it does "
            "not write before an answer that is given, so the model would learn for a question that never comes"
        )
    else:
        why = (
            "the model's chat template changes earlier turns when a later one is added: what stands before an answer "
            "is not what the model sees when it is asked, so it would learn for a question that never comes"
        )
    return f"{why}; choose another model.chat_template, or a model with another template"


def answer_spans(template: Template, conversation: Conversation) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation and, for each assistant turn that is trained, where its characters and its end lie."""
    rendered = render_answers(template, conversation)
    return rendered.text, rendered.spans


def end_of_turn(template: Template) -> str:
    """What a template writes right behind a last answer, blanks aside: `<|im_end|>`; "" when nothing."""
    return _end_of_turn(template.source, json.dumps(template.special_tokens))


@lru_cache(maxsize=64)
def _end_of_turn(source: str, special_tokens: str) -> str:
    talk: list[Message] = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    try:
        _, seen, after = Template(source, json.loads(special_tokens)).render(talk).rpartition(_MARK)
    except ModelError:
        return ""
    return next(iter(after.split()), "") if seen else ""


def _located(text: str, start: int, turn: Message, end: str) -> int | None:
    """Where an answer ends that stands right behind `start` as it was said, but for blanks, with `end` behind it."""
    said = turn["content"].strip()
    if not end or turn.get("tool_calls") or not said:
        return None
    begin = start
    while text[begin : begin + 1].isspace():
        begin += 1
    behind = begin + len(said)
    if not text.startswith(said, begin):
        return None
    while text[behind : behind + 1].isspace():
        behind += 1
    return behind + len(end) if text.startswith(end, behind) else None


def _remaining(
    template: Template, conversation: Conversation, index: int, text: str, start: int, end: str
) -> int | None:
    """Where an answer ends that later turns leave as it was written when it was the last, or of which they leave the
    tool calls and what follows them.
    """
    last = index + 1 == len(conversation)
    through = (text if last else template.render(conversation[: index + 1])).rstrip()
    turn = conversation[index]
    stop = len(through)
    if not (start < stop and text.startswith(through)):
        stop = text.find(end, start) + len(end) if end and turn.get("tool_calls") else 0
        if not text[start:stop].removesuffix(end).strip() or not through.endswith(text[start:stop]):
            return None
    said = turn["content"].rpartition("</think>")[2].strip()  # thoughts are set on lines of their own by many templates
    return stop if said in text[start:stop] else None
