"""From conversations and texts to the tokens a model is given, and back to know where its answer ends.

Knows a tokenizer and its chat template; knows nothing of models' weights, tasks or scores.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from evals.errors import ModelError, TaskError, one_line


@dataclass(frozen=True)
class Prompt:
    """A text as the model gets it."""

    text: str
    rendered: bool
    """Made by a chat template, which writes its own special tokens: the tokenizer must add none."""


class Prompter:
    """A tokenizer with the chat template in use.

    Args:
        tokenizer: a transformers tokenizer.
        chat_template: a Jinja template to use instead of the tokenizer's own.
    """

    def __init__(self, tokenizer: Any, chat_template: str | None = None) -> None:
        self.tokenizer = tokenizer
        own = tokenizer.chat_template
        self.chat_template: str | None = chat_template or (own.get("default") if isinstance(own, dict) else own)

    @property
    def template_hash(self) -> str | None:
        """A hash of the chat template, None without one."""
        return None if self.chat_template is None else _hash(self.chat_template)

    @property
    def tokenizer_hash(self) -> str:
        """A hash of what turns text into tokens."""
        backend = getattr(self.tokenizer, "backend_tokenizer", None)
        return _hash(repr(sorted(self.tokenizer.get_vocab().items())) if backend is None else backend.to_str())

    def render(self, messages: Sequence[Mapping[str, str]], *, raw: bool = False) -> Prompt:
        """Turn a conversation into the text that asks the model for the next turn.

        Args:
            messages: turns of `role` and `content`.
            raw: take the last turn's content as it is, without a template.

        Raises:
            ModelError: there is no chat template.
            TaskError: the template refuses the conversation, such as one with a system message.
        """
        if raw:
            return Prompt(messages[-1]["content"], rendered=False)
        if self.chat_template is None:
            raise ModelError(
                "the model's tokenizer has no chat template, so it can't be asked a question: give one "
                "(`--chat-template FILE`), use the adapter's tokenizer, or write the task's rows with `raw`"
            )
        return Prompt(self._apply(messages, ask=True), rendered=True)

    def encode(self, prompt: Prompt) -> list[int]:
        """Return the prompt's token ids; an empty text is the begin token, if there is one."""
        ids: list[int] = list(self.tokenizer.encode(prompt.text, add_special_tokens=not prompt.rendered))
        while not prompt.rendered and ids and ids[-1] == self.tokenizer.eos_token_id:
            ids.pop()  # some tokenizers end every text, and nothing goes on after an end
        if not ids and self.tokenizer.bos_token_id is not None:
            return [self.tokenizer.bos_token_id]
        return ids

    def split(self, prompt: Prompt, continuation: str) -> tuple[list[int], list[int]]:
        """Return the ids of a prompt and of what goes on with it.

        Both are tokenized together where their border is a border between tokens, else each alone.
        """
        before = self.encode(prompt)
        whole = self.encode(Prompt(prompt.text + continuation, prompt.rendered))
        if whole[: len(before)] == before and len(whole) > len(before):
            return before, whole[len(before) :]
        return before, list(self.tokenizer.encode(continuation, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of an answer's ids, special tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def end_ids(self, *sources: Any) -> tuple[int, ...]:
        """Return all ids that end an answer, in order.

        They are the tokenizer's `eos_token_id`, those of `sources` (a model's configs: one id or a list), and the
        special token that the chat template writes after an assistant's turn.
        """
        found: list[int] = []
        for source in (self.tokenizer, *sources):
            ids = getattr(source, "eos_token_id", None)
            found += ids if isinstance(ids, list | tuple) else [] if ids is None else [ids]
        if self.chat_template is not None:
            mark = "\ue000"  # a private-use character that no template writes
            talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": mark}]
            _, seen, after = self._apply(talk, ask=False).rpartition(mark)
            ids = self.tokenizer.encode(after.lstrip(), add_special_tokens=False) if seen else []
            if ids and self.tokenizer.decode(ids[:1]) in self.tokenizer.get_added_vocab():
                found.append(ids[0])
        return tuple(sorted(set(found)))

    def _apply(self, messages: Sequence[Mapping[str, str]], *, ask: bool) -> str:
        turns = [dict(turn) for turn in messages]
        try:
            return self.tokenizer.apply_chat_template(
                turns, chat_template=self.chat_template, tokenize=False, add_generation_prompt=ask
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise TaskError(f"the chat template refuses a conversation: {one_line(error)}") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
