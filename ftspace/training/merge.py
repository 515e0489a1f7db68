"""A run's adapter merged into its base: a complete model in a folder, proved to answer as base plus adapter does.

The product of the adapter's matrices is added to each weight in float32 and rounded once. The folder is written beside
its place, loaded again from there, asked, and renamed only when it answers as it must. Knows no command and no screen.
"""

import gc
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
from transformers.utils.logging import disable_progress_bar

from evals.errors import EvalError, one_line
from evals.executor import Executor
from evals.models import DTYPES, load_comparison, load_tokenizer
from evals.places import is_whole
from evals.prompts import Prompter
from ftspace.data.export import check_folder
from ftspace.errors import ConfigError, DiskError, JobError, ModelError
from ftspace.runs import Run
from ftspace.settings import resolve_local
from ftspace.training.fold import Tell, fold
from ftspace.training.parity import Difference, allowed, difference, hear, prompts_of

UNMERGEABLE = {"prompt_tuning": "a prompt of trained vectors", "prefix_tuning": "a prefix of trained vectors"}
ROOM = 64 * 2**20
"""Bytes that must be left besides the weights, for the tokenizer and the rest."""
REPORT = "merge.json"


class Merged(BaseModel):
    """What was made, and how well it matches; kept in the folder as merge.json."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    folder: str
    run_id: str
    base: str
    revision: str | None
    dtype: str
    """Of the weights."""
    bytes: int
    adapter: str
    """The stamp of the run's adapter that it was made of."""
    ok: bool
    """Whether it answers as base plus adapter, to rounding."""
    tolerance: float | None = None
    """The mean KL divergence allowed."""
    parity: Difference | None = None
    """From base plus adapter; None for a run that trained every weight, which is copied."""
    tuning: Difference | None = None
    """From base plus adapter to the base alone, for scale."""
    quantized: Difference | None = None
    """From the quantized base plus adapter, which the run trained and compared; None where nothing was quantized."""

    def warnings(self) -> list[str]:
        """What a person should know of it, one line each."""
        if not self.quantized:
            return []
        return [
            "the run trained on a quantized base, and the merged model has the base's full weights, so its answers "
            f"differ from those compared: {self.quantized}"
        ]


def merge(
    run: Run, out: Path, dtype: str = "auto", *, keep_anyway: bool = False, tell: Tell = lambda *_: None
) -> Merged:
    """Writes the run's tuned model into `out`, complete, and proves it.

    Args:
        run: with an adapter.
        out: a folder that is not there yet, or is empty.
        dtype: of the weights; auto is the base's own, and bfloat16 for a run on a quantized base.
        keep_anyway: keep a model that does not answer as base plus adapter.
        tell: told of the progress.

    Raises:
        ConfigError: the folder holds something, or the dtype makes no sense.
        JobError: the run has no adapter yet.
        ModelError: the method cannot be merged, or the merged model does not answer as it must.
        DiskError: there is no room.
    """
    out = out.absolute()
    config = run.config
    check_folder(out)
    if not run.adapter.is_dir():
        raise JobError(f"run {run.id} has no adapter yet, so there is nothing to merge; wait for it, or start it again")
    if config.model.trust_code:
        raise ModelError(
            f"run {run.id} is on a model with code of its own, and a merged folder would carry that code where no "
            "commit names it; use the adapter with its base"
        )
    if config.lora.method in UNMERGEABLE:
        raise ModelError(
            f"run {run.id} trained {UNMERGEABLE[config.lora.method]} (lora.method {config.lora.method}), which is no "
            "part of the base's weights and cannot be merged into them; use the adapter with its base"
        )
    if dtype != "auto" and dtype not in DTYPES:
        raise ConfigError(f"no dtype is called {dtype!r}; use auto, {', '.join(DTYPES)}")
    disable_progress_bar()
    try:
        if is_whole(run.adapter):
            return _copy(run, out, dtype, tell)
        return _merge(run, out, dtype, keep_anyway, tell)
    except EvalError as error:
        raise ModelError(str(error)) from error


