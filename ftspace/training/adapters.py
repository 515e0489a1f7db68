"""Which weights a run trains, how they start, and how they are saved. Knows PEFT; how they are stepped is stepping.py.

What is saved works on the untouched base: an adapter that changed the base's weights when it began, or that is shaped
as it learns, is saved as a plain LoRA adapter which does the same.
"""

import copy
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import (
    AdaLoraConfig,
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    get_peft_model,
    get_peft_model_state_dict,
)
from peft.utils.error import PeftError
from peft.utils.warning import PeftWarning
from safetensors.torch import save_file
from transformers import set_seed

from evals.models import peft_quiet
from evals.places import commit_of
from ftspace.config import RunConfig
from ftspace.errors import ModelError
from ftspace.preflight import check_full
from ftspace.training.heads import token_rows
from ftspace.training.loading import Loaded
from ftspace.training.starts import find_eva, start_adapter, start_eva, start_loftq, start_prefix

_CHANGES_BASE = ("pissa", "olora")


@dataclass
class Trainee:
    """A model as it is trained."""

    model: Any
    dtype: torch.dtype
    """The base's, as it was loaded: what base and tuned are compared in."""
    first: dict[str, torch.Tensor] = field(default_factory=dict[str, torch.Tensor])
    """The adapter's first weights, where they were taken out of the base's."""
    warnings: tuple[str, ...] = ()
    """What a person should know of it."""

    @property
    def base(self) -> Any:
        """The causal language model itself."""
        return self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model

    @property
    def documents(self) -> bool:
        """Whether conversations can be laid one behind another: not where each gets a trained prompt of its own."""
        return not (isinstance(self.model, PeftModel) and self.model.active_peft_config.is_prompt_learning)

    def parameters(self) -> tuple[int, int]:
        """How many are trained, and how many there are."""
        if isinstance(self.model, PeftModel):
            return self.model.get_nb_trainable_parameters()
        return self.model.num_parameters(only_trainable=True), self.model.num_parameters()

    def save(self, folder: Path) -> None:
        """Writes what was trained, to be loaded on the untouched base; the last use of a model trained whole."""
        if not isinstance(self.model, PeftModel):
            self.model.config.use_cache = True
            self.model.to(self.dtype).save_pretrained(folder)
            return
        config: Any = self.model.peft_config["default"]
        if self.first:
            _write(folder, *_against(self.first, _state(self.model), config))
        elif isinstance(config, AdaLoraConfig):
            _write(folder, *_settled(self.model, _state(self.model), config))
        else:
            _order(config)
            with peft_quiet():
                self.model.save_pretrained(str(folder), save_embedding_layers=False)


def attach(config: RunConfig, loaded: Loaded, rows: Iterable[Any], steps: int, start: Path | None = None) -> Trainee:
    """The loaded model with what is trained: an adapter beside frozen weights, or all of its weights.

    Args:
        config: the run's.
        loaded: its base.
        rows: training rows of `input_ids`, which some adapters start from.
        steps: optimizer steps that are planned.
        start: weights of an adapter that this one starts from.

    Raises:
        ModelError: the adapter does not fit the model, or not the one that it starts from.
    """
    set_seed(config.train.seed)
    dtype = loaded.model.dtype
    if config.lora.method == "full":
        return Trainee(_whole(loaded), dtype)
    _check(loaded.model, config)
    try:
        with peft_quiet():
            made: Any = _config(config, loaded, steps)
            directions = find_eva(loaded.model, made, rows) if config.lora.init == "eva" else None
            made.revision = commit_of(loaded.model.name_or_path, config.model.revision or config.model.trust_code)
            model = get_peft_model(loaded.model, made)
    except (PeftError, ValueError) as error:
        raise ModelError(f"lora: the adapter does not fit the model: {' '.join(str(error).split())}") from error
    if start is not None:
        start_adapter(model, start)
    if directions:
        start_eva(model, directions)
    if config.lora.init == "loftq":
        start_loftq(model, config.model.revision)
    if config.lora.method == "prefix_tuning":
        start_prefix(model)
    first: dict[str, torch.Tensor] = {}
    if config.lora.init in _CHANGES_BASE:
        first = {name: one.clone() for name, one in _state(model).items() if _is_low_rank(name)}
    said: tuple[str, ...] = ()
    if loaded.untrained and config.lora.method in ("prompt_tuning", "prefix_tuning"):
        said = (
            f"the chat template has {len(loaded.untrained)} tokens that the base never saw, and {config.lora.method} "
            "does not train them; lora does",
        )
    return Trainee(model, dtype, first, said)


@contextmanager
def full_precision(model: Any) -> Generator[None]:
    """Keeps what is trained as precise as it is: TRL 1.16 rounds adapters on quantized models to bfloat16."""
    kept = [(weight, weight.data) for weight in model.parameters() if weight.requires_grad]
    yield
    for weight, data in kept:
        weight.data = data


