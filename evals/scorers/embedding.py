"""How alike two texts are in meaning, by an embedding model: the cosine of the two texts' vectors.

Knows nothing of tasks or scores. Only safetensors are read, and no code of a model's own is run.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel
from transformers.utils.hub import cached_file

from evals.errors import ModelError
from evals.explain import explained
from evals.models import load_tokenizer, pick_device
from evals.places import commit_of, fingerprint

LONGEST = 512
"""A text's tokens that are read, where the model can read more."""
BATCH_TOKENS = 8192
POOLS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first", "pooling_mode_lasttoken": "last"}
"""How a text's vector is made of its tokens', by a model's `1_Pooling/config.json`; the mean where there is none."""


class Embedder:
    """One embedding model. Texts that were read stay read, so what is expected is read once for all sides.

    Args:
        model: a folder or a Hub id, of any encoder or decoder that transformers knows.
        device: auto, cpu, cuda, ...

    Raises:
        ModelError: it isn't there, has no safetensors, wants to run code of its own, or pools in an unknown way.
    """

    def __init__(self, model: str | Path, *, device: str = "auto") -> None:
        self._where, self._device = str(model), pick_device(device)
        self._tokenizer: Any = load_tokenizer(model)
        with explained(self._where, "embedding model"):
            loaded: Any = AutoModel.from_pretrained(
                self._where, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
            )
            self._pool = self._read_pool()
        encoder = loaded.get_encoder() if loaded.config.is_encoder_decoder else loaded
        self._model: Any = encoder.eval().to(self._device)
        places = getattr(loaded.config, "max_position_embeddings", None) or LONGEST
        self._longest = int(min(LONGEST, places, self._tokenizer.model_max_length))
        self._known: dict[str, NDArray[np.float32]] = {}
        self.identity = fingerprint(model) or f"{model}@{commit_of(model)}"
        """Tells its likenesses from those of other models."""

    def similarities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return how alike the texts of each pair are, from 0 to 1: the cosine, and 0 where that is negative.

        A text of nothing is like no other. Raises ModelError when there is not enough memory.
        """
        self._read(sorted({text for pair in pairs for text in pair if text.strip()} - set(self._known), key=len))
        found: list[float] = []
        for one, other in pairs:
            both = one.strip() and other.strip()
            cosine = float(self._known[one] @ self._known[other]) if both else 0.0
            found.append(min(1.0, max(0.0, cosine)))
        return found

    def _read(self, texts: list[str]) -> None:
        """Texts of like lengths stand together, so that few tokens are padding."""
        if not texts:
            return
        cut = self._tokenizer(texts, truncation=True, max_length=self._longest)["input_ids"]
        with explained(self._where, "embedding model"):
            at = 0
            while at < len(texts):
                longest, end = 1, at
                while end < len(texts) and max(longest, len(cut[end])) * (end + 1 - at) <= BATCH_TOKENS:
                    longest, end = max(longest, len(cut[end])), end + 1
                vectors = self._vectors(cut[at:end], longest)
                self._known.update(zip(texts[at:end], vectors, strict=True))
                at = end

    def _vectors(self, rows: list[list[int]], longest: int) -> NDArray[np.float32]:
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows], device=self._device)
        lengths = torch.tensor([len(row) for row in rows], device=self._device)
        mask = (torch.arange(longest, device=self._device) < lengths[:, None]).long()
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            if self._pool == "mean":
                vectors = (states * mask[:, :, None]).sum(1)
            else:
                place = (lengths - 1).clamp(min=0) if self._pool == "last" else torch.zeros_like(lengths)
                vectors = states[torch.arange(len(rows), device=self._device), place]
            return torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()

    def _read_pool(self) -> str:
        path = cached_file(self._where, "1_Pooling/config.json", _raise_exceptions_for_missing_entries=False)
        config = json.loads(Path(path).read_text(encoding="utf-8")) if path is not None else {}
        modes = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        if len(modes) > 1 or any(mode not in POOLS for mode in modes):
            known = ", ".join(POOLS)
            raise ModelError(f"embedding model {self._where}: it pools by {' and '.join(modes)}; known are {known}")
        return POOLS[modes[0]] if modes else "mean"
