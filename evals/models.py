"""Loads a base model, its tokenizer and what was tuned, from the Hub or a folder, the same for training and comparing.

Knows nothing of tasks or scores. Only safetensors are read. Code from a model's repository is run only at the commit
that `trust_code` names, and from a folder never. A tokenizer with more tokens than the model has embeddings gets them
without randomness: all processes that load the pair agree.
"""

import json
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModelForCausalLM
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from evals.errors import ModelError
from evals.explain import explained
from evals.places import adapter_folder, ask_hub, at, holds_adapter, is_whole, place_of, read_at
from evals.sides import DEFAULT, Whole

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(device: str = "auto") -> torch.device:
    """Return the device named, or for "auto" the first of cuda, mps and cpu that is there. Raises ModelError."""
    if device == "auto":
        mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"no device is called {device!r}: use auto, cpu, cuda, cuda:0 or mps") from error
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("device cuda was asked for, and torch sees no CUDA device: use auto or cpu")
    return chosen


def pick_dtype(dtype: str, device: torch.device) -> torch.dtype | str:
    """Return the dtype named. "auto" is float32 on a CPU, elsewhere the checkpoint's own ("auto"). Raises ModelError.

    On a CPU float32 is about as fast, and greedy answers don't change with the batch's composition as in bfloat16.
    """
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in DTYPES:
        raise ModelError(f"no dtype is called {dtype!r}: use auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _quantized(quantization: str, dtype: str, device: torch.device) -> dict[str, Any]:
    """What `from_pretrained` takes to quantize a checkpoint as it loads it. Raises ModelError.

    It computes in the dtype named; auto is bfloat16 where the GPU has it, and float32 elsewhere.
    """
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f"quantization {quantization} needs cuda or cpu, not {device.type}; use none")
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    chosen = pick_dtype("bfloat16" if fast else "float32", device) if dtype == "auto" else pick_dtype(dtype, device)
    kinds: dict[str, dict[str, Any]] = {
        "nf4": {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": chosen,
        },
        "int8": {"load_in_8bit": True},
    }
    if quantization not in kinds:
        raise ModelError(f"no quantization is called {quantization!r}: use none, {', '.join(kinds)}")
    return {
        "dtype": chosen,
        "quantization_config": BitsAndBytesConfig(**kinds[quantization]),
        "device_map": {"": device},
    }


def load_tokenizer(
    model: str | Path, revision: str | None = None, trust_code: str | None = None
) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a Hub id or a folder. Raises ModelError in one line."""
    where = place_of(model)
    read = at(where, revision, trust_code)
    with explained(where, "tokenizer"):
        ask_hub(where, read["revision"])
        return AutoTokenizer.from_pretrained(where, **read)


def load_base(
    model: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    quantization: str = "none",
    trust_code: str | None = None,
    tokenizer: PreTrainedTokenizerBase,
    moved: bool = True,
) -> PreTrainedModel:
    """Load a causal language model and give it an embedding for every token of the tokenizer.

    Args:
        model: a Hub id or a folder.
        revision: a Hub branch, tag or commit.
        dtype: auto, float32, bfloat16 or float16.
        device: auto, cpu, cuda, ...
        quantization: none, nf4 or int8; embeddings, norms and the head are never quantized.
        trust_code: the commit of a Hub model at which its own code may run.
        tokenizer: the tokenizer it will be used with; tokens beyond the embedding get the mean of the existing rows.
        moved: whether it is put on the device; else it stays in the processor's memory, as it would be there.

    Returns:
        The model in evaluation mode.

    Raises:
        ModelError: it isn't there, isn't a causal language model, has no safetensors or wants to run its own code.
    """
    where, place = place_of(model), pick_device(device)
    read = at(where, revision, trust_code)
    options: dict[str, Any] = {"dtype": pick_dtype(dtype, place)}
    if quantization != "none":
        options = _quantized(quantization, dtype, place)
    with explained(where, "model"), _bitsandbytes_quiet():
        if holds_adapter(where, read["revision"]):
            raise ModelError(f"model {where}: it is an adapter; name the model that it was trained on")
        loaded = AutoModelForCausalLM.from_pretrained(where, use_safetensors=True, **read, **options)
    fit_embeddings(loaded, tokenizer)
    if quantization == "none" and moved:
        with explained(where, "model"):
            nn.Module.to(loaded, place)
    for module in loaded.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # bitsandbytes 0.50 would repack the weights at the first answer, in less precision, and from then on let no
            # gradient through them.
            vars(module)["support_avx512bf16_for_cpu"] = False
    return loaded.eval()


def load_comparison(
    base: str | Path,
    adapter: str | Path | None,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    quantization: str = "none",
    trust_code: str | None = None,
    seed: int = 0,
) -> tuple[PreTrainedModel | PeftModelForCausalLM | Whole, PreTrainedTokenizerBase]:
    """Load a base model with an adapter that can be switched off, and the tokenizer of both.

    There is one copy of the base's weights. Only where all weights were trained are there two.

    Args:
        base: a Hub id or a folder.
        adapter: a Hub id or a folder of a PEFT adapter, or of a whole tuned model; None for the base alone.
        revision: the base's revision; where none is given, the commit that the adapter says it was trained on.
        dtype: auto, float32, bfloat16 or float16.
        device: auto, cpu, cuda, ...
        quantization: none, nf4 or int8.
        trust_code: the commit of the base at which its own code may run; an adapter's never is.
        seed: torch's, set before anything is loaded.

    Returns:
        The model (one that `evals.sides` can switch if something was tuned) and the tokenizer: the adapter's if it has
        one, else the base's.

    Raises:
        ModelError: something isn't there, or the adapter doesn't fit the base.
    """
    torch.manual_seed(seed)
    folder = adapter_folder(adapter) if adapter is not None else None
    revision = read_at(base, folder, revision or trust_code)
    if folder is not None and (folder / "tokenizer_config.json").exists():
        tokenizer = _tuned_tokenizer(folder, base, revision, trust_code)
    else:
        tokenizer = load_tokenizer(base, revision, trust_code)
    model = load_base(
        base,
        revision=revision,
        dtype=dtype,
        device=device,
        quantization=quantization,
        trust_code=trust_code,
        tokenizer=tokenizer,
    )
    if folder is None:
        flatten_head(model)
        return model, tokenizer
    if is_whole(folder):
        if quantization != "none":
            raise ModelError(f"{adapter} is a whole model, not an adapter on a base in {quantization}; use none")
        flatten_head(model)
        held = str(model.dtype).removeprefix("torch.")
        return _whole(model, load_base(folder, dtype=held, device=device, tokenizer=tokenizer), base), tokenizer
    with explained(str(adapter), "adapter"), peft_quiet():
        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True  # else a prompt's text would be fetched a tokenizer for, from where it says
        tuned = PeftModelForCausalLM(model, config, DEFAULT)
    attach(tuned, DEFAULT, folder, f"adapter {adapter}", base)
    tuned.eval()
    flatten_head(tuned)
    return tuned, tokenizer


def _tuned_tokenizer(
    folder: Path, base: str | Path, revision: str | None, trust_code: str | None
) -> PreTrainedTokenizerBase:
    """An adapter's own tokenizer; where that is code, the base's with the adapter's chat template."""
    written = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    if trust_code is None or "auto_map" not in written:
        return load_tokenizer(folder)
    tokenizer, template = load_tokenizer(base, revision, trust_code), folder / "chat_template.jinja"
    if template.is_file():
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    return tokenizer


