"""Where each field of a config stands in the app: its group and label in step 2, or why it is not there.

Knows no gradio. Every field is in exactly one of GROUPS, CHOSEN_BEFORE and NOT_IN_THE_APP; a test sees to it.
"""

from dataclasses import dataclass

TASKS, FORGETTING, REVISION = "eval.tasks", "eval.forgetting", "model.revision"


@dataclass(frozen=True)
class Group:
    """Settings that belong together."""

    name: str
    words: str
    """What they decide, in a line."""
    fields: tuple[str, ...]

    @property
    def id(self) -> str:
        """The id of its part of the page."""
        return f"group-{self.name.split()[0].lower()}"


def _fields(section: str, names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names.split())


GROUPS = (
    Group(
        "Training",
        "How long and how fast it learns, and which weights are kept.",
        _fields(
            "train",
            "epochs max_steps learning_rate batch_size scheduler warmup optimizer weight_decay max_grad_norm "
            "neftune_alpha loss_on seed validation_steps samples keep best_by patience on_divergence",
        ),
    ),
    Group(
        "Adapter",
        "What is trained beside the base, and how large it is.",
        _fields(
            "lora",
            "r alpha method dropout target_modules modules_to_save rslora dora init plus_ratio virtual_tokens",
        ),
    ),
    Group(
        "Data",
        "Which rows are learnt from, which are kept back, and how long they may be.",
        (
            *_fields("data", "system max_samples fraction"),
            *_fields("train", "max_length truncation_side"),
            *_fields("data", "validation_split validation_fraction test_split test_fraction seed"),
        ),
    ),
    Group(
        "Memory",
        "What to change where memory is short, and on which device it runs.",
        (
            *_fields("model", "quantization dtype"),
            *_fields("train", "micro_batch_tokens gradient_checkpointing packing device"),
            "eval.batch_tokens",
        ),
    ),
    Group(
        "Evaluation",
        "What base and tuned are asked, how often, and who judges.",
        _fields(
            "eval",
            "tasks forgetting max_samples max_new_tokens shots noise earlier reference metrics embedding_model judges "
            "judge_calls judge_price seed",
        ),
    ),
    Group(
        "Hub and limits",
        "Which revision, where it is pushed, when it is saved, and when it must end.",
        (
            REVISION,
            *_fields("hub", "push public offline"),
            *_fields(
                "train",
                "max_minutes max_cost price_per_hour checkpoint_steps save_total_limit auto_resume report_to",
            ),
        ),
    ),
    Group(
        "Place",
        "Where it runs, and in how many processes.",
        _fields("launch", "launcher processes shard flavor timeout_minutes lease_seconds"),
    ),
)
NAMES = tuple(name for group in GROUPS for name in group.fields)
"""All fields of step 2, in the order of their values."""

CHOSEN_BEFORE = dict.fromkeys(
    (
        *_fields("model", "id chat_template"),
        *_fields("data", "id config split revision mapping prompt_template completion_template filters review"),
        "lora.start_from",
    ),
    "chosen in step 1, with the model and the rows before one's eyes",
)
"""Fields of step 1, and why they are not in step 2."""
NOT_IN_THE_APP = {
    "model.trust_code": (
        "it runs Python code that somebody put beside a model; to give leave for that belongs where the code was read"
    ),
    **dict.fromkeys(
        _fields("launch", "nnodes rdzv_endpoint"),
        "several machines train together only when each was told to, on its own command line",
    ),
}
"""Fields for the command line only, and why."""
LABELS = {
    "train.seed": "Seed",
    "train.samples": "Sample questions",
    "train.keep": "Keep which weights",
    "train.best_by": "Best by",
    "train.scheduler": "Learning rate falls by",
    "train.max_grad_norm": "Longest gradient",
    "train.neftune_alpha": "Noise on embeddings",
    "train.loss_on": "Learn from",
    "train.validation_steps": "Validate every",
    "train.patience": "Stop early after",
    "train.micro_batch_tokens": "Tokens a pass",
    "train.truncation_side": "Long rows lose",
    "train.checkpoint_steps": "Save every",
    "train.save_total_limit": "Checkpoints kept",
    "train.auto_resume": "Go on after a restart",
    "train.price_per_hour": "Price of an hour",
    "train.report_to": "Trackers",
    "lora.r": "LoRA rank",
    "lora.alpha": "LoRA alpha",
    "lora.method": "What is trained",
    "lora.target_modules": "Layers with an adapter",
    "lora.modules_to_save": "Modules trained whole",
    "lora.rslora": "rsLoRA",
    "lora.dora": "DoRA",
    "lora.init": "Adapter starts",
    "lora.plus_ratio": "LoRA+ ratio",
    "data.max_samples": "Rows of the dataset",
    "data.fraction": "Share of the training rows",
    "data.system": "System prompt",
    "data.validation_split": "Validation split",
    "data.validation_fraction": "Share kept for validation",
    "data.test_split": "Test split",
    "data.test_fraction": "Share kept for the test",
    "data.seed": "Seed of the split",
    "model.dtype": "Number format",
    "model.quantization": "Base in fewer bits",
    REVISION: "Revision of the model",
    TASKS: "Ask both models",
    FORGETTING: "Must not be lost",
    "eval.max_samples": "Questions a task",
    "eval.max_new_tokens": "Longest answer",
    "eval.shots": "Also ask the base with examples",
    "eval.noise": "Also ask the base twice",
    "eval.earlier": "Also ask earlier adapters",
    "eval.reference": "Also ask a reference model",
    "eval.metrics": "Metrics of answers",
    "eval.judge_calls": "Most calls of the judges",
    "eval.judge_price": "Price of a judge",
    "eval.batch_tokens": "Tokens a batch of questions",
    "eval.seed": "Seed of the evaluation",
    "hub.push": "Push to",
    "hub.public": "Push for everybody",
    "hub.offline": "Never ask the Hub",
    "launch.launcher": "Runs where",
    "launch.processes": "Processes a machine",
    "launch.shard": "Divide the base",
    "launch.flavor": "Hardware of a Hub job",
    "launch.timeout_minutes": "Longest Hub job",
    "launch.lease_seconds": "Seconds a GPU lease",
}


def label_of(name: str) -> str:
    """What a config field is called on the page."""
    return LABELS.get(name, name.rpartition(".")[2].replace("_", " ").capitalize())


def id_of(name: str) -> str:
    """The id of a field's widget on the page."""
    return f"set-{name.replace('.', '-')}"


def group_of(name: str) -> Group | None:
    """The group that a field is in; None for one that is not in step 2."""
    return next((group for group in GROUPS if name in group.fields), None)


def why_not_here(name: str) -> str:
    """Why a field is not in step 2; "" for one that is."""
    return CHOSEN_BEFORE.get(name) or NOT_IN_THE_APP.get(name, "")
