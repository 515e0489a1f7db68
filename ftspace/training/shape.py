"""What a model's memory and work depend on: its config.json and the headers of its weights, and never the weights.

Local headers are read from the files; those of the Hub by range requests. Knows no torch and no run.
"""

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspace.errors import ModelError
from ftspace.hub.asker import hub_token
from ftspace.sections import ModelConfig
from ftspace.settings import resolve_local
from ftspace.tokenizer import finder
from ftspace.weights import weights_of

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.(.+?)(?:\.weight)?$")
_EXPERT = re.compile(r"\.experts(\.\d+)?\.")
_FLOATS = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
_BEHIND_HEAD = ("final_logit_softcapping", "logit_scale", "logits_scaling")
_HEADER_BYTES = 100_000_000
"""No header is longer: the format's own limit."""


@dataclass(frozen=True)
class Matrix:
    """Weight matrices of one name and size, as many as there are in all layers."""

    name: str
    """The last part of the module's name, such as q_proj."""
    rows: int
    columns: int
    count: int
    share: float = 1.0
    """Of them that a token goes through: below 1 for the experts of a mixture."""
    linear: bool = True
    """Whether each is a linear layer of its own, which an adapter can be put on."""

    @property
    def parameters(self) -> int:
        """Of all of them."""
        return self.rows * self.columns * self.count


@dataclass(frozen=True)
class Shape:
    """A causal language model as far as its memory and its work depend on it."""

    parameters: int
    layers: int
    hidden: int
    inner: int
    """Width of the feed-forward part that a token goes through."""
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool
    """Whether embedding and output head are one matrix."""
    dtype: str
    """Of the checkpoint."""
    matrices: tuple[Matrix, ...]
    """Those of the layers."""
    plain_head: bool = True
    """Whether its logits are the head's product, with no cap or scale behind it."""
    doubts: tuple[str, ...] = ()
    """Why an estimate from this is rough."""

    @property
    def linear(self) -> int:
        """Parameters of the layers' matrices: what quantization holds in fewer bits."""
        return sum(one.parameters for one in self.matrices)

    @property
    def active(self) -> float:
        """Of them those that a token goes through."""
        return sum(one.parameters * one.share for one in self.matrices)

    @property
    def head(self) -> int:
        """Parameters of the output head."""
        return self.vocabulary * self.hidden

    def adapted(self, targets: str | Sequence[str]) -> list[Matrix]:
        """The matrices that get an adapter: all linear ones, or those named."""
        named = [one for one in self.matrices if one.linear]
        return named if targets == "all-linear" else [one for one in named if one.name in targets]


def read_shape(config: ModelConfig) -> Shape:
    """The shape of the model that a config names. Raises ModelError when there is no config.json."""
    find = finder(config)
    path = find("config.json")
    if path is None:
        raise ModelError(f"model.id: {config.id} has no config.json that can be read, so nothing can be estimated")
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"model.id: {config.id} has a config.json that cannot be read: {error}") from error
    folder = resolve_local(config.id)
    return shape_of(values, _local(folder) if folder else _remote(config))