def attach(tuned: PeftModelForCausalLM, name: str, folder: Path, label: str, base: str | Path) -> None:
    """Load an adapter's weights under a name. Raises ModelError, which begins with `label`, when they don't fit."""
    with explained(str(folder), "adapter"), peft_quiet():
        loaded = tuned.load_adapter(str(folder), name, is_trainable=False)
    missing = [key for key in loaded.missing_keys if name in key.split(".")]
    # A trained prompt is loaded into its encoder, and then reported as unexpected.
    odd = [key for key in (*missing, *loaded.unexpected_keys) if key != "prompt_embeddings"]
    if odd:
        raise ModelError(
            f"{label}: does not fit the base {base}: {len(odd)} of its weights have no counterpart, such as {odd[0]}; "
            "name the base that it was trained on"
        )


def _whole(model: PreTrainedModel, tuned: PreTrainedModel, base: str | Path) -> Whole:
    try:
        return Whole(model, tuned)
    except ModelError as error:
        name = tuned.name_or_path
        raise ModelError(
            f"the tuned model {name} does not fit the base {base}: {error}; name its base, or an adapter"
        ) from error


def fit_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the model a row for each token of the tokenizer: new rows are the mean of the old ones, never random."""
    embedding: Any = model.get_input_embeddings()
    old = int(embedding.weight.shape[0])
    new = max(len(tokenizer), max(tokenizer.get_vocab().values(), default=-1) + 1)
    if new <= old:
        return
    model.resize_token_embeddings(new, mean_resizing=False)
    with torch.no_grad():
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            for values in (getattr(module, "weight", None), getattr(module, "bias", None)):
                if isinstance(values, torch.Tensor):
                    values[old:] = values[:old].float().mean(dim=0).to(values.dtype)


def flatten_head(model: nn.Module) -> None:
    """Make the output layer see (tokens, hidden) instead of (batch, tokens, hidden); its results are the same.

    At prefill a frozen head gets a slice that isn't contiguous, and torch then multiplies row by row, some 200 times
    slower on a CPU (https://github.com/pytorch/pytorch/issues/151934). PEFT freezes every head.
    """
    head: nn.Module = model.get_output_embeddings()  # pyright: ignore[reportCallIssue, reportAssignmentType]
    forward = head.forward

    def flat(hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return forward(hidden.reshape(-1, hidden.shape[-1]), *args, **kwargs).unflatten(0, hidden.shape[:-1])

    head.forward = flat


@contextmanager
def peft_quiet() -> Generator[None]:
    """Silence what PEFT 0.21 makes transformers 5.23 say whenever it wraps a model: a renamed attribute."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


@contextmanager
def _bitsandbytes_quiet() -> Generator[None]:
    """Silence what bitsandbytes 0.50 says: an old torch function at its import, and a cast at every int8 product."""
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="`torch.jit.script_method` is deprecated", category=DeprecationWarning
        )
        yield
