"""The sections of a RunConfig: each choice with its help, its limits, and what it contradicts within its section.

Knows nothing of torch or screens. The docstring beneath a field is its help on the command line, in the app and
in docs/configuration.md.
"""

import re
import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ftspace.hub.finding.names import HOSTS, Kind, read_name
from ftspace.settings import hub_hosts, resolve_local

Fraction = Annotated[float, Field(ge=0, lt=1)]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
DataRole = Literal["prompt", "completion", "messages", "system", "tools"]
Scheduler = Literal[
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "warmup_stable_decay",
    "reduce_lr_on_plateau",
]
Optimizer = Literal[
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_8bit",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "adafactor",
    "lion_32bit",
    "lion_8bit",
    "rmsprop",
    "adagrad",
    "sgd",
]
Quantization = Literal["none", "nf4", "int8"]
Method = Literal["lora", "adalora", "prompt_tuning", "prefix_tuning", "full"]
PROMPTED: tuple[Method, ...] = ("prompt_tuning", "prefix_tuning")
"""Methods that put trained vectors before each conversation."""
Initialization = Literal["default", "pissa", "olora", "eva", "loftq"]
LossOn = Literal["assistant", "completion", "all"]
Tracker = Literal["trackio", "wandb", "tensorboard"]
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
_ENDPOINT = re.compile(r"https?://[^\s#@]+#\S+")
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


def _named(values: Any, kind: Kind) -> Any:
    """A section's values with the id and the revision that the address of a page of the Hub means, if that is given."""
    given = values.get("id") if isinstance(values, Mapping) else None
    if not isinstance(given, str) or ("://" not in given and resolve_local(given) is not None):
        return values
    found = read_name(given, (*HOSTS, *hub_hosts()))
    if found is None:
        return values
    if found.kind not in (None, kind):
        raise ValueError(f"{found.id} is a {found.kind} there, and this has to be a {kind}; give the address of one")
    asked = values.get("revision")
    if asked and found.revision and asked != found.revision:
        raise ValueError(f"the address says the revision {found.revision}, and {asked} is given; keep one of them")
    return {**values, "id": found.id, "revision": asked or found.revision}


class ModelConfig(Section):
    """The base model."""

    id: str = Field(default="assets/base", min_length=1)
    """Hub id, address or local folder of the base model. Relative folders are looked up here, then in the project."""
    revision: str | None = None
    """Branch, tag or commit of a Hub model; the newest when not given."""
    dtype: Dtype = "auto"
    """Number format of the base's weights; auto is the checkpoint's own, but float32 on a CPU where it compares models,
    and where it trains without fast bfloat16, and bfloat16 where an adapter would be trained on float16."""
    quantization: Quantization = "none"
    """Hold the base's weights in 4 bits (nf4, with double quantization: QLoRA) or 8: less memory, slower steps."""
    chat_template: ChatTemplate = "auto"
    """How conversations are written as text; auto is the model's own way, and ChatML where it has none."""
    trust_code: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """Commit of a Hub model whose own Python code you have read and trust: it is run, at that commit and no other."""

    @model_validator(mode="before")
    @classmethod
    def _trusts_one_commit(cls, values: Any) -> Any:
        """Weights, tokenizer and code are all of the commit that was read."""
        values = _named(values, "model")
        if not isinstance(values, Mapping) or not values.get("trust_code"):
            return values
        if values.get("revision") not in (None, values["trust_code"]):
            raise ValueError("trust_code names the commit whose code you read; leave revision out, or give the same")
        return {**values, "revision": values["trust_code"]}


