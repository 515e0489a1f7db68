"""The template lab: one conversation token by token, as a run trains it. Pure; knows no screen and no model."""

from dataclasses import dataclass
from typing import Any, Literal

from ftspace.data.formats import Conversation
from ftspace.sections import LossOn
from ftspace.supervision import IGNORED, Side, cut, cut_range, encode, end_tokens

Kind = Literal["trained", "context", "cut", "padding"]


@dataclass(frozen=True)
class LabToken:
    """One token."""

    id: int
    text: str
    """The characters of the rendered text that it covers: "" for the further tokens of one character."""
    kind: Kind
    special: bool


@dataclass(frozen=True)
class LabRow:
    """A conversation in tokens."""

    text: str
    """All that is tokenized: the texts of the tokens, but for padding, one after the other."""
    tokens: tuple[LabToken, ...]
    """Those that are cut stand in their place; padding comes last."""
    trained: int
    kept: int
    """Tokens that the model gets, padding aside."""
    cut: int


def lab_row(
    tokenizer: Any,
    conversation: Conversation,
    max_length: int,
    side: Side = "right",
    pad_to: int | None = None,
    loss_on: LossOn = "assistant",
) -> LabRow:
    """The tokens of a conversation: `supervise`'s, with what was cut, and padding up to `pad_to` tokens.

    The tokenizer carries its template already (`chat.install_template`). Raises ModelError as `supervise` does.
    """
    (whole,) = encode(tokenizer, [conversation], loss_on=loss_on)
    labels = iter(cut(whole, max_length, side, tokenizer.bos_token_id).labels)
    low, high = cut_range(whole.input_ids, max_length, side, tokenizer.bos_token_id)
    special = end_tokens(tokenizer)
    texts = _texts(whole.text, whole.ends, len(whole.input_ids), tokenizer.eos_token or "")
    tokens: list[LabToken] = []
    for place, (token, text) in enumerate(zip(whole.input_ids, texts, strict=True)):
        kind: Kind = "cut" if low <= place < high else "context" if next(labels) == IGNORED else "trained"
        tokens.append(LabToken(token, text, kind, token in special))
    kept = len(tokens) - (high - low)
    pad: tuple[int | None, str | None] = tokenizer.pad_token_id, tokenizer.pad_token
    if pad[0] is None:
        pad = tokenizer.eos_token_id, tokenizer.eos_token
    if pad_to is not None and pad[0] is not None:
        tokens += [LabToken(pad[0], pad[1] or "", "padding", special=True)] * (pad_to - kept)
    return LabRow(
        text="".join(texts),
        tokens=tuple(tokens),
        trained=sum(token.kind == "trained" for token in tokens),
        kept=kept,
        cut=high - low,
    )


def _texts(text: str, ends: list[int], count: int, eos: str) -> list[str]:
    """The characters of each token; what the tokenizer leaves out goes with the token behind it, or the last one."""
    pieces: list[str] = []
    told = 0
    for end in ends:
        pieces.append(text[told:end])
        told = max(told, end)
    if count > len(pieces):
        return [*pieces, eos]
    if pieces:
        pieces[-1] += text[told:]
    return pieces
