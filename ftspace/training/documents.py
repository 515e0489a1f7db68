"""Conversations laid one behind the other instead of padded, each seeing only itself. Knows tensors, no trainer.

A batch is one row of tokens with the lengths of its documents. `attend` is registered with transformers' attention
interface and attends document by document, so no mask is built, no position is padding, and no document sees another.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface

from ftspace.supervision import IGNORED
from ftspace.training.attention import causal, suits

ATTENTION = "ftspace_documents"
"""The name under which `attend` is registered."""
LENGTHS = "document_lengths"
"""The argument of the model's forward that carries the documents' lengths to `attend`."""
_UNKNOWN = ("softcap", "s_aux", "position_bias", "cache")
"""Kinds of attention that are not written here."""
_PROBES, _PROBE = 4, 48
"""Documents, and tokens of each, by which a model is tried."""
_SAME = {True: 1e-3, False: 3e-2}
"""Mean difference of logits that is rounding, relative to their mean size: in float32, and in half precision or int8,
which rounds a token's values by those of its neighbours."""


class UnknownAttention(Exception):
    """The model attends in a way that `attend` does not know."""


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each document.

    Args:
        module: the attention layer.
        query: (1, heads, tokens, width); `key` and `value` may have fewer heads, each shared by several queries.
        key: see query.
        value: see query.
        attention_mask: none is made for this implementation.
        dropout: on the attention's weights.
        scaling: of the products; 1/sqrt(width) when None.
        sliding_window: how far back a token sees; all the way when None.
        **kwargs: has the documents' lengths.

    Returns:
        (1, tokens, heads, width), and no weights.

    Raises:
        UnknownAttention: the model asks for something else.
    """
    lengths: Sequence[int] | None = kwargs.get(LENGTHS)
    if lengths is None or attention_mask is not None or any(kwargs.get(name) is not None for name in _UNKNOWN):
        raise UnknownAttention(type(module).__name__)
    shared = query.shape[1] != key.shape[1]
    outputs: list[torch.Tensor] = []
    start = 0
    for length, alike in groupby(lengths):
        stop = start + length * len(list(alike))
        q, k, v = (_stacked(one[:, :, start:stop], length) for one in (query, key, value))
        windowed = bool(sliding_window) and length > sliding_window
        if not windowed and suits(q, dropout):
            found = causal(q, k, v, q.shape[-1] ** -0.5 if scaling is None else scaling)
        else:
            mask = _band(length, sliding_window, q.device) if sliding_window and windowed else None
            found = functional.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=mask is None, scale=scaling, enable_gqa=shared
            )
        outputs.append(found.transpose(1, 2).reshape(1, stop - start, found.shape[1], found.shape[3]))
        start = stop
    return torch.cat(outputs, dim=1), None


def _stacked(tokens: torch.Tensor, length: int) -> torch.Tensor:
    """(1, heads, documents * length, width) as (documents, heads, length, width)."""
    _, heads, count, width = tokens.shape
    return tokens.view(heads, count // length, length, width).transpose(0, 1)


def _band(length: int, window: int, device: torch.device) -> torch.Tensor:
    """True where a token sees another: itself and the `window` - 1 before it."""
    place = torch.arange(length, device=device)
    behind = place[:, None] - place[None, :]
    return (behind >= 0) & (behind < window)


def register() -> None:
    """Makes the attention known to transformers; models made before can be switched to it."""
    AttentionInterface.register(ATTENTION, attend)


@dataclass(frozen=True)
class Documents:
    """Some conversations, one behind the other."""

    input_ids: torch.Tensor
    """(tokens,)"""
    labels: torch.Tensor
    """(tokens,), IGNORED where nothing is trained; always IGNORED at a document's first token."""
    lengths: tuple[int, ...]

    @property
    def supervised(self) -> int:
        """Tokens that are trained."""
        return int((self.labels != IGNORED).sum())

    def inputs(self, device: torch.device, multiple: int = 1) -> tuple[dict[str, Any], torch.Tensor]:
        """What the model's forward takes, and the target of each of its logits.

        Logits are asked for at the positions only whose next token is trained. The tokens are filled up to a `multiple`
        by a document that nothing is learnt from.
        """
        filler = -len(self.input_ids) % multiple
        lengths = (*self.lengths, filler) if filler else self.lengths
        positions = torch.cat([torch.arange(length) for length in lengths])
        before = torch.nonzero(self.labels[1:] != IGNORED).squeeze(1)
        targets = self.labels[before + 1]
        given: dict[str, Any] = {
            "input_ids": functional.pad(self.input_ids, (0, filler))[None].to(device),
            "position_ids": positions[None].to(device),
            "logits_to_keep": before.to(device),
            "use_cache": False,
            LENGTHS: lengths,
        }
        return given, targets.to(device)


