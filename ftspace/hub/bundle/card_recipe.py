"""How a run was trained, on what, how long and for how much energy, as its card tells it. Pure text and numbers."""

from collections.abc import Iterator
from typing import Any

from ftspace.config import RunConfig
from ftspace.devices import named_gpu
from ftspace.sections import PROMPTED
from ftspace.state import RunState


def recipe_of(config: RunConfig, state: RunState) -> Iterator[tuple[str, Any]]:
    """What was trained and how, a line each: what it is called, and its value."""
    lora, train, prepared = config.lora, config.train, state.prepared
    chosen = prepared.recipe if prepared else {}
    yield "method", lora.method
    if lora.method in ("lora", "adalora"):
        targets = lora.target_modules if isinstance(lora.target_modules, str) else ", ".join(lora.target_modules)
        yield "rank, alpha, dropout", f"{lora.r}, {lora.alpha}, {lora.dropout:g}"
        yield "layers", targets
        yield "trained whole besides", ", ".join(lora.modules_to_save)
        variants = {"rsLoRA": lora.rslora, "DoRA": lora.dora, f"start {lora.init}": lora.init != "default"}
        variants[f"LoRA+ {lora.plus_ratio}"] = lora.plus_ratio is not None
        yield "variants", ", ".join(name for name, used in variants.items() if used)
        yield "goes on from", f"the adapter {lora.start_from}" if lora.start_from else None
    if lora.method in PROMPTED:
        yield "virtual tokens", lora.virtual_tokens
    for name, said in {
        "epochs": "epochs",
        "learning_rate": "learning rate",
        "batch_size": "conversations a step",
    }.items():
        yield said, chosen.get(name, getattr(train, name))
    yield "steps", f"{state.steps[-1].step} of {prepared.total_steps}" if prepared and state.steps else None
    yield "schedule", f"{train.scheduler}, warm-up {train.warmup:g}"
    yield (
        "optimizer",
        f"{train.optimizer}, weight decay {train.weight_decay:g}, gradients up to {train.max_grad_norm:g}",
    )
    yield "longest conversation", f"{train.max_length} tokens, cut {train.truncation_side}"
    yield "loss on", train.loss_on
    yield "NEFTune", train.neftune_alpha
    yield "kept weights", train.keep
    yield "chat template", config.model.chat_template
    yield "quantization of the base", config.model.quantization
    yield "seed", train.seed
    if prepared:
        yield "trained parameters", f"{prepared.trainable_parameters:,} of {prepared.parameters:,}"
        yield "number format", prepared.dtype
        yield "hardware", prepared.hardware or prepared.device
    yield "tokens seen", f"{state.steps[-1].tokens:,}" if state.steps else None
    yield "last loss", f"{state.steps[-1].loss:.4g}" if state.steps else None
    yield "last validation loss", f"{state.validations[-1].loss:.4g}" if state.validations else None
    for job, end in state.ended.items():
        yield f"time to {job}", f"{end.seconds / 60:.1f} minutes"
    yield "libraries", ", ".join(f"{name} {number}" for name, number in sorted(state.versions.items()))


def energy_of(state: RunState) -> str:
    """What the run's jobs may have used, said to be an estimate."""
    prepared = state.prepared
    hours = sum(end.seconds for end in state.ended.values()) / 3600
    device = named_gpu(prepared.hardware) if prepared and prepared.device == "cuda" else None
    if device is None or device.watts is None:
        return "Energy was not measured, and not estimated: the power of this hardware is not known."
    return (
        f"Energy: about {device.watts * hours / 1000:.2g} kWh. That is an estimate and no measurement: the highest "
        f"power of a {device.name} by its data sheet ({device.watts:g} W) times {hours:.2g} hours, without the machine "
        "around it."
    )
