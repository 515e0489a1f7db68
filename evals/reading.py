"""Reads rows of tokens with what they have in common read once, and keeps what was read to write on from it.

Which models can do it is asked of the model itself, on a few tokens. Knows nothing of prompts' text, sides or tasks.
"""

from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from evals.layout import Ids, Laid, Row, lay
from evals.outputs import Outputs

Prefix = list[tuple[torch.Tensor, torch.Tensor]]
"""The keys and values of the tokens that all rows begin with, layer by layer."""
NOTHING: Prefix = []


class Reader:
    """One model as it reads.

    Args:
        model: what is called, with the side switched on that is to read.
        plain: the causal language model in it.
    """

    def __init__(self, model: Any, plain: Any) -> None:
        self.model = model
        self.outputs = Outputs(model, plain)
        self.device: torch.device = next(plain.parameters()).device
        self._plain = plain
        self._shares: bool | None = None

    @property
    def exact(self) -> bool:
        """Whether answers do not depend on what else is in the batch: not so in low precision."""
        return self._plain.dtype == torch.float32 and getattr(self._plain, "hf_quantizer", None) is None

    def budget(self, tokens: int) -> int:
        """Return how many tokens to read at a time: a CPU is no faster in large batches, and they take memory."""
        return max(1, tokens // 4) if self.device.type == "cpu" else tokens

    def shares(self) -> bool:
        """Whether rows can share what they have in common; ask first with the base switched on."""
        if self._trained_prompt():
            return False
        if self._shares is None:
            self._shares = self._could_share() and self._agrees()
        return self._shares

    def cache(self, layers: Sequence[DynamicLayer] = ()) -> Any:
        """Return an empty cache for the model, or one of the given layers."""
        cache: Any = DynamicCache(config=self._plain.config)
        if layers:
            cache.layers = [*layers]
        return cache

    def prefix(self, ids: Ids) -> Prefix:
        """Read what all rows begin with."""
        if not ids:
            return NOTHING
        cache = self.cache()
        self.outputs.run(torch.tensor([ids], device=self.device), 1, past_key_values=cache, use_cache=True)
        return [(layer.keys, layer.values) for layer in cache.layers]

    def states(self, laid: Laid, prefix: Prefix) -> torch.Tensor:
        """Return the states at the places of some rows: (places, width).

        Args:
            laid: the rows.
            prefix: what was read of their beginnings.
        """
        ids = torch.tensor(laid.ids, device=self.device)
        parts = torch.tensor(laid.parts, device=self.device)
        width = ids.shape[1]
        keep = width - min(column for _, column in laid.places)
        options: dict[str, Any] = {"use_cache": False}
        if self._trained_prompt():
            options["attention_mask"] = (parts >= 0).long()
        elif prefix or bool((parts > 0).any()):
            options["position_ids"] = torch.tensor(laid.positions, device=self.device)
            options["attention_mask"] = self._mask(parts, prefix[0][0].shape[2] if prefix else 0)
            if prefix:
                options |= {"past_key_values": self.cache([_Shared(*pair) for pair in prefix]), "use_cache": True}
        states = self.outputs.run(ids, keep, **options)
        at_rows, columns = torch.tensor(laid.places, device=self.device).unbind(1)
        return states[at_rows, columns - (width - keep)]

    def _mask(self, parts: torch.Tensor, read: int) -> torch.Tensor:
        """Who sees whom: all see the prefix and their prompt, a continuation only itself beside."""
        rows, width = parts.shape
        places = torch.arange(width, device=parts.device)
        seen = (parts[:, None, :] == 0) | (parts[:, None, :] == parts[:, :, None])
        seen &= places[None, :] <= places[:, None]
        mask = torch.cat([seen.new_ones(rows, width, read), seen], dim=2)[:, None]
        if self._plain.config._attn_implementation == "sdpa":
            return mask
        return torch.zeros_like(mask, dtype=self._plain.dtype).masked_fill(~mask, torch.finfo(self._plain.dtype).min)

    def _trained_prompt(self) -> bool:
        configs: Any = self.model.peft_config.values() if isinstance(self.model, PeftModel) else ()
        return any(config.is_prompt_learning for config in configs)

    def _could_share(self) -> bool:
        config = self._plain.config
        rope: Any = getattr(config, "rope_parameters", None) or {}
        return (
            config._attn_implementation in ("sdpa", "eager")
            and {"position_ids", "past_key_values", "use_cache"} <= self.outputs.takes
            and str(rope.get("rope_type", "default")) not in ("dynamic", "longrope")
            and all(type(layer) is DynamicLayer for layer in self.cache().layers)
        )

    def _agrees(self) -> bool:
        """Whether rows that share are read as each alone, seen on a few tokens."""
        ids = tuple(range(10))
        row = Row(ids[:5], (ids[5:8], (9, 8, 7)), (0, 1))
        shared = self.states(lay([row], 2, 0), self.prefix(ids[:2]))
        alone = [self.states(lay([Row(row.prompt, (after,), (0,))], 0, 0), NOTHING) for after in row.afters]
        wanted = torch.cat([alone[0], alone[1][1:]]).float()
        near = (1e-4 if self.exact else 0.1) * wanted.abs().max()
        return bool(((shared.float() - wanted).abs().max() <= near).item())


class _Shared(DynamicLayer):
    """The keys and values of one row, which all rows of a batch go on from; nothing is kept of those."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self._read = (keys, values)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put what was read before in front of what each row reads now."""
        keys, values = (read.expand(len(key_states), -1, -1, -1) for read in self._read)
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)