class DataConfig(Section):
    """The dataset, and how it is split."""

    id: str = Field(default="assets/datasets/people.jsonl", min_length=1)
    """Hub id or address of a dataset, or a local file or folder (jsonl, json, csv, parquet, arrow)."""
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

    @model_validator(mode="before")
    @classmethod
    def _takes_an_address(cls, values: Any) -> Any:
        """What the address of a page means is what the run keeps."""
        return _named(values, "dataset")

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
    """What is trained. Defaults after Schulman et al., "LoRA Without Regret" (2025): all linear layers, alpha 32."""

    method: Method = "lora"
    """A LoRA adapter, another small set of weights beside the base's, or every weight of a small model (full)."""
    r: int = Field(default=16, ge=1, le=1024)
    """Rank of the adapter: how much it can learn, and how large it is. With adalora that of a layer on average."""
    alpha: int = Field(default=32, ge=1)
    """Scale of the adapter; its updates are multiplied by alpha / r."""
    dropout: Fraction = 0.0
    """Dropout on the adapter's input while training."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Layers that get an adapter: all-linear, or a list of module names such as q_proj."""
    modules_to_save: list[str] = []
    """Modules trained whole and saved with the adapter, such as lm_head."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead, so that large ranks keep learning (rsLoRA)."""
    dora: bool = False
    """Train the length of each weight's columns apart from their direction (DoRA): often better at low rank, slower."""
    init: Initialization = "default"
    """How the adapter starts: from zero, from the base's own weights (pissa, olora), from the data (eva), or so that it
    makes up for what 4 bits lose (loftq)."""
    start_from: str | None = Field(default=None, min_length=1)
    """Train an adapter on that there is: a run's id, a folder or a Hub id. It must be of the same base, with the same
    rank, alpha and layers; it stays as it is."""
    plus_ratio: float | None = Field(default=None, ge=1, le=100)
    """Learning rate of the B matrices over that of the A matrices (LoRA+, 16 in its paper); the same when not given."""
    virtual_tokens: int = Field(default=20, ge=1, le=1000)
    """Tokens put before every conversation by prompt_tuning and prefix_tuning."""

    @model_validator(mode="after")
    def _belongs_to_the_method(self) -> Self:
        ranked = ("lora", "adalora")
        heeded: dict[str, tuple[Method, ...]] = dict.fromkeys(
            ("rslora", "dora", "init", "plus_ratio", "start_from"), ("lora",)
        )
        heeded |= dict.fromkeys(("r", "alpha", "dropout", "target_modules", "modules_to_save"), ranked)
        heeded["virtual_tokens"] = PROMPTED
        for name, methods in heeded.items():
            if self.method not in methods and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} belongs to the method {' or '.join(methods)}, not to {self.method}; leave it out"
                )
        if self.start_from and self.init != "default":
            raise ValueError(f"start_from and init {self.init} both say how the adapter starts; keep one of them")
        if self.dora and self.init in ("pissa", "olora"):
            raise ValueError(f"dora keeps the base's weights, which {self.init} changes; choose one of them")
        return self


class TrainConfig(Section):
    """The training recipe. What is not given is chosen for the model, the data and the device; the run says what."""

    epochs: float | None = Field(default=None, gt=0)
    """How many times to go over the training rows; by their number when not given."""
    max_steps: int | None = Field(default=None, ge=1)
    """Stop after so many optimizer steps, whatever epochs says."""
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Peak learning rate. LoRA wants about ten times the rate of full fine-tuning; by method and model if not given."""
    batch_size: int | None = Field(default=None, ge=1)
    """Conversations in one optimizer step; by their length and number when not given."""
    micro_batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens in one forward pass, padding there is none: lower it when memory runs out. By the device if not given."""
    packing: bool = True
    """Train conversations behind one another without padding, each seeing only itself; off pads them: slower. The
    methods prompt_tuning and prefix_tuning always pad."""
    max_length: int = Field(default=1024, ge=8)
    """Tokens kept of a conversation; longer ones are cut."""
    truncation_side: Literal["right", "left"] = "right"
    """Where long conversations are cut: right loses their end, left their beginning."""
    loss_on: LossOn = "assistant"
    """What is learnt of a conversation: every answer, its last answer only (completion), or all of its tokens."""
    optimizer: Optimizer = "adamw_torch"
    """Which optimizer; those of 8 bits hold its state in a quarter of the memory."""
    scheduler: Scheduler = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: Fraction = 0.03
    """Share of the steps in which the learning rate rises from 0; constant and reduce_lr_on_plateau have no warm-up."""
    weight_decay: float = Field(default=0.0, ge=0)
    """The optimizer's weight decay on what is trained."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm when longer."""
    neftune_alpha: float | None = Field(default=None, gt=0)
    """Noise on the embeddings while training (NEFTune; 5 in its paper): answers longer and less bound to the rows."""
    gradient_checkpointing: bool | None = None
    """Recompute activations in the backward pass: less memory, about a third slower. When memory asks for it, if not
    given."""
    validation_steps: int = Field(default=50, ge=1)
    """Measure the validation loss every so many steps."""
    samples: int = Field(default=3, ge=0, le=100)
    """Questions of the validation rows that the model answers at each validation, to be read as they change."""
    best_by: Literal["loss", "score"] = "loss"
    """What tells the best checkpoint: the validation loss, or how well the samples are answered (F1 of their words)."""
    keep: Literal["last", "best"] = "last"
    """Which weights become the adapter: the last, or the best seen at a validation."""
    patience: int | None = Field(default=None, ge=1)
    """Stop early after so many validations without a better one; never when not given."""
    on_divergence: Literal["stop", "rollback"] = "stop"
    """When the loss is no number: stop at the last good checkpoint, or go back to it with half the learning rate."""
    checkpoint_steps: int | None = Field(default=None, ge=1)
    """Save all that a resume needs every so many steps; every ten minutes when not given, and always at a stop."""
    save_total_limit: int = Field(default=2, ge=1)
    """Checkpoints kept, the newest; the best one is kept beside them."""
    auto_resume: bool = False
    """Go on by itself, from the newest checkpoint, when the app or the machine was restarted in mid-training."""
    max_minutes: float | None = Field(default=None, gt=0)
    """Stop the training after so many minutes, save what is learnt and compare it. Those before a resume count, those
    of preparing and comparing do not. One step is made at least; the learning rate falls as for the whole training."""
    max_cost: float | None = Field(default=None, gt=0)
    """Stop the training when its minutes have cost so much, as max_minutes does."""
    price_per_hour: float | None = Field(default=None, gt=0)
    """What an hour of the machine costs, for max_cost; the list price of the device, in dollars, if not given."""
    report_to: list[Tracker] = []
    """Trackers that get the curves too, when they are installed; on the command line, between commas."""
    seed: Seed = 0
    """Seeds the adapter's start, the order of the rows and dropout."""
    device: Device = "auto"
    """Where to train and evaluate; auto takes CUDA, else Apple's mps, else the CPU."""

    @model_validator(mode="after")
    def _best_can_be_told(self) -> Self:
        if self.best_by == "score" and not self.samples:
            raise ValueError("best_by score needs samples to be answered; raise train.samples")
        return self


