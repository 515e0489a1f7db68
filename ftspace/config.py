"""RunConfig: every choice of a run, validated. Knows nothing of torch, files or screens.

The docstring beneath a field is its help on the command line, in the app and in docs/configuration.md.
"""

import difflib
import string
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ftspace.errors import ConfigError
from ftspace.settings import DEFAULT_CONFIG, anchored

Fraction = Annotated[float, Field(ge=0, lt=1)]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
DataRole = Literal["prompt", "completion", "messages", "system", "tools"]
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]
ChatTemplate = Literal[
    "auto", "chatml", "llama2", "llama3", "mistral", "zephyr", "gemma", "phi", "alpaca", "vicuna", "plain"
]
Finding = Literal[
    "duplicate",
    "near_duplicate",
    "short_answer",
    "refusal",
    "markup",
    "encoding",
    "other_language",
    "long_row",
    "echo",
    "secret",
    "personal",
    "overlap",
]
"""What a look at the data can find in a row; `data.filters` leaves such rows out."""
FINDINGS: tuple[Finding, ...] = get_args(Finding)


def template_columns(template: str) -> list[str]:
    """The columns that a template names in braces, in their order. Raises ValueError when it is malformed."""
    found: list[str] = []
    for _, name, spec, conversion in string.Formatter().parse(template):
        if name is None:
            continue
        if not name or spec or conversion:
            raise ValueError("braces must hold a column's name and nothing else; write {{ and }} for braces")
        found.append(name)
    return found


class Section(BaseModel):
    """Base of the config's sections: frozen, no unknown fields, docstrings kept as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class ModelConfig(Section):
    """The base model."""

    id: str = Field(default="assets/base", min_length=1)
    """Hub id, or a local folder, of the base model. Relative folders are looked up here, then in the project."""
    revision: str | None = None
    """Branch, tag or commit of a Hub model; the newest when not given."""
    dtype: Dtype = "auto"
    """Number format of the base's weights; auto is the checkpoint's own on a GPU, and float32 on a CPU."""
    chat_template: ChatTemplate = "auto"
    """How conversations are written as text; auto is the model's own way, and ChatML where it has none."""


class DataConfig(Section):
    """The dataset, and how it is split."""

    id: str = Field(default="assets/datasets/people.jsonl", min_length=1)
    """Hub id of a dataset, or a local file or folder (jsonl, json, csv, parquet, arrow)."""
    config: str | None = None
    """Name of the configuration (subset) of a Hub dataset that has several."""
    split: str = "train"
    """Which split of the dataset to take the rows from."""
    revision: str | None = None
    """Branch, tag or commit of a Hub dataset; the newest when not given."""
    max_samples: int | None = Field(default=None, ge=1)
    """Use only the first so many rows."""
    system: str | None = None
    """System prompt put before conversations that have none."""
    mapping: dict[DataRole, str] | None = None
    """Which column is what, when it is not recognized: prompt and completion, or messages; also system and tools."""
    prompt_template: str | None = Field(default=None, min_length=1)
    """The question made of columns named in braces, such as `### Question: {question}`."""
    completion_template: str | None = Field(default=None, min_length=1)
    """The answer made of columns named in braces, such as `{answer}`."""
    filters: list[Finding] = []
    """Leave out the rows in which this is found, such as duplicate or secret; on the command line, between commas."""
    review: str | None = None
    """JSONL file of the decisions made in the app's review screen: rows dropped there are left out."""
    fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the training rows to learn from. Validation and test rows stay the same, so runs can be compared."""
    validation_split: str = "auto"
    """Split for the validation loss; auto takes the dataset's own where it has one, none keeps rows of `split` back."""
    test_split: str = "auto"
    """Split that `heldout` asks; auto takes the dataset's own test split where it has one, none keeps rows back."""
    validation_fraction: Fraction = 0.05
    """Share of the rows kept for the validation loss."""
    test_fraction: Fraction = 0.1
    """Share of the rows never trained on: the task `heldout` asks them of base and tuned."""
    seed: Seed = 0
    """Chooses which rows go where; the same seed and rows give the same split."""

    @model_validator(mode="after")
    def _mapping_and_templates_give_both_sides(self) -> Self:
        mapping = self.mapping or {}
        if self.mapping == {}:
            raise ValueError("mapping names no column; give prompt and completion, or messages")
        templates = {"prompt": self.prompt_template, "completion": self.completion_template}
        for role, template in templates.items():
            try:
                named = template_columns(template or "")
            except ValueError as error:
                raise ValueError(f"{role}_template: {error}") from error
            if template and not named:
                raise ValueError(f"{role}_template names no column in braces, so all rows would be the same")
            if template and role in mapping:
                raise ValueError(f"mapping and {role}_template both give the {role}; keep one")
        sides = {role for role, template in templates.items() if template or role in mapping}
        if "messages" in mapping and sides:
            raise ValueError("mapping: messages is the whole conversation; leave prompt and completion out")
        if "tools" in mapping and "messages" not in mapping:
            raise ValueError("mapping: tools go with messages")
        if (mapping or sides) and "messages" not in mapping and len(sides) < 2:
            lacks = "completion" if "prompt" in sides else "prompt" if sides else "prompt and the completion"
            raise ValueError(f"the {lacks} is not given; say it with mapping, prompt_template or completion_template")
        return self

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction and test_fraction leave no row to train on (they add up to 1 or more); lower one"
            )
        return self