def _merge(run: Run, out: Path, asked: str, keep_anyway: bool, tell: Tell) -> Merged:
    config, stamp = run.config, run.adapter_stamp
    base = str(resolve_local(config.model.id) or config.model.id)
    quantization = config.model.quantization
    own, parameters = _shape(base, config.model.revision)
    dtype = ("bfloat16" if quantization != "none" else own) if asked == "auto" else asked
    _require_room(out, parameters * DTYPES[dtype].itemsize + ROOM)

    tell(f"loading {base} with the adapter", 0, 1)
    executor = _load(run, base, config.model.dtype)
    prompts = prompts_of(run.data, executor)
    if not prompts:
        raise ModelError("the chat template takes none of the test rows' questions, so the merged model can't be tried")
    tell(f"asking base plus adapter {len(prompts)} prompts", 0, 1)
    reference = hear(executor, prompts, "tuned")
    tuning = difference(reference, hear(executor, prompts, "base", reference))
    computed = executor.dtype
    if computed not in ("float32", own):
        del executor
        _free()
        executor = _load(run, base, own)
    model = fold(executor.model, DTYPES[dtype], tell)
    with _beside(out) as folder:
        tell("saving", 0, 1)
        _save(model, executor.prompter.tokenizer, folder)
        del executor, model
        _free()
        tell("asking the merged model the same", 0, 1)
        merged_model = load_comparison(folder, None, dtype=computed, device=config.train.device)
        found = hear(Executor(*merged_model), prompts, "base", reference)
        parity = difference(reference, found)
        tolerance = allowed((dtype, computed), tuning)
        ok = parity.within(tolerance)
        if not ok and not keep_anyway:
            raise ModelError(
                f"the merged model does not answer as base plus adapter: {parity}; up to {tolerance:.1e} nats a token "
                f"are rounding to {dtype}, and the tuning itself moved {tuning.kl:.1e}; nothing is kept; try --dtype "
                "float32, or --keep-anyway"
            )
        apart = None
        if quantization != "none":
            _free()
            tell(f"asking base plus adapter in {quantization}", 0, 1)
            rounded = hear(_load(run, base, config.model.dtype, quantization), prompts, "tuned", found)
            apart = difference(rounded, found)
        merged = Merged(
            folder=str(out),
            run_id=run.id,
            base=config.model.id,
            revision=config.model.revision,
            dtype=dtype,
            bytes=_size(folder),
            adapter=stamp,
            ok=ok,
            tolerance=tolerance,
            parity=parity,
            tuning=tuning,
            quantized=apart,
        )
        (folder / REPORT).write_text(merged.model_dump_json(indent=2) + "\n", encoding="utf-8")
        folder.rename(out)
    return merged


def _copy(run: Run, out: Path, dtype: str, tell: Tell) -> Merged:
    """The model of a run that trained every weight: it is whole already."""
    if dtype != "auto":
        raise ConfigError(
            f"run {run.id} trained every weight, so its model is whole and is copied as it is; leave --dtype out"
        )
    size, stamp = _size(run.adapter), run.adapter_stamp
    _require_room(out, size + ROOM)
    tell("copying: every weight was trained, so the model is whole already", 0, 1)
    with _beside(out) as folder:
        shutil.copytree(run.adapter, folder, dirs_exist_ok=True)
        _let_answers_end(folder)
        held = str(AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype or "float32").removeprefix(
            "torch."
        )
        model = run.config.model
        merged = Merged(
            folder=str(out),
            run_id=run.id,
            base=model.id,
            revision=model.revision,
            dtype=held,
            bytes=size,
            adapter=stamp,
            ok=True,
        )
        (folder / REPORT).write_text(merged.model_dump_json(indent=2) + "\n", encoding="utf-8")
        folder.rename(out)
    return merged


def _load(run: Run, base: str, dtype: str, quantization: str = "none") -> Executor:
    config = run.config
    model, tokenizer = load_comparison(
        base,
        run.adapter,
        revision=config.model.revision,
        dtype=dtype,
        device=config.train.device,
        quantization=quantization,
    )
    return Executor(model, tokenizer)


def _shape(base: str, revision: str | None) -> tuple[str, int]:
    """The dtype of a model's weights, and how many there are, from its config alone. Raises ModelError."""
    try:
        config = AutoConfig.from_pretrained(base, revision=revision, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"model {base}: {one_line(error)}") from error
    own = str(getattr(config, "dtype", None)).removeprefix("torch.")
    return own if own in DTYPES else "float32", sum(weight.numel() for weight in model.parameters())


def _save(model: Any, tokenizer: Any, folder: Path) -> None:
    try:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        _let_answers_end(folder)
        for file in folder.rglob("*"):
            file.chmod(0o755 if file.is_dir() else 0o644)
    except (OSError, SafetensorError) as error:
        raise DiskError(f"the merged model cannot be written to {folder.parent}: {one_line(error)}") from error


def _let_answers_end(folder: Path) -> None:
    """Writes into the generation config all tokens that end an answer, so that every program stops where we do."""
    tokenizer, config = load_tokenizer(folder), AutoConfig.from_pretrained(folder, trust_remote_code=False)
    has_own = (folder / "generation_config.json").is_file()
    settings = GenerationConfig.from_pretrained(folder) if has_own else GenerationConfig.from_model_config(config)
    settings.eos_token_id = list(Prompter(tokenizer).end_ids(settings, config.get_text_config())) or None
    if settings.pad_token_id is None:
        settings.pad_token_id = tokenizer.pad_token_id
    settings.save_pretrained(folder)


@contextmanager
def _beside(out: Path) -> Generator[Path]:
    """A folder beside `out` that is taken away unless it was renamed."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    except OSError as error:
        raise DiskError(f"cannot write to {out.parent}: {error.strerror}; name another folder") from error
    try:
        place.chmod(0o755)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _require_room(out: Path, needed: int) -> None:
    place = next(path for path in out.parents if path.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise DiskError(
            f"the merged model needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free at {place}; name a folder "
            "on another disk"
        )


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
