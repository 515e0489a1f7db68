"""RunConfig: every choice of a run, validated, and how it is read from YAML and flags. Its sections are sections.py."""

import difflib
import reprlib
from functools import cache
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, ValidationError, model_validator

from ftspace.errors import ConfigError
from ftspace.launching import LaunchConfig, why_whole
from ftspace.sections import DataConfig, EvalConfig, HubConfig, LoraConfig, ModelConfig, Section, TrainConfig
from ftspace.settings import DEFAULT_CONFIG, anchored

_SHORT = reprlib.Repr()
"""How a value is shown that somebody gave: what it holds many times over is not written out."""
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 2, 200, 200


class RunConfig(Section):
    """All that a run is made from; `config.json` in the run's folder holds exactly this."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    lora: LoraConfig = LoraConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    hub: HubConfig = HubConfig()
    launch: LaunchConfig = LaunchConfig()

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        quantized = self.model.quantization
        if quantized != "none" and self.lora.method == "full":
            raise ValueError("lora.method full trains the base's weights, which model.quantization rounds; choose one")
        if quantized != "none" and self.lora.init in ("pissa", "olora"):
            raise ValueError(f"lora.init {self.lora.init} changes the base's weights, which {quantized} holds rounded")
        if self.lora.init == "loftq" and quantized != "nf4":
            raise ValueError("lora.init loftq makes up for what 4 bits lose; set model.quantization to nf4")
        if self.lora.method == "prefix_tuning" and self.train.gradient_checkpointing:
            raise ValueError(
                "lora.method prefix_tuning needs the cache, which there is none of with train.gradient_checkpointing; "
                "choose one, and lower train.micro_batch_tokens where memory is short"
            )
        if quantized != "none" and self.train.device == "mps":
            raise ValueError("bitsandbytes, which model.quantization needs, does not run on mps; use cuda or cpu")
        unvalidated = self.data.validation_fraction == 0 and self.data.validation_split == "none"
        if unvalidated and (self.train.keep == "best" or self.train.patience):
            raise ValueError("train.keep best and train.patience need validation rows; raise data.validation_fraction")
        if self.launch.shard and (why := why_whole(self.model, self.lora)):
            raise ValueError(f"launch.shard goes with a LoRA adapter beside a frozen base, not where {why}")
        return self

    def to_yaml(self) -> str:
        """The config as YAML, every field written out; `load_config` reads it back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(path: str | Path | None = None, overrides: dict[str, Any] | None = None) -> RunConfig:
    """The config of a YAML file (the embedded default when None) with `overrides`, a dict of sections, laid over it.

    Raises ConfigError naming the field and the fix.
    """
    given: dict[str, Any] = read_yaml(path) if path is not None else {}
    sources = [str(path)] * (path is not None) + ["the flags given"] * bool(overrides)
    return parse_config(merge(given, overrides or {}), where=" and ".join(sources) or "config")


def anchor(config: RunConfig) -> RunConfig:
    """`config` with what it names relative to this folder as absolute paths, for jobs that run in another folder."""
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"id": anchored(config.model.id)}),
            "data": config.data.model_copy(
                update={
                    "id": anchored(config.data.id),
                    "review": anchored(config.data.review) if config.data.review else None,
                }
            ),
            "lora": config.lora.model_copy(
                update={"start_from": anchored(config.lora.start_from) if config.lora.start_from else None}
            ),
            "eval": config.eval.model_copy(
                update={
                    name: [anchored(one) for one in getattr(config.eval, name)]
                    for name in ("tasks", "forgetting", "earlier", "judges")
                }
                | {"embedding_model": anchored(config.eval.embedding_model) if config.eval.embedding_model else None}
            ),
        }
    )


@cache
def default_config() -> RunConfig:
    """The embedded default: the bundled model, dataset and tasks, with the recipe that suits them. Read once."""
    return load_config(DEFAULT_CONFIG)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; {} for an empty one. Raises ConfigError."""
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}; give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} holds a {type(loaded).__name__}, not sections such as `model:` and `train:`")
    return loaded


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above` laid over it, section by section."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def parse_config(values: dict[str, Any], where: str = "config") -> RunConfig:
    """A RunConfig from plain values. Raises ConfigError with one line for each field that is wrong."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        lines = [_explain(dict(problem)) for problem in error.errors(include_url=False)]
        raise ConfigError(f"{where}: " + "; ".join(dict.fromkeys(lines))) from error


def _explain(problem: dict[str, Any]) -> str:
    location = [str(part) for part in problem["loc"]]
    field = ".".join(part for part in location if not part.startswith(("literal[", "list["))) or "config"
    if problem["type"] == "extra_forbidden":
        known = _siblings(location)
        close = difflib.get_close_matches(field, known, n=1, cutoff=0.7)
        hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(known)}"
        return f"unknown field {field}; {hint}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem.get("input")
    shown = "" if isinstance(given, dict | BaseModel) else f" (given: {_SHORT.repr(given)})"
    return f"{field}: {message[:1].lower()}{message[1:]}{shown}"


def _siblings(location: list[str]) -> list[str]:
    beside = [name for name in field_names() if name.startswith(f"{location[0]}.")]
    return beside if len(location) > 1 and beside else list(RunConfig.model_fields)


def field_names() -> list[str]:
    """The dotted names of all fields: `model.id`, `model.revision`, ..."""
    return [f"{section}.{name}" for section, fields in sections().items() for name in fields.model_fields]


def sections() -> dict[str, type[Section]]:
    """The sections by name, in their order."""
    found: dict[str, type[Section]] = {}
    for name, field in RunConfig.model_fields.items():
        kind: Any = field.annotation
        assert isinstance(kind, type) and issubclass(kind, Section)
        found[name] = kind
    return found


def help_of(name: str) -> str:
    """The help text of a dotted field name."""
    section, field = name.split(".")
    return sections()[section].model_fields[field].description or ""


def choices_of(name: str) -> list[str]:
    """The values that a dotted field name of Literal type allows; [] for any other."""
    section, field = name.split(".")
    return [
        str(value) for value in get_args(sections()[section].model_fields[field].annotation) if isinstance(value, str)
    ]
