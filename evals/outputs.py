"""Runs a model and reads its output layer only at the positions that somebody looks at, a slice of them at a time.

A vocabulary is wide: all logits of a batch are often more memory than the model. Knows nothing of prompts or sides.
"""

import inspect
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch

SLICE_NUMBERS = 2**22
"""How many logits are held at once: 16 MiB of them in float32."""


class Outputs:
    """One model's states before its output layer, and that layer on its own.

    A model that does more to its logits than its output layer (a soft cap, a scale) gives its own logits as states.

    Args:
        model: what is called.
        plain: the causal language model in it.
    """

    def __init__(self, model: Any, plain: Any) -> None:
        self._model = model
        self._plain = plain
        self._head: Any = plain.get_output_embeddings()
        self.takes = frozenset(inspect.signature(plain.forward).parameters)
        """What the model's `forward` can be given."""
        self._apart: bool | None = None

    def run(self, ids: torch.Tensor, keep: int, **options: Any) -> torch.Tensor:
        """Return the states of the last `keep` positions: (rows, positions, width)."""
        head = self._plain.get_output_embeddings()
        if head is not self._head:  # an adapter that was added since has wrapped it
            self._head, self._apart = head, None
        if self._apart is None:
            self._apart = self._is_apart(ids[:1, :2])
        if "logits_to_keep" in self.takes:
            options["logits_to_keep"] = keep
        if not self._apart:
            return self._model(input_ids=ids, **options).logits[:, -keep:]
        with self._caught() as caught:
            self._model(input_ids=ids, **options)
        return caught[-1][:, -keep:]

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits in float32 of some states (positions, width), by the side that is on."""
        return (self._head(states) if self._apart else states).float()

    def slices(self, positions: int) -> Iterator[slice]:
        """Cut so many positions into slices whose logits fit into memory."""
        step = max(1, SLICE_NUMBERS // self._plain.config.get_text_config().vocab_size)
        return (slice(start, start + step) for start in range(0, positions, step))

    def scores(
        self, states: torch.Tensor, looks: torch.Tensor, wanted: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the natural logarithm of each wanted token's probability, and whether it is the likeliest one.

        Args:
            states: (places, width).
            looks: for each token the place that predicts it.
            wanted: the tokens' ids.
        """
        logprobs, greedy = torch.empty(len(wanted), device=states.device), torch.empty_like(wanted, dtype=torch.bool)
        for part in self.slices(len(states)):
            logits = self.logits(states[part])
            here = ((looks >= part.start) & (looks < part.stop)).nonzero()[:, 0]
            places, tokens = looks[here] - part.start, wanted[here]
            logprobs[here] = logits[places, tokens] - logits.logsumexp(-1)[places]
            greedy[here] = logits.argmax(-1)[places] == tokens
        return logprobs, greedy

    def likeliest(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the likeliest token after each state, and where there is none since the logits are not numbers."""
        tokens: list[torch.Tensor] = []
        bad: list[torch.Tensor] = []
        for part in self.slices(len(states)):
            logits = self.logits(states[part])
            tokens.append(logits.argmax(-1))
            bad.append(logits.amax(-1).isnan())
        return torch.cat(tokens), torch.cat(bad)

    @contextmanager
    def _caught(self) -> Generator[list[torch.Tensor]]:
        """Keep what the output layer is given, and spare it the work."""
        caught: list[torch.Tensor] = []
        before = self._head.__dict__.get("forward")

        def catch(hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            caught.append(hidden)
            return hidden[..., :1]

        self._head.forward = catch
        try:
            yield caught
        finally:
            if before is None:
                del self._head.forward
            else:
                self._head.forward = before

    def _is_apart(self, ids: torch.Tensor) -> bool:
        """Whether the output layer alone makes the model's logits, seen on a few tokens."""
        if self._head is None:
            return False
        with self._caught() as caught:
            self._model(input_ids=ids, use_cache=False)
        if len(caught) != 1:
            return False
        logits = self._model(input_ids=ids, use_cache=False).logits.float()  # a trainer's model gives float32 anyway
        read = self._head(caught[0]).float()
        return read.shape == logits.shape and torch.allclose(read, logits, rtol=1e-5, atol=1e-5, equal_nan=True)
