"""TRL's trainer on documents without padding, with logits only where a token is trained. Same loss, same order, faster.

A step's conversations come as one batch, are gone through in parts of a token budget, and the loss of each part is
divided by the supervised tokens of the whole step: what plain TRL computes over padded rows, to rounding.
"""

from typing import Any

import torch
from datasets import Dataset
from trl.trainer.sft_trainer import SFTTrainer

from ftspace.training.documents import Documents, documents, parted
from ftspace.training.heads import fuses, summed_loss
from ftspace.training.lora_product import fuse

_PROBES, _PROBE = 4, 48
"""Documents, and tokens of each, by which the fused loss is tried."""


class DocumentTrainer(SFTTrainer):
    """SFTTrainer whose batches are `Documents`. Give it a model with the attention `documents.ATTENTION`."""

    def __init__(self, *, part_tokens: int, **arguments: Any) -> None:
        """`part_tokens` are the tokens of one forward pass; all else is SFTTrainer's."""
        super().__init__(data_collator=_collate, **arguments)
        self.part_tokens = part_tokens
        model: Any = self.model
        fuse(model)
        self._fused = _loss_fuses(model, arguments["train_dataset"], self.args.device)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward over a step's conversations; the mean loss of its supervised tokens."""
        model.train()
        whole = _unpack(inputs)
        count = int(num_items_in_batch) if num_items_in_batch is not None else whole.supervised
        total = torch.zeros((), device=self.args.device)
        right = 0
        for part in parted(whole, self.part_tokens):
            with self.compute_loss_context_manager():
                loss, hits = part_loss(model, part, self.args.device, fused=self._fused)
            loss = loss / max(count, 1)
            self.accelerator.backward(loss)
            total += loss.detach()
            right += hits
        self._total_train_tokens += len(whole.input_ids)
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        self._metrics["train"]["mean_token_accuracy"].append(right / max(whole.supervised, 1))
        return total

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor, None, None]:
        """The mean loss of a batch's supervised tokens."""
        whole = _unpack(inputs)
        total = torch.zeros((), device=self.args.device)
        right = 0
        with torch.no_grad(), self.compute_loss_context_manager():
            for part in parted(whole, self.part_tokens):
                loss, hits = part_loss(model, part, self.args.device, fused=self._fused)
                total += loss
                right += hits
        self._metrics["eval"]["mean_token_accuracy"].append(right / max(whole.supervised, 1))
        return total / max(whole.supervised, 1), None, None


def part_loss(model: Any, part: Documents, device: torch.device, *, fused: bool) -> tuple[torch.Tensor, int]:
    """The summed loss of a part's supervised tokens, in nats, and how many of them the model would have chosen."""
    given, targets = part.inputs(device)
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