def documents(rows: Sequence[dict[str, Any]]) -> Documents:
    """Rows of `input_ids` and `labels`, laid one behind the other from the shortest to the longest.

    Those of equal length then lie side by side and are attended to in one go; the loss of a step is a sum, so the order
    within it plays no part.
    """
    rows = sorted(rows, key=_length)
    labels = [torch.as_tensor(row["labels"], dtype=torch.long).clone() for row in rows]
    for one in labels:
        one[0] = IGNORED
    return Documents(
        torch.cat([torch.as_tensor(row["input_ids"], dtype=torch.long) for row in rows]),
        torch.cat(labels),
        tuple(len(one) for one in labels),
    )


def parted(whole: Documents, most: int) -> Iterator[Documents]:
    """The documents in order, in parts of at most `most` tokens; a longer document is a part of its own."""
    first = start = stop = 0
    for place, length in enumerate([*whole.lengths, most + 1]):
        if place > first and stop - start + length > most:
            yield Documents(whole.input_ids[start:stop], whole.labels[start:stop], whole.lengths[first:place])
            first, start = place, stop
        stop += length


def shared_out(whole: Documents, size: int) -> list[list[int]]:
    """Which documents each of `size` processes takes, so that they have about as many tokens to do."""
    shares: list[list[int]] = [[] for _ in range(size)]
    loads = [0] * size
    for place in sorted(range(len(whole.lengths)), key=lambda one: -whole.lengths[one]):
        least = loads.index(min(loads))
        shares[least].insert(0, place)
        loads[least] += whole.lengths[place]
    return shares


def taken(whole: Documents, places: Sequence[int]) -> Documents:
    """Some of the documents."""
    ids, labels = (one.split(whole.lengths) for one in (whole.input_ids, whole.labels))
    return Documents(
        torch.cat([ids[place] for place in places]),
        torch.cat([labels[place] for place in places]),
        tuple(whole.lengths[place] for place in places),
    )


def adopt(model: Any, rows: Sequence[dict[str, Any]]) -> str | None:
    """Switches a causal language model to `attend`, if that gives what the model gives for each document alone.

    Proved on `rows`, cut short: a model that mixes tokens by other means than attention (state spaces, convolutions)
    would let one document see another. Returns None, or why the model was left as it is.
    """
    register()
    few = [{"input_ids": row["input_ids"][:_PROBE], "labels": row["input_ids"][:_PROBE]} for row in rows[:_PROBES]]
    own = model.config._attn_implementation
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            alone = torch.cat([_logits(model, documents([row]), together=False) for row in sorted(few, key=_length)])
            model.set_attn_implementation(ATTENTION)
            together = _logits(model, documents(few), together=True)
    except (UnknownAttention, TypeError, ValueError) as error:
        model.set_attn_implementation(own)
        return f"it attends in a way of its own ({error})"
    finally:
        model.train(training)
    difference = (alone - together).abs().mean().item() / max(alone.abs().mean().item(), 1e-6)
    exact = model.dtype == torch.float32 and not getattr(model, "is_loaded_in_8bit", False)
    if alone.shape == together.shape and difference < _SAME[exact]:
        return None
    model.set_attn_implementation(own)
    return f"its logits for conversations behind each other differ by {difference:.1%} from those for each alone"


def _length(row: dict[str, Any]) -> int:
    return len(row["input_ids"])


def _logits(model: Any, given: Documents, *, together: bool) -> torch.Tensor:
    inputs, _ = given.inputs(model.device)
    if not together:
        inputs = {name: inputs[name] for name in ("input_ids", "logits_to_keep", "use_cache")}
    return model(**inputs).logits[0].float()
