"""A short list for the first time: models and datasets that many people know, and why each is on it. Asks nobody.

Sizes are those of the models' cards, rounded, and rows those of the splits together; licenses are what the cards said
when this was written: what the Hub says now is shown once one is chosen.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from ftspace.config import default_config
from ftspace.hub.finding.names import Kind
from ftspace.weights import share_there

_ROWS = (".parquet", ".jsonl", ".json", ".csv", ".arrow", ".gz", ".zst")
"""How files of rows end."""


@dataclass(frozen=True)
class Short:
    """One entry of the list."""

    kind: Kind
    id: str
    size: str
    license: str
    """Empty where the card names none."""
    why: str
    gated: bool = False
    here: bool = False
    """Whether it is on this machine."""


MODELS = (
    Short(
        "model",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "135M",
        "apache-2.0",
        "the smallest that answers in sentences; no GPU needed",
    ),
    Short(
        "model",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        "360M",
        "apache-2.0",
        "noticeably better than 135M, and still fine without a GPU",
    ),
    Short(
        "model",
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        "1.7B",
        "apache-2.0",
        "the largest of its family, for a GPU with 16 GB",
    ),
    Short(
        "model",
        "Qwen/Qwen2.5-0.5B-Instruct",
        "0.5B",
        "apache-2.0",
        "strong for its size, and reads many languages",
    ),
    Short(
        "model",
        "Qwen/Qwen2.5-1.5B-Instruct",
        "1.5B",
        "apache-2.0",
        "a good first choice with a GPU, in many languages",
    ),
    Short(
        "model",
        "Qwen/Qwen2.5-7B-Instruct",
        "7.6B",
        "apache-2.0",
        "where small models fail; in 4 bits on a GPU with 16 GB",
    ),
    Short(
        "model",
        "meta-llama/Llama-3.2-1B-Instruct",
        "1.2B",
        "llama3.2",
        "the small one of the family that most guides are written for",
        gated=True,
    ),
    Short(
        "model",
        "google/gemma-3-1b-it",
        "1B",
        "gemma",
        "short and careful answers, in many languages",
        gated=True,
    ),
    Short(
        "model",
        "EleutherAI/pythia-160m",
        "160M",
        "apache-2.0",
        "a plain base that was never taught to chat: shows most clearly what tuning does",
    ),
)
"""Models, small ones of each family first."""
DATASETS = (
    Short(
        "dataset",
        "HuggingFaceTB/smoltalk",
        "1.1M rows",
        "apache-2.0 for what is new in it",
        "what SmolLM2's answers were trained on; take a part of it (subset all, max_samples)",
    ),
    Short(
        "dataset",
        "trl-lib/Capybara",
        "16k rows",
        "",
        "conversations of several turns, ready to train on",
    ),
    Short(
        "dataset",
        "tatsu-lab/alpaca",
        "52k rows",
        "cc-by-nc-4.0",
        "the classic of single instructions, written by a model; not for commercial use",
    ),
    Short(
        "dataset",
        "HuggingFaceH4/no_robots",
        "10k rows",
        "cc-by-nc-4.0",
        "instructions and answers written by people; not for commercial use",
    ),
    Short(
        "dataset",
        "openai/gsm8k",
        "8.8k rows",
        "mit",
        "school mathematics with worked answers, and a benchmark of the same name (subset main)",
    ),
)
"""Datasets, the most general first."""


def shortlist(kind: Kind) -> list[Short]:
    """The bundled one, which is always here, and then the list; each says whether it is on this machine."""
    default = default_config()
    if kind == "model":
        bundled = Short(kind, default.model.id, "3.3M", "apache-2.0", "comes with the app: a minute on any machine")
    else:
        bundled = Short(kind, default.data.id, "1,800 rows", "apache-2.0", "comes with the app: people and facts")
    rest = MODELS if kind == "model" else DATASETS
    return [replace(bundled, here=True), *(replace(one, here=in_cache(kind, one.id)) for one in rest)]


def in_cache(kind: Kind, repo_id: str) -> bool:
    """Whether the Hub's cache on this machine holds enough of a repository to use it without the Hub."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"{kind}s--{repo_id.replace('/', '--')}" / "snapshots"
    if kind == "model":
        return any((one / "config.json").is_file() and share_there(one) == 1 for one in folder.glob("*"))
    return any(path.name.endswith(_ROWS) and path.is_file() for path in folder.glob("*/**/*"))
