"""TRL's trainer on padded batches, for models that cannot take conversations behind one another."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch

from ftspace.supervision import IGNORED
from ftspace.training.parts import Part, PartedTrainer


class PaddedTrainer(PartedTrainer):
    """SFTTrainer as it is, but for what it does when memory runs out and how it measures."""

    def contents(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], int, int]:
        """The batch as it is, its tokens and supervised tokens."""
        supervised = int((inputs["labels"][:, 1:] != IGNORED).sum())
        return self._prepare_inputs(inputs), int(inputs["attention_mask"].sum()), supervised

    def share(self, whole: dict[str, Any], before: int) -> dict[str, Any] | None:
        """Every so many-th conversation, counted from the step's first."""
        mine = slice((self.group.rank - before) % self.group.size, None, self.group.size)
        given = {name: value[mine] for name, value in whole.items()}
        return given if len(given["input_ids"]) else None

    def parts(self, whole: dict[str, Any], most: int) -> Iterator[Part]:
        """Some conversations at a time, padded as they are."""
        count, width = whole["input_ids"].shape
        rows = max(1, most // width)
        for start in range(0, count, rows):
            given = {name: value[start : start + rows] for name, value in whole.items()}
            yield Part(given, len(given["input_ids"]), given["input_ids"].numel())

    def nothing(self, whole: dict[str, Any]) -> Part:
        """A conversation that nothing is learnt from."""
        given = {name: value[:1] for name, value in whole.items()}
        given["labels"] = torch.full_like(given["labels"], IGNORED)
        return Part(given, 1, given["input_ids"].numel())

    def loss_of(self, model: Any, given: dict[str, Any], count: int) -> tuple[torch.Tensor, float]:
        """TRL's loss; its books are left as they were, since a part may be done again."""
        metrics, tokens = self._metrics, self._total_train_tokens
        self._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
        try:
            loss = self.compute_loss(model, dict(given), num_items_in_batch=count)
            (accuracy,) = self._metrics["train" if model.training else "eval"]["mean_token_accuracy"]
        finally:
            self._metrics, self._total_train_tokens = metrics, tokens
        return loss, accuracy * int((given["labels"][:, 1:] != IGNORED).sum())
