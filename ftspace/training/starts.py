"""First weights of an adapter that are neither zero nor chance: another's, from the data, the quantized base, or real
tokens.

Knows PEFT's layers and a base's files; no trainer. None of them changes the base.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.config import EvaConfig
from peft.tuners.lora.eva import get_eva_state_dict, initialize_lora_eva_weights
from safetensors import safe_open
from transformers.utils.hub import cached_file

from evals.models import peft_quiet
from ftspace.errors import ModelError

EVA_BATCHES = 16
EVA_TOKENS = 1024
"""Of a batch."""


def start_adapter(model: Any, weights: Path) -> None:
    """The weights of an adapter that was trained before. Raises ModelError where its layers are not this one's."""
    config = json.loads((weights.parent / "adapter_config.json").read_text(encoding="utf-8"))
    tokens = getattr(model.peft_config["default"], "trainable_token_indices", None)
    if (config.get("trainable_token_indices") or None) != (tokens or None):
        raise ModelError(
            "lora.start_from: that adapter trains other tokens' rows than this run would; set model.chat_template to "
            "the one that it was trained with"
        )
    with safe_open(weights, framework="pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    with peft_quiet():
        own: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    unlike = sorted(name for name in {*own, *found} if name not in own or name not in found)
    unlike += [name for name in sorted({*own} & {*found}) if own[name].shape != found[name].shape]
    if unlike:
        raise ModelError(
            f"lora.start_from: that adapter's layers are not those that this run trains ({unlike[0]}); train with the "
            "settings that it was made with"
        )
    set_peft_model_state_dict(model, found)


def find_eva(base: Any, config: LoraConfig, rows: Iterable[Any]) -> dict[str, torch.Tensor]:
    """The directions in which the inputs of a base's layers differ most over some training rows.

    Found beneath an adapter of LoRA's layers alone, since PEFT takes trained token rows for a layer of it.

    Raises ModelError when the rows have fewer tokens than the adapter has ranks.
    """
    batches = _batches(base, rows)
    tokens = min(int(batch["attention_mask"].sum()) for batch in batches)
    if tokens < 2 * config.r:
        raise ModelError(f"lora.init eva finds {config.r} directions in {2 * config.r} tokens or more, not in {tokens}")
    probe: Any = get_peft_model(
        base, LoraConfig(task_type="CAUSAL_LM", r=config.r, target_modules=config.target_modules)
    )
    probe.peft_config["default"].eva_config = EvaConfig(use_label_mask=False)
    try:
        return get_eva_state_dict(probe, batches, show_progress_bar=False)
    except ValueError as error:
        raise ModelError(f"lora.init eva: {' '.join(str(error).split())}; lower lora.r, or use another init") from error
    finally:
        probe.unload()


def start_eva(model: Any, directions: dict[str, torch.Tensor]) -> None:
    """A from the directions found, with more ranks where there is more to tell apart (Paischer et al., 2024)."""
    config = model.peft_config["default"]
    config.init_lora_weights, config.eva_config = "eva", EvaConfig()
    initialize_lora_eva_weights(model, eva_state_dict=directions)
    config.init_lora_weights, config.eva_config = True, None


def _batches(model: Any, rows: Iterable[Any]) -> list[dict[str, torch.Tensor]]:
    """Padded batches of about EVA_TOKENS tokens; what is left over joins the last."""
    groups: list[list[list[int]]] = [[]]
    for row in rows:
        if sum(map(len, groups[-1])) >= EVA_TOKENS:
            if len(groups) == EVA_BATCHES:
                break
            groups.append([])
        groups[-1].append(list(row["input_ids"]))
    if len(groups) > 1 and sum(map(len, groups[-1])) < EVA_TOKENS:
        groups[-2] += groups.pop()
    return [_padded(group, model.device) for group in groups]


def _padded(group: list[list[int]], device: torch.device) -> dict[str, torch.Tensor]:
    width = max(map(len, group))
    ids = [one + [0] * (width - len(one)) for one in group]
    mask = [[1] * len(one) + [0] * (width - len(one)) for one in group]
    return {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}


@torch.no_grad()
def start_loftq(model: Any, revision: str | None) -> None:
    """A and B from what 4 bits lost of each layer: LoftQ's first step (Li et al., 2023), the base left as it is.

    PEFT's own does not run without CUDA, and leaves the adapter's scale out, so that it adds alpha / r times too much.

    Raises ModelError when the base's files lack a layer's weight.
    """
    from bitsandbytes.functional import dequantize_4bit

    originals = _Originals(model.config.name_or_path, revision)
    for name, layer in model.get_base_model().named_modules():
        if not isinstance(layer, LoraLayer):
            continue
        held: Any = layer.get_base_layer().weight
        lost = originals.weight(name).to(held.device, torch.float32)
        lost -= dequantize_4bit(held.data, held.quant_state).to(torch.float32)
        rank = min(layer.r["default"], *lost.shape)
        u, s, v = torch.svd_lowrank(lost, q=min(rank + 8, *lost.shape), niter=4)
        root = (s[:rank] / layer.scaling["default"]).sqrt()
        a: Any = layer.lora_A["default"].weight
        b: Any = layer.lora_B["default"].weight
        a[:rank] = (root[:, None] * v[:, :rank].T).to(a.dtype)
        b[:, :rank] = (u[:, :rank] * root).to(b.dtype)


class _Originals:
    """The weights in a base's files, one at a time."""

    def __init__(self, base: str, revision: str | None) -> None:
        config = cached_file(base, "config.json", revision=revision)
        if config is None:
            raise ModelError(f"lora.init loftq reads the base's own files, and {base} has none; use another init")
        self._files: dict[str, Path] = {}
        for path in sorted(Path(config).parent.glob("*.safetensors")):
            with safe_open(path, framework="pt") as file:
                self._files |= dict.fromkeys(file.keys(), path)

    def weight(self, name: str) -> torch.Tensor:
        """A module's. Raises ModelError."""
        key = f"{name}.weight"
        if key not in self._files:
            raise ModelError(f"lora.init loftq finds no {key} in the base's files; use another init for this model")
        with safe_open(self._files[key], framework="pt") as file:
            return file.get_tensor(key)


@torch.no_grad()
def start_prefix(model: Any) -> None:
    """The prefix from the keys and values of real tokens, drawn by chance: after Li and Liang (2021), who found random
    ones far worse on little data.
    """
    base, config = model.get_base_model(), model.active_peft_config
    ids = torch.randint(base.get_input_embeddings().num_embeddings, (1, config.num_virtual_tokens), device=model.device)
    layers = base(input_ids=ids, use_cache=True).past_key_values.layers
    flat = [one[0].transpose(0, 1).flatten(1) for layer in layers for one in (layer.keys, layer.values)]
    found, encoder = torch.cat(flat, dim=1).float(), model.prompt_encoder["default"]
    if found.shape != encoder.embedding.weight.shape:
        raise ModelError("lora.method prefix_tuning: the model's layers differ in their keys and values; use lora")
    encoder.load_prompt_embeddings(found)