def shape_of(config: Mapping[str, Any], tensors: Mapping[str, tuple[str, Sequence[int]]] | None) -> Shape:
    """The shape that a config.json and the headers tell: dtype and size of each tensor by name, None when not known."""
    text: Mapping[str, Any] = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    doubts: list[str] = []
    quantized = isinstance(config.get("quantization_config"), dict)
    if quantized:
        doubts.append("its checkpoint is quantized already: the counts are those of its config.json")
    if not tensors or quantized:
        if not quantized:
            doubts.append("the headers of its weights cannot be read: the counts are those of its config.json")
        tensors = None
    layers = _number(text, "num_hidden_layers", "n_layer", "num_layers") or _layers(tensors or {})
    hidden = _number(text, "hidden_size", "n_embd", "d_model")
    vocabulary = _number(text, "vocab_size")
    if tensors and not (hidden and vocabulary):
        vocabulary, hidden = _largest(tensors)
    if not (layers and hidden and vocabulary):
        raise ModelError("model.id: its config.json says neither how many layers nor how wide, so nothing is estimated")
    heads = _number(text, "num_attention_heads", "n_head") or max(1, hidden // 64)
    kv_heads = _number(text, "num_key_value_heads") or heads
    head_width = _number(text, "head_dim") or hidden // heads
    experts = _number(text, "num_experts", "num_local_experts", "n_routed_experts")
    chosen = min(1.0, (_number(text, "num_experts_per_tok", "moe_topk") or 1) / experts) if experts else 1.0
    inner = _number(text, "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size") or 4 * hidden
    if experts:
        inner = (_number(text, "moe_intermediate_size") or inner) * (_number(text, "num_experts_per_tok") or 1)
        doubts.append("it is a mixture of experts: which of them a token goes through is not known before")
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", tensors is None)))
    if tensors:
        tied = not any(name.endswith(("lm_head.weight", "embed_out.weight")) for name in tensors)
        matrices = _matrices(tensors, chosen)
        parameters = sum(math.prod(size) for _, size in tensors.values())
        kinds = Counter(kind for kind, _ in tensors.values())
        dtype = _FLOATS.get(max(kinds, key=lambda kind: kinds[kind]), "bfloat16")
    else:
        matrices = _llama(layers, hidden, inner, heads * head_width, kv_heads * head_width)
        parameters = sum(one.parameters for one in matrices) + (1 if tied else 2) * vocabulary * hidden
        dtype = str(text.get("dtype") or text.get("torch_dtype") or "bfloat16")
    if not matrices:
        doubts.append("the layers of its architecture are not known here: it is taken for one like Llama")
        matrices = (Matrix("linear", hidden, max(1, (parameters - vocabulary * hidden) // (hidden * layers)), layers),)
    return Shape(
        parameters=parameters,
        layers=layers,
        hidden=hidden,
        inner=inner,
        heads=heads,
        kv_heads=kv_heads,
        head_width=head_width,
        vocabulary=vocabulary,
        tied=tied,
        dtype=dtype,
        matrices=matrices,
        plain_head=not any(text.get(name) for name in _BEHIND_HEAD),
        doubts=tuple(doubts),
    )


def _number(values: Mapping[str, Any], *names: str) -> int:
    """The first of the names that has a whole number above 0; 0 when none has."""
    return next((value for name in names if isinstance(value := values.get(name), int) and value > 0), 0)


def _layers(tensors: Iterable[str]) -> int:
    return len({match[1] for name in tensors if (match := _LAYER.search(name))})


def _largest(tensors: Mapping[str, tuple[str, Sequence[int]]]) -> tuple[int, int]:
    """Rows and columns of the largest matrix: nearly always the embedding."""
    found = max((tuple(size) for _, size in tensors.values() if len(size) == 2), key=math.prod, default=(0, 0))
    return found[0], found[1]


def _matrices(tensors: Mapping[str, tuple[str, Sequence[int]]], chosen: float) -> tuple[Matrix, ...]:
    counted: Counter[tuple[str, int, int, float, bool]] = Counter()
    for name, (_, size) in tensors.items():
        match = _LAYER.search(name)
        if match is None or len(size) not in (2, 3):
            continue
        expert = _EXPERT.search(name) is not None
        share = chosen if expert else 1.0
        times, rows, columns = (1, *size) if len(size) == 2 else size
        counted[match[2].rpartition(".")[2], rows, columns, share, len(size) == 2] += times
    return tuple(
        Matrix(name, rows, columns, count, share, linear)
        for (name, rows, columns, share, linear), count in counted.items()
    )


def _llama(layers: int, hidden: int, inner: int, queries: int, keys: int) -> tuple[Matrix, ...]:
    return (
        Matrix("q_proj", queries, hidden, layers),
        Matrix("k_proj", keys, hidden, layers),
        Matrix("v_proj", keys, hidden, layers),
        Matrix("o_proj", hidden, queries, layers),
        Matrix("gate_proj", inner, hidden, layers),
        Matrix("up_proj", inner, hidden, layers),
        Matrix("down_proj", hidden, inner, layers),
    )


def _local(folder: Path) -> dict[str, tuple[str, Sequence[int]]] | None:
    found: dict[str, tuple[str, Sequence[int]]] = {}
    try:
        for name in weights_of(path.name for path in folder.glob("*.safetensors")):
            with (folder / name).open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header = json.loads(file.read(min(length, _HEADER_BYTES)))
            found |= {name: (one["dtype"], one["shape"]) for name, one in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        return None
    return found


def _remote(config: ModelConfig) -> dict[str, tuple[str, Sequence[int]]] | None:
    """The headers of a Hub model: from the cache when it lies there in one file, else by range requests."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import (
        HfHubHTTPError,
        NotASafetensorsRepoError,
        OfflineModeIsEnabled,
        SafetensorsParsingError,
    )

    try:
        cached = try_to_load_from_cache(config.id, "model.safetensors", revision=config.revision)
        if isinstance(cached, str):
            return _local(Path(cached).parent)
        asked = HfApi().get_safetensors_metadata(config.id, revision=config.revision, token=hub_token())
    except (
        HfHubHTTPError,
        HTTPError,
        OfflineModeIsEnabled,
        OSError,
        ValueError,
        NotASafetensorsRepoError,
        SafetensorsParsingError,
    ):
        return None
    return {
        name: (one.dtype, one.shape) for file in asked.files_metadata.values() for name, one in file.tensors.items()
    }
