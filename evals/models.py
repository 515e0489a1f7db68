"""Loads a base model, its tokenizer and an adapter, from the Hub or a folder, the same way for training and comparing.

Knows nothing of tasks or scores. Only safetensors are read, and no code from a model's repository is run. A tokenizer
with more tokens than the model has embeddings gets them without randomness: all processes that load the pair agree.
"""

import hashlib
import json
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import torch
from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from peft import PeftConfig, PeftModelForCausalLM
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from evals.errors import ModelError, one_line

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_ADAPTER_FILES = ["*.json", "*.safetensors", "*.jinja", "tokenizer*", "*.txt"]
_KNOWN = {
    "instantiate the backend tokenizer": "it has no tokenizer files",
    "contains custom code": "it wants to run code of its own (trust_remote_code), which is never done here",
    "Unrecognized configuration class": "it is not a causal language model",
    "no file named model.safetensors": "it has no safetensors; other weight files are not loaded",
}
_LOAD_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    ImportError,
    SafetensorError,
    HfHubHTTPError,
    httpx2.HTTPError,
)


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


def load_tokenizer(model: str | Path, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a Hub id or a folder. Raises ModelError in one line."""
    where = _place(model)
    with _explained(where, "tokenizer"):
        _ask_hub(where, revision)
        return AutoTokenizer.from_pretrained(where, revision=revision, trust_remote_code=False)


def load_base(
    model: str | Path,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    tokenizer: PreTrainedTokenizerBase,
) -> PreTrainedModel:
    """Load a causal language model and give it an embedding for every token of the tokenizer.

    Args:
        model: a Hub id or a folder.
        revision: a Hub branch, tag or commit.
        dtype: auto, float32, bfloat16 or float16.
        device: auto, cpu, cuda, ...
        tokenizer: the tokenizer it will be used with; tokens beyond the embedding get the mean of the existing rows.

    Returns:
        The model in evaluation mode on the device.

    Raises:
        ModelError: it isn't there, isn't a causal language model, has no safetensors or wants to run its own code.
    """
    where, place = _place(model), pick_device(device)
    with _explained(where, "model"):
        loaded = AutoModelForCausalLM.from_pretrained(
            where, revision=revision, dtype=pick_dtype(dtype, place), use_safetensors=True, trust_remote_code=False
        )
    fit_embeddings(loaded, tokenizer)
    with _explained(where, "model"):
        nn.Module.to(loaded, place)
    return loaded.eval()


def load_comparison(
    base: str | Path,
    adapter: str | Path | None,
    *,
    revision: str | None = None,
    dtype: str = "auto",
    device: str = "auto",
    seed: int = 0,
) -> tuple[PreTrainedModel | PeftModelForCausalLM, PreTrainedTokenizerBase]:
    """Load one copy of a base model's weights, with an adapter that can be switched off, and the tokenizer of both.

    Args:
        base: a Hub id or a folder.
        adapter: a Hub id or a folder of a PEFT adapter; None for the base alone.
        revision: the base's revision.
        dtype: auto, float32, bfloat16 or float16.
        device: auto, cpu, cuda, ...
        seed: torch's, set before anything is loaded.

    Returns:
        The model (a PeftModel if there is an adapter) and the tokenizer: the adapter's if it has one, else the base's.

    Raises:
        ModelError: something isn't there, or the adapter doesn't fit the base.
    """
    torch.manual_seed(seed)
    folder = adapter_folder(adapter) if adapter is not None else None
    own_tokenizer = folder is not None and (folder / "tokenizer_config.json").exists()
    tokenizer = load_tokenizer(folder) if folder is not None and own_tokenizer else load_tokenizer(base, revision)
    model = load_base(base, revision=revision, dtype=dtype, device=device, tokenizer=tokenizer)
    if folder is None:
        flatten_head(model)
        return model, tokenizer
    with _explained(str(adapter), "adapter"), peft_quiet():
        tuned = PeftModelForCausalLM(model, PeftConfig.from_pretrained(str(folder)), "default")
        loaded = tuned.load_adapter(str(folder), "default", is_trainable=False)
    odd = [*loaded.missing_keys, *loaded.unexpected_keys]
    if odd:
        raise ModelError(
            f"adapter {adapter}: does not fit the base {base}: {len(odd)} of its weights have no counterpart, "
            f"such as {odd[0]}; name the base that it was trained on"
        )
    tuned.eval()
    flatten_head(tuned)
    return tuned, tokenizer


def adapter_folder(adapter: str | Path) -> Path:
    """Return the local folder of an adapter, downloading a Hub id's files. Raises ModelError if it isn't an adapter."""
    where = _place(adapter)
    folder = Path(where)
    if not folder.is_dir():
        with _explained(where, "adapter"):
            _ask_hub(where, None)
            folder = Path(snapshot_download(where, allow_patterns=_ADAPTER_FILES))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise ModelError(f"adapter {adapter}: it has no {name}, so it is not a PEFT adapter in safetensors")
    return folder


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


def fingerprint(model: str | Path) -> str | None:
    """Return a hash that tells a local model's weights from others', or None for a Hub id (its commit does that).

    Of each safetensors file it reads the size and 64 blocks of 64 KiB spread evenly; small files are read whole.
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*config.json")]):
        size, block = path.stat().st_size, 64 * 1024
        digest.update(json.dumps([path.name, size]).encode())
        with path.open("rb") as file:
            for index in range(64):
                file.seek(max(block, size // 64) * index)
                digest.update(file.read(block))
    return digest.hexdigest()[:16]


def _place(model: str | Path) -> str:
    text = str(model)
    if Path(text).is_dir():
        if not any(Path(text, name).is_file() for name in ("config.json", "adapter_config.json")):
            raise ModelError(f"{text}: it has no config.json, so it is not a model's folder")
        return text
    if text.startswith((".", "/", "~")) or text.count("/") > 1 or isinstance(model, Path) or not text:
        raise ModelError(f"{text!r}: there is no such folder; give a folder or a Hub id like owner/name")
    return text


def _ask_hub(where: str, revision: str | None) -> None:
    """Find out at once whether the Hub has it: without this, transformers tries for most of a minute to reach it."""
    known = (try_to_load_from_cache(where, name, revision=revision) for name in ("config.json", "adapter_config.json"))
    if not Path(where).is_dir() and not any(isinstance(path, str) for path in known):
        HfApi().model_info(where, revision=revision, timeout=10)


@contextmanager
def _explained(where: str, what: str) -> Generator[None]:
    """Turn what loading raises into one line that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{what} {where}: not enough memory; use a smaller model or another device") from error
    except _LOAD_ERRORS as error:
        raise ModelError(f"{what} {where}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    reasons: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
        (GatedRepoError, "its owner asks you to accept terms: do so on its page, and log in with `hf auth login`"),
        (RevisionNotFoundError, "the Hub has no such revision of it"),
        (RepositoryNotFoundError, "no such folder here, and no such repository on the Hub (or it is private: log in)"),
        (
            (LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.TransportError),
            "no such folder here, and the Hub can't be reached",
        ),
        (HFValidationError, "no such folder here, and not a Hub id like owner/name"),
        (EntryNotFoundError, "a file that it needs is missing; models must have safetensors"),
        (SafetensorError, "a safetensors file is damaged: fetch or save it again"),
    ]
    for kind, words in reasons:
        if any(isinstance(one, kind) for one in chain):
            return words
    text = str(error)
    return next((words for part, words in _KNOWN.items() if part in text), one_line(error))
