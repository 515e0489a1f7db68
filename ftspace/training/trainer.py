"""TRL's trainer on documents without padding, with logits only where a token is trained. Same loss, same order, faster.

A step's conversations come as one batch, are gone through in parts of a token budget, and the loss of each part is
divided by the supervised tokens of the whole step: what plain TRL computes over padded rows, to rounding.
"""

from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset

from ftspace.supervision import IGNORED
from ftspace.training.documents import Documents, documents, parted, shared_out, taken
from ftspace.training.heads import fuses, summed_loss
from ftspace.training.lora_product import fuse
from ftspace.training.parts import Part, PartedTrainer
from ftspace.training.shapes import multiple_of

_PROBES, _PROBE = 4, 48
"""Documents, and tokens of each, by which the fused loss is tried."""


class DocumentTrainer(PartedTrainer):
    """SFTTrainer whose batches are `Documents`. Give it a model with the attention `documents.ATTENTION`."""

    def __init__(self, **arguments: Any) -> None:
        """`part_tokens`, and what SFTTrainer takes."""
        super().__init__(data_collator=_collate, **arguments)
        model: Any = self.model
        fuse(model)
        self._fused = _loss_fuses(model, arguments["train_dataset"], self.args.device)

    def contents(self, inputs: dict[str, Any]) -> tuple[Documents, int, int]:
        """The batch's documents, their tokens and supervised tokens."""
        whole = _unpack(inputs)
        return whole, len(whole.input_ids), whole.supervised

    def share(self, whole: Documents, before: int) -> Documents | None:
        """About as many tokens as every other process has."""
        places = shared_out(whole, self.group.size)[self.group.rank]
        return taken(whole, places) if places else None

    def parts(self, whole: Documents, most: int) -> Iterator[Part]:
        """Documents as they come, up to `most` tokens."""
        return (Part(one, len(one.lengths), len(one.input_ids)) for one in parted(whole, most))

    def nothing(self, whole: Documents) -> Part:
        """A token that nothing is learnt from."""
        return Part(Documents(whole.input_ids[:1], torch.tensor([IGNORED]), (1,)), 1, 1)

    def loss_of(self, model: Any, given: Documents, count: int) -> tuple[torch.Tensor, int]:
        """By logits only where a token is trained."""
        loss, right = part_loss(model, given, self.args.device, fused=self._fused)
        return loss / count, right


def part_loss(model: Any, part: Documents, device: torch.device, *, fused: bool) -> tuple[torch.Tensor, int]:
    """The summed loss of a part's supervised tokens, in nats, and how many of them the model would have chosen."""
    given, targets = part.inputs(device, multiple_of(model.dtype, device))
    return summed_loss(model, given, targets, fused=fused)


def _loss_fuses(model: Any, rows: Dataset, device: torch.device) -> bool:
    few = rows.select(range(min(_PROBES, len(rows)))).to_list()
    short = [{"input_ids": row["input_ids"][:_PROBE], "labels": row["input_ids"][:_PROBE]} for row in few]
    given, targets = documents(short).inputs(device)
    return fuses(model, given, targets)


def _collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    whole = documents(rows)
    return {"input_ids": whole.input_ids[None], "labels": whole.labels[None], "lengths": torch.tensor([whole.lengths])}


def _unpack(inputs: dict[str, Any]) -> Documents:
    ids, labels = (inputs[name][0].cpu() for name in ("input_ids", "labels"))
    return Documents(ids, labels, tuple(inputs["lengths"][0].tolist()))