def _config(config: RunConfig, loaded: Loaded, steps: int) -> PeftConfig:
    lora = config.lora
    if lora.method == "prompt_tuning":
        return PromptTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=lora.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB"
        )
    if lora.method == "prefix_tuning":
        return PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=lora.virtual_tokens)
    shared: dict[str, Any] = {
        "task_type": "CAUSAL_LM",
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": lora.target_modules,
        "modules_to_save": lora.modules_to_save or None,
        "trainable_token_indices": _token_rows(loaded, lora.modules_to_save),
    }
    if lora.method == "adalora":
        # It begins with half as many ranks again as it ends with, as in its paper (12 and 8).
        phases = {"tinit": steps // 10, "tfinal": min(steps - 1, max(1, steps * 3 // 10)), "total_step": steps}
        return AdaLoraConfig(
            target_r=lora.r, init_r=-(-lora.r * 3 // 2), deltaT=max(1, steps // 100), **phases, **shared
        )
    return LoraConfig(
        r=lora.r,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        init_lora_weights=_start(config, loaded.model),
        **shared,
    )


def _start(config: RunConfig, model: Any) -> Any:
    """PEFT's word for how LoRA starts. EVA and LoftQ start from zero and are then filled in."""
    init = config.lora.init
    if init == "pissa":
        narrowest = min(min(one.weight.shape) for one in model.modules() if isinstance(one, torch.nn.Linear))
        return "pissa_niter_16" if config.lora.r < narrowest else "pissa"
    return init if init == "olora" else True


def _token_rows(loaded: Loaded, saved: list[str]) -> list[int] | dict[str, list[int]] | None:
    """The rows of untrained tokens to train, but not in a module that is trained whole."""
    model, rows = loaded.model, token_rows(loaded.model, loaded.untrained)
    ends = {model.get_input_embeddings(), model.get_output_embeddings()}
    whole = {name for name, module in model.named_modules() if module in ends and name.rpartition(".")[2] in saved}
    if isinstance(rows, dict):
        return {name: tokens for name, tokens in rows.items() if name not in whole} or None
    return None if whole else rows


def _check(model: Any, config: RunConfig) -> None:
    """Raises ModelError for what PEFT takes without a word, or TRL cannot train."""
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    unknown = [name for name in config.lora.modules_to_save if name.rpartition(".")[2] not in names]
    if unknown:
        raise ModelError(f"lora.modules_to_save: the model has no module {unknown[0]}; look at its layers' names")
    head = next((name for name, module in model.named_modules() if module is model.get_output_embeddings()), "")
    if config.lora.target_modules != "all-linear" and head.rpartition(".")[2] in config.lora.target_modules:
        raise ModelError("lora.target_modules: the output head cannot have an adapter; name it in lora.modules_to_save")


def _whole(loaded: Loaded) -> Any:
    check_full(loaded.model.num_parameters())
    # Small steps are lost in bfloat16: the masters are float32, and a bfloat16 base is computed in bfloat16.
    return loaded.model.float().requires_grad_(True)


def _state(model: Any) -> dict[str, torch.Tensor]:
    with peft_quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PeftWarning)  # a layer that AdaLoRA left no rank is no broken file
        return get_peft_model_state_dict(model, save_embedding_layers=False)


def _is_low_rank(name: str) -> bool:
    return name.endswith(("lora_A.weight", "lora_B.weight"))


def _against(
    first: dict[str, torch.Tensor], state: dict[str, torch.Tensor], config: LoraConfig
) -> tuple[dict[str, torch.Tensor], LoraConfig]:
    """The change from the first weights to these, as an adapter of twice the rank: B A - B' A' = [B, -B'] [A; A']."""
    found = dict(state)
    for name, before in first.items():
        side = 0 if "lora_A" in name else 1
        both = torch.cat([state[name], before if side == 0 else -before], dim=side)
        found[name] = _padded(both, side, 2 * config.r)
    alpha = config.lora_alpha * (2**0.5 if config.use_rslora else 2)
    return found, _plain(config, r=2 * config.r, lora_alpha=alpha)


def _settled(
    model: Any, state: dict[str, torch.Tensor], config: AdaLoraConfig
) -> tuple[dict[str, torch.Tensor], LoraConfig]:
    """AdaLoRA's layers as LoRA: B (A E) s, without the ranks that were given up."""
    layers = {name: one for name, one in model.named_modules() if hasattr(one, "lora_E") and "default" in one.lora_E}
    kept = {name: one.lora_E["default"].detach().flatten() != 0 for name, one in layers.items()}
    rank = max([1, *(int(rows.sum()) for rows in kept.values())])
    found = {name: one for name, one in state.items() if ".lora_" not in name}
    for name, layer in layers.items():
        e, a, b = (getattr(layer, f"lora_{part}")["default"].detach() for part in "EAB")
        scale = layer.scaling["default"] / (layer.ranknum["default"] + 1e-5)
        rows = kept[name]
        found[f"{name}.lora_A.weight"] = _padded((a * e)[rows], 0, rank)
        found[f"{name}.lora_B.weight"] = _padded((b * scale)[:, rows], 1, rank)
    return found, _plain(config, r=rank, lora_alpha=rank)


def _padded(weight: torch.Tensor, side: int, size: int) -> torch.Tensor:
    """With zeros up to `size`: a layer can be narrower than the rank."""
    shape = list(weight.shape)
    shape[side] = size - shape[side]
    return torch.cat([weight, weight.new_zeros(shape)], dim=side).contiguous()


def _plain(config: LoraConfig, **changed: Any) -> LoraConfig:
    names = (
        "task_type",
        "base_model_name_or_path",
        "revision",
        "target_modules",
        "modules_to_save",
        "trainable_token_indices",
    )
    kept = {name: copy.deepcopy(getattr(config, name)) for name in (*names, "use_rslora", "lora_dropout")}
    return LoraConfig(inference_mode=True, **kept, **changed)


def _write(folder: Path, state: dict[str, torch.Tensor], config: LoraConfig) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    cpu = {name: one.cpu().contiguous() for name, one in state.items()}
    save_file(cpu, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    _order(config)
    config.save_pretrained(str(folder))


def _order(config: PeftConfig) -> None:
    """Puts the names of an adapter's layers in order: PEFT writes a set of them, in another order in each process."""
    for name, value in vars(config).items():
        if isinstance(value, set):
            setattr(config, name, sorted(value))
