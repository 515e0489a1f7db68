"""Conversations to text and to supervised tokens. The one renderer of what is trained, shown and compared.

Knows tokenizers by what they do, not by their library: importing it loads neither torch nor a model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspace.data.formats import Conversation, Message
from ftspace.errors import ModelError

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""The template of models that come without one (OpenAI's ChatML)."""
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
IGNORED = -100
"""The label of a token that is not trained, as torch's cross entropy has it."""


@dataclass(frozen=True)
class Template:
    """A Jinja chat template and the special tokens that it may name."""

    source: str
    special_tokens: dict[str, Any] = field(default_factory=dict[str, Any])

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """The conversation as text. Raises ModelError when the template refuses it."""
        from jinja2 import TemplateError
        from transformers.utils.chat_template_utils import render_jinja_template

        turns: list[dict[str, Any]] = [dict(message) for message in messages]
        tools = turns[0].pop("tools", None) if turns else None
        self._require("tools", bool(tools))
        self._require("tool_calls", any("tool_calls" in turn for turn in turns))
        try:
            rendered, _ = render_jinja_template(
                conversations=[turns],
                tools=tools,
                chat_template=self.source,
                add_generation_prompt=add_generation_prompt,
                **self.special_tokens,
            )
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise ModelError(f"the model's chat template refuses a conversation of {roles}: {error}") from error
        return rendered[0]

    def _require(self, name: str, given: bool) -> None:
        """A template that does not speak of tools would leave them out in silence."""
        if given and name not in self.source:
            raise ModelError(
                f"the model's chat template does not write {name.replace('_', ' ')}, which the dataset has, so they "
                "would be left out; choose a model whose template takes tools, or rows without them"
            )


def template_of(tokenizer: Any) -> Template:
    """The template that a tokenizer carries, ChatML when it carries none."""
    return Template(tokenizer.chat_template or CHATML, dict(tokenizer.special_tokens_map))


def install_template(tokenizer: Any) -> list[int]:
    """Gives a tokenizer without a chat template ChatML, adding its two tokens where the vocabulary lacks them.

    Returns the ids of the tokens whose rows must be trained, since no pretraining used them; [] when it had a template.
    """
    if tokenizer.chat_template:
        return []
    tokenizer.add_special_tokens({"additional_special_tokens": list(CHATML_TOKENS)})
    tokenizer.chat_template = CHATML
    return [tokenizer.convert_tokens_to_ids(token) for token in CHATML_TOKENS]


@dataclass(frozen=True)
class Supervised:
    """A conversation as a model is trained on it: token ids, and the same ids as labels or IGNORED."""

    input_ids: list[int]
    labels: list[int]
    truncated: bool

    @property
    def supervised(self) -> int:
        """How many tokens are trained."""
        return sum(label != IGNORED for label in self.labels)


def supervise(tokenizer: Any, conversations: Sequence[Conversation], max_length: int) -> Iterator[Supervised]:
    """Tokenizes conversations with a loss on every assistant turn and the token that ends it, and on nothing else.

    Where a template leaves the last answer without an end token, the tokenizer's eos is put right behind it. Raises
    ModelError for templates in which an answer changes what stands before it: nothing of them could be trained.
    """
    template = template_of(tokenizer)
    spans = [answer_spans(template, conversation) for conversation in conversations]
    texts = [text for text, _ in spans]
    encoded = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    special = set(tokenizer.all_special_ids)
    for ids, offsets, (_, answers) in zip(encoded["input_ids"], encoded["offset_mapping"], spans, strict=True):
        labels = [
            token if any(start < end <= stop for start, stop in answers) else IGNORED
            for token, (_, end) in zip(ids, offsets, strict=True)
        ]
        last = max((place for place, label in enumerate(labels) if label != IGNORED), default=None)
        if last is not None and labels[last] not in special:
            ids, labels = ([*tokens[: last + 1], tokenizer.eos_token_id] for tokens in (ids, labels))
        yield Supervised(ids[:max_length], labels[:max_length], len(ids) > max_length)


def answer_spans(template: Template, conversation: Conversation) -> tuple[str, list[tuple[int, int]]]:
    """The rendered conversation and, for each assistant turn, where its characters and its end token lie."""
    text = template.render(conversation)
    spans: list[tuple[int, int]] = []
    for index, message in enumerate(conversation):
        if message["role"] != "assistant":
            continue
        before = template.render(conversation[:index], add_generation_prompt=True)
        through = text if index + 1 == len(conversation) else template.render(conversation[: index + 1])
        if not text.startswith(through) or not through.startswith(before):
            raise ModelError(
                "the model's chat template changes earlier turns when a later one is added, so which tokens are the "
                "answer cannot be told; choose a model with another template, or conversations of one question each"
            )
        spans.append((len(before), len(before) + len(through[len(before) :].rstrip())))
    return text, spans
