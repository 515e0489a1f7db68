"""The script of a push that trains the same again with public packages alone, and what it needs. Pure text.

`reproduce_script.txt` is the script; what is of one run stands at its head as plain values.
"""

import hashlib
import json
import pprint
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspace.config import RunConfig
from ftspace.data.prepare import Manifest, read_split
from ftspace.hub.bundle.origins import Origins
from ftspace.sections import PROMPTED
from ftspace.state import RunState
from ftspace.training.recipe import schedule_options

SCRIPT, REQUIREMENTS, ROWS = "reproduce.py", "requirements.txt", "training_rows.txt"
_TEXT = Path(__file__).with_name("reproduce_script.txt")
_NEEDED = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
_BATCH, _PASS_TOKENS = 16, 2048
"""Where the run does not tell."""
_NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}


def script_of(
    config: RunConfig, origins: Origins, state: RunState, manifest: Manifest | None, adapter: Mapping[str, Any]
) -> str:
    """The script of a run.

    Args:
        config: as it may be read by others.
        origins: base and dataset.
        state: what the run told.
        manifest: how its rows were read.
        adapter: the adapter's own config; empty for a model that was trained whole.
    """
    chosen = state.prepared.recipe if state.prepared else {}
    settings = {
        "BASE": origins.base.name,
        "BASE_REVISION": origins.base.revision,
        "DTYPE": _dtype(config, state),
        "QUANTIZATION": _quantization(config),
        "DATA": origins.data.name,
        "DATA_CONFIG": config.data.config,
        "DATA_SPLIT": config.data.split,
        "DATA_REVISION": origins.data.revision,
        "MAPPING": manifest.mapping if manifest else {},
        "SYSTEM": config.data.system,
        "MAX_LENGTH": config.train.max_length,
        "CUT": config.train.truncation_side,
        "LOSS_ON": config.train.loss_on,
        "SEED": config.train.seed,
        "ADAPTER": _adapter(config, adapter),
        "BATCH": int(chosen.get("batch_size") or config.train.batch_size or _BATCH),
        "PASS_TOKENS": int(chosen.get("micro_batch_tokens") or config.train.micro_batch_tokens or _PASS_TOKENS),
        "RECIPE": _recipe(config, state),
    }
    written = (f"{name} = {pprint.pformat(value, width=110, sort_dicts=False)}" for name, value in settings.items())
    unequal = "\n".join(f"Not equal either: {one}." for one in _unequal(config))
    text = _TEXT.read_text(encoding="utf-8").replace("# <settings>", "\n".join(written))
    return text.replace("# <unequal>\n", f"\n{unequal}\n" if unequal else "")


def requirements_of(config: RunConfig, state: RunState) -> str:
    """requirements.txt: the versions that the run used, as far as it told them."""
    names = [*_NEEDED, *(["bitsandbytes"] if _quantization(config) or "bit" in config.train.optimizer else [])]
    found = {name: state.versions.get(name, "").partition("+")[0] for name in names}
    return "".join(f"{name}=={one}\n" if one[:1].isdigit() else f"{name}\n" for name, one in found.items())


def row_hashes(data_dir: Path) -> Iterator[str]:
    """A hash of each training row, in their order: which rows they are, and none of their text."""
    for turns in read_split(data_dir, "train"):
        said = [[turn["role"], turn["content"]] for turn in turns]
        yield hashlib.sha256(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:16]


def _dtype(config: RunConfig, state: RunState) -> str:
    told = state.prepared.dtype if state.prepared else config.model.dtype
    return told if config.lora.method != "full" else "float32"


def _quantization(config: RunConfig) -> dict[str, Any]:
    return {"none": {}, "nf4": _NF4, "int8": {"load_in_8bit": True}}[config.model.quantization]


def _adapter(config: RunConfig, saved: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    lora = config.lora
    if lora.method == "full":
        return None
    if lora.method in PROMPTED:
        kind = {"prompt_tuning": "PromptTuningConfig", "prefix_tuning": "PrefixTuningConfig"}[lora.method]
        start = {"prompt_tuning_init": "SAMPLE_VOCAB"} if lora.method == "prompt_tuning" else {}
        return kind, {"num_virtual_tokens": lora.virtual_tokens, **start}
    return "LoraConfig", {
        "r": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": lora.target_modules,
        "modules_to_save": lora.modules_to_save or None,
        "trainable_token_indices": saved.get("trainable_token_indices"),
        "use_rslora": lora.rslora,
        "use_dora": lora.dora,
        "init_lora_weights": lora.init if lora.init in ("pissa", "olora") else True,
    }


def _recipe(config: RunConfig, state: RunState) -> dict[str, Any]:
    train, chosen = config.train, state.prepared.recipe if state.prepared else {}
    steps = state.prepared.total_steps if state.prepared else 1
    return {
        "max_steps": train.max_steps or -1,
        "num_train_epochs": chosen.get("epochs") or train.epochs or 1.0,
        "learning_rate": chosen.get("learning_rate") or train.learning_rate or 2e-4,
        "optim": train.optimizer,
        "lr_scheduler_type": train.scheduler if train.scheduler != "reduce_lr_on_plateau" else "constant",
        "lr_scheduler_kwargs": schedule_options(train.scheduler, steps) if "plateau" not in train.scheduler else {},
        "warmup_steps": train.warmup,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "activation_checkpointing": bool(chosen.get("gradient_checkpointing")),
        **({"neftune_noise_alpha": train.neftune_alpha} if train.neftune_alpha else {}),
    }


def _unequal(config: RunConfig) -> Iterator[str]:
    """What of this run's settings the script does not repeat."""
    lora, train = config.lora, config.train
    if lora.method == "adalora":
        yield "AdaLoRA's ranks, which are not shared out anew here: every layer has the mean rank"
    if lora.start_from:
        yield f"the first weights: the run went on from the adapter {' '.join(lora.start_from.split())}, not from zero"
    if lora.init in ("eva", "loftq"):
        yield f"the start {lora.init}, which is from zero here"
    if lora.init in ("pissa", "olora"):
        yield f"what is saved: with the start {lora.init} PEFT saves an adapter for the base as that start changed it"
    if lora.plus_ratio:
        yield "LoRA+, whose higher rate for B is not repeated"
    if train.keep == "best" or train.patience:
        yield "which step is kept: here it is the last one, without validations"
    if train.scheduler == "reduce_lr_on_plateau":
        yield "the schedule, which followed the validation loss: the rate is constant here"
    if config.model.quantization != "none":
        yield "the adapter's precision while it is trained, which TRL lowers on a quantized base"
    if train.max_minutes or train.max_cost:
        yield "where it ends: that was by the clock; give the number of steps with --steps"
    if config.model.chat_template != "auto" or config.model.trust_code:
        yield "a tokenizer or model with code of its own, which is not run"
