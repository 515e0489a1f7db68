"""What a person should know about a template, a tokenizer and some rows before a run is started. Pure; reads no files.

Looks at the very tokens that would be trained; no check is made of names alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ftspace.chat import Template, end_of_turn, template_of
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation, Message
from ftspace.errors import FtspaceError, ModelError
from ftspace.supervision import Encoded, Tally, cut, encode, end_tokens
from ftspace.tokenizer import Origin

Level = Literal["ok", "warning", "stop"]
_TALKS: tuple[list[Message], ...] = (
    [{"role": "user", "content": "Question"}, {"role": "assistant", "content": "Answer"}],
    [
        {"role": "system", "content": "System"},
        {"role": "user", "content": "Question"},
        {"role": "assistant", "content": "Answer"},
    ],
)
"""Conversations that tell templates apart."""


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    level: Level
    """stop: a run would be in vain."""
    what: str
    detail: str
    fix: str = ""
    """What to do about it; "" when all is well."""
    error: FtspaceError | None = field(default=None, compare=False, repr=False)
    """What a run would end with, where a stop was found by raising it."""

    def __str__(self) -> str:
        return f"{self.detail}; {self.fix}" if self.fix else self.detail

    @classmethod
    def stop(cls, what: str, error: FtspaceError) -> "Check":
        """The line of an error; what stands behind its last semicolon is what to do."""
        said, _, fix = str(error).rpartition("; ")
        return cls("stop", what, said or fix, fix if said else "", error)


def check_rows(tokenizer: Any, conversations: Sequence[Conversation], config: RunConfig, origin: Origin) -> list[Check]:
    """All checks, in the order of their importance to what is trained.

    Args:
        tokenizer: with the run's template installed.
        conversations: some rows of the dataset.
        config: the run's.
        origin: what the model came with.
    """
    tally = Tally()
    try:
        rows = list(encode(tokenizer, conversations, tally, config.train.loss_on))
    except ModelError as error:
        return [Check("stop", "end of turn", str(error), "set model.chat_template to chatml")]
    found = list(_refused(tally, len(conversations)))
    if not rows:
        return found
    return [
        *found,
        _end(tokenizer, rows, origin),
        *_lengths(rows, config, tokenizer.bos_token_id),
        _bos(tokenizer, rows, origin),
        _padding(tokenizer),
        _template(tokenizer, config, origin),
        *_rewritten(tally, len(conversations)),
    ]


def _refused(tally: Tally, count: int) -> Iterator[Check]:
    for reason, times in tally.refused.most_common():
        level: Level = "stop" if sum(tally.refused.values()) == count else "warning"
        tools = "does not write tool" in reason
        yield Check(
            level,
            "tools" if tools else "template refuses",
            f"{times} of the first {count} rows cannot be trained: {reason}",
            "choose another model.chat_template or model, or leave such rows out",
        )


def _end(tokenizer: Any, rows: Sequence[Encoded], origin: Origin) -> Check:
    trained = {row.input_ids[row.end] for row in rows if row.end is not None}
    if not trained:
        return Check("stop", "answers", "no token of the first rows is trained", "choose another model.chat_template")
    own = {tokenizer.eos_token_id, *origin.end_ids}
    end = end_of_turn(template_of(tokenizer))
    written = tokenizer([end], add_special_tokens=False)["input_ids"][0][:1] if end else []
    shown = ", ".join(tokenizer.decode([token]) for token in sorted(trained))
    if trained <= own:
        return Check("ok", "end of turn", f"answers end with {shown}, which is trained and at which generation stops")
    if trained <= own | end_tokens(tokenizer) & set(written):
        return Check(
            "ok",
            "end of turn",
            f"answers end with {shown}, which is trained; comparing and evaluating stop there. Other programs must be "
            "told to, since the model's own files name another end",
        )
    stops = ", ".join(tokenizer.decode([token]) for token in sorted(own - {None})) or "nothing"
    return Check(
        "warning",
        "end of turn",
        f"answers end with {shown}, but generation stops at {stops}: answers may not end",
        "set model.chat_template to the template that the model was made with",
    )


def _lengths(rows: Sequence[Encoded], config: RunConfig, bos: int | None) -> Iterator[Check]:
    limit, side = config.train.max_length, config.train.truncation_side
    kept = [cut(row, limit, side, bos) for row in rows]
    shortened = sum(row.truncated for row in kept)
    lost = sum(not row.supervised for row in kept)
    longest = max(len(row.input_ids) for row in rows)
    fix = f"raise train.max_length to {longest}, which keeps all of them whole"
    if lost and side == "right":
        fix += ", or cut the beginning: train.truncation_side left"
    if lost:
        level: Level = "stop" if lost == len(rows) else "warning"
        share = "all" if lost == len(rows) else f"{lost} of"
        said = f"in {share} the first {len(rows)} rows no answer is left: they are cut after {limit} tokens"
        yield Check(level, "length", said, fix)
    elif shortened:
        yield Check("warning", "length", f"{shortened} of the first {len(rows)} rows are cut at {limit} tokens", fix)
    else:
        yield Check("ok", "length", f"the longest of the first {len(rows)} rows has {longest} of {limit} tokens")


def _bos(tokenizer: Any, rows: Sequence[Encoded], origin: Origin) -> Check:
    bos = tokenizer.bos_token_id
    if bos is None:
        return Check("ok", "begin token", "the tokenizer has none")
    begins = [row.input_ids[:2] for row in rows]
    if any(begin == [bos, bos] for begin in begins):
        return Check(
            "warning",
            "begin token",
            f"the template writes {tokenizer.bos_token} twice",
            "choose another model.chat_template",
        )
    written = any(begin[:1] == [bos] for begin in begins)
    if origin.adds_bos and not written:
        return Check(
            "warning",
            "begin token",
            f"the model's tokenizer begins texts with {tokenizer.bos_token}, and this template does not write it: the "
            "model sees conversations begin otherwise than texts did when it was made",
            "set model.chat_template to the template that the model was made with, if it has one",
        )
    said = f"the template writes {tokenizer.bos_token}, and nothing adds another" if written else "none is written"
    return Check("ok", "begin token", said)


def _padding(tokenizer: Any) -> Check:
    if tokenizer.pad_token_id is None:
        said = f"the tokenizer has none: {tokenizer.eos_token} fills up short rows"
    elif tokenizer.pad_token_id == tokenizer.eos_token_id:
        said = f"it is the end token {tokenizer.eos_token}"
    else:
        said = f"short rows are filled up with {tokenizer.pad_token}"
    return Check("ok", "padding", f"{said}; what fills up is never trained, and the model does not look at it")


def _template(tokenizer: Any, config: RunConfig, origin: Origin) -> Check:
    chosen = config.model.chat_template
    if origin.template is None:
        name = "ChatML" if chosen == "auto" else chosen
        return Check("ok", "template", f"the model has no chat template: it gets {name}")
    if chosen == "auto":
        return Check("ok", "template", "the model's own")
    own = Template(origin.template, dict(tokenizer.special_tokens_map))
    if all(_text(own, talk) == _text(template_of(tokenizer), talk) for talk in _TALKS):
        return Check("ok", "template", f"{chosen} writes what the model's own writes")
    return Check(
        "warning",
        "template",
        f"the model was made with another template than {chosen}: what it knows of turns, roles and when to stop must "
        "be learnt anew, and its base is compared in the template that it does not know",
        "set model.chat_template to auto, unless this is meant",
    )


def _text(template: Template, talk: list[Message]) -> str | None:
    try:
        return template.render(talk)
    except ModelError:
        return None


def _rewritten(tally: Tally, count: int) -> Iterator[Check]:
    if tally.folded:
        yield Check(
            "warning",
            "system prompt",
            f"the chat template takes no system prompt: in {tally.folded} of the first {count} rows it is written at "
            "the head of the first question",
        )
    if tally.untrained:
        yield Check(
            "warning",
            "earlier answers",
            f"{tally.untrained} earlier answers of the first {count} rows are not trained: the template rewrites them "
            "when the conversation goes on",
        )