class LoraConfig(Section):
    """The LoRA adapter. Defaults after Schulman et al., "LoRA Without Regret" (2025): all linear layers, alpha 32."""

    r: int = Field(default=16, ge=1, le=1024)
    """Rank of the adapter: how much it can learn, and how large it is."""
    alpha: int = Field(default=32, ge=1)
    """Scale of the adapter; its updates are multiplied by alpha / r."""
    dropout: Fraction = 0.0
    """Dropout on the adapter's input while training."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Layers that get an adapter: all-linear, or a list of module names such as q_proj."""


class TrainConfig(Section):
    """The training recipe."""

    epochs: float = Field(default=3.0, gt=0)
    """How many times to go over the training rows."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many optimizer steps, whatever epochs says."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    """Peak learning rate. LoRA wants about ten times the rate of full fine-tuning."""
    batch_size: int = Field(default=16, ge=1)
    """Conversations in one optimizer step."""
    micro_batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens in one forward pass, padding there is none: lower it when memory runs out. 1024 on a CPU, else 8192."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens kept of a conversation; longer ones are cut."""
    truncation_side: Literal["right", "left"] = "right"
    """Where long conversations are cut: right loses their end, left their beginning."""
    scheduler: Scheduler = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: Fraction = 0.03
    """Share of the steps in which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay on the adapter."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm when longer."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third slower."""
    validation_steps: int = Field(default=50, ge=1)
    """Measure the validation loss every so many steps."""
    seed: Seed = 0
    """Seeds the adapter's start, the order of the rows and dropout."""
    device: Device = "auto"
    """Where to train and evaluate; auto takes CUDA, else Apple's mps, else the CPU."""


class EvalConfig(Section):
    """How base and tuned are compared."""

    tasks: list[str] = ["heldout"]
    """Tasks to ask: `heldout` (this run's test split) and JSONL task files; on the command line, between commas."""
    max_samples: int | None = Field(default=300, ge=1)
    """Ask at most so many samples of each task."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Longest answer, in tokens."""
    batch_tokens: int = Field(default=8192, ge=16)
    """Tokens in one batch of the evaluation, padding included; the same batches serve base and tuned."""
    seed: Seed = 0
    """Seeds whatever is drawn during the evaluation."""

    @model_validator(mode="after")
    def _tasks_differ(self) -> Self:
        names = [Path(task).stem for task in self.tasks]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two tasks are called {', '.join(doubled)}; give each file a name of its own")
        return self


class HubConfig(Section):
    """The Hugging Face Hub. Tokens are never part of a config: set HF_TOKEN."""

    offline: bool = False
    """Never ask the Hub: use local folders and what is already in the cache."""


class RunConfig(Section):
    """All that a run is made from; `config.json` in the run's folder holds exactly this."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    lora: LoraConfig = LoraConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    hub: HubConfig = HubConfig()

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
            "eval": config.eval.model_copy(update={"tasks": [anchored(task) for task in config.eval.tasks]}),
        }
    )


def default_config() -> RunConfig:
    """The embedded default: the bundled model, dataset and tasks, with the recipe that suits them."""
    return load_config(DEFAULT_CONFIG)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file; {} for an empty one. Raises ConfigError."""
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}; give the path of a YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
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
    shown = "" if isinstance(given, dict | BaseModel) else f" (given: {given!r})"
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