class EvalConfig(Section):
    """How base and tuned are compared."""

    tasks: list[str] = ["heldout"]
    """Tasks to ask: `heldout` (this run's test split), JSONL files, benchmarks by LightEval's names (`gsm8k|4`); on the
    command line, between commas. With none, nothing is compared."""
    forgetting: list[str] = []
    """Tasks asked for what tuning loses: those of `tasks`, and two for any base, `general` and `instructions`."""
    noise: bool = False
    """Also ask the base a second time, in other batches: how far a model differs from itself is the noise floor."""
    shots: int = Field(default=0, ge=0, le=32)
    """Also ask the base with so many training rows as examples before each question: tuning should beat prompting."""
    earlier: list[str] = []
    """Also ask earlier checkpoints (`checkpoint-40`), other runs (their ids) and adapters (folders or Hub ids)."""
    reference: str | None = None
    """Also ask any model behind an OpenAI-compatible endpoint: its address and name, `http://host:8000/v1#model`."""
    metrics: list[str] = []
    """Metrics of written answers; empty takes those that suit each task."""
    embedding_model: str | None = None
    """A local embedding model (a folder, or a Hub id) for semantic similarity; none leaves that metric out."""
    judges: list[str] = []
    """Models that judge answers: `http://host:8000/v1#model`, `hub:owner/model` (Inference Providers), or a folder."""
    judge_calls: int = Field(default=1000, ge=1)
    """The judges are asked at most so often together; what is not judged then is counted as missing."""
    judge_price: float | None = Field(default=None, ge=0)
    """What a judge costs for a million tokens; with it the cost is told before and after."""
    max_samples: int | None = Field(default=300, ge=1)
    """Ask at most so many samples of each task."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Longest answer, in tokens."""
    batch_tokens: int = Field(default=8192, ge=16)
    """Tokens in one batch of the evaluation, padding included; the same batches serve base and tuned."""
    seed: Seed = 0
    """Seeds whatever is drawn during the evaluation."""

    @field_validator("tasks", "forgetting", "earlier", "metrics", "judges", mode="before")
    @classmethod
    def _an_empty_name_is_none(cls, value: Any) -> Any:
        """An empty text on the command line stands for an empty list."""
        return [one for one in value if one != ""] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _tasks_differ(self) -> Self:
        names = [_stem(task) for task in (*self.tasks, *self.forgetting)]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(
                f"two tasks are called {', '.join(doubled)}; give each file a name of its own, and name it once, in "
                "tasks or in forgetting"
            )
        return self

    @model_validator(mode="after")
    def _reference_is_address_and_name(self) -> Self:
        if self.reference is not None and not _ENDPOINT.fullmatch(self.reference):
            raise ValueError(
                "reference is an address and a model's name there, such as http://127.0.0.1:8000/v1#model; its token "
                "goes into REFERENCE_TOKEN"
            )
        return self

    @property
    def sides(self) -> int:
        """How many are asked: base, tuned, and those that are asked beside them."""
        return 2 + self.noise + (self.shots > 0) + len(self.earlier) + (self.reference is not None)


def _stem(task: str) -> str:
    """As Path has it, in a tenth of the time: every run in a list is asked for its tasks. Others' dots end nothing."""
    if not task.endswith((".json", ".jsonl")):
        return task
    last = task.rstrip("/").rpartition("/")[2]
    return last.rpartition(".")[0] or last


class HubConfig(Section):
    """The Hugging Face Hub. Tokens are never part of a config: set HF_TOKEN."""

    offline: bool = False
    """Never ask the Hub: use local folders and what is already in the cache."""
    push: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    """Push the adapter there (`owner/name`) when the run is finished; pushing later, or never, is as well."""
    public: bool = False
    """Let everybody read what is pushed; private if not."""

    @model_validator(mode="after")
    def _a_push_asks_the_hub(self) -> Self:
        if self.offline and self.push:
            raise ValueError("push needs the Hub; leave hub.offline out, or push later")
        return self
