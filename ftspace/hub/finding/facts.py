"""What a person needs to know of a model or a dataset to choose it, and how it is said. Pure: asks nobody.

What the Hub does not say is None, and is shown as not known.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ftspace.devices import Device
from ftspace.hub.finding.fits import Fit, fit_of, shape_like
from ftspace.training.shape import Shape
from ftspace.weights import is_adapter

NOT_KNOWN = "not known"
_CONTEXT = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx")
Gated = Literal["no", "auto", "manual"]
"""Whether access must be asked for; auto is given at once, manual by a person."""


@dataclass(frozen=True)
class ModelFacts:
    """A model of the Hub."""

    id: str
    commit: str | None = None
    parameters: int | None = None
    dtype: str | None = None
    """Of most of its weights."""
    bytes: int | None = None
    """Of its weights, as they are downloaded."""
    context: int | None = None
    """Tokens that it was made to read at once."""
    template: bool | None = None
    """Whether it has a chat template of its own."""
    license: str | None = None
    gated: Gated | None = None
    private: bool | None = None
    likes: int | None = None
    downloads: int | None = None
    """Of the last 30 days."""
    closed: bool | None = None
    """Whether its files are closed to who asks, as those of a gated one are to whom nobody let in."""
    unfit: str = ""
    """Why it cannot be fine-tuned here; empty where nothing speaks against it."""
    shape: Shape | None = None
    """What its config.json and the headers of its weights tell, where they were read."""


@dataclass(frozen=True)
class SplitFacts:
    """A split of a dataset."""

    subset: str
    name: str
    rows: int | None


@dataclass(frozen=True)
class DatasetFacts:
    """A dataset of the Hub."""

    id: str
    commit: str | None = None
    rows: int | None = None
    about_rows: str | None = None
    """The range that its card says, where it does not say how many."""
    splits: tuple[SplitFacts, ...] = ()
    bytes: int | None = None
    license: str | None = None
    gated: Gated | None = None
    private: bool | None = None
    likes: int | None = None
    downloads: int | None = None


def context_of(values: Mapping[str, Any]) -> int | None:
    """The context length that a config.json names."""
    inner = values.get("text_config")
    text = cast("Mapping[str, Any]", inner) if isinstance(inner, Mapping) else values
    return next((n for name in _CONTEXT if isinstance(n := text.get(name), int) and n > 0), None)


def unfit_of(files: Iterable[str]) -> str:
    """Why what lies in a folder or a repository cannot be fine-tuned; "" where it can."""
    names = set(files)
    if is_adapter(names):
        return "it is an adapter, not a model: choose its base, and start from it (lora.start_from)"
    if "config.json" not in names:
        return "it has no config.json"
    if not any(name.endswith(".safetensors") for name in names):
        return "it has no weights in safetensors, and others are not loaded"
    return ""


def fit_of_facts(facts: "ModelFacts | DatasetFacts", device: Device) -> Fit | None:
    """Whether a training of the model fits a device; None where nothing is known to reckon with, and for a dataset."""
    if not isinstance(facts, ModelFacts) or facts.unfit:
        return None
    if facts.shape is not None:
        return fit_of(facts.shape, device)
    if facts.parameters is None or facts.dtype is None:
        return None
    return fit_of(shape_like(facts.parameters, facts.dtype), device, rough=True)


def model_words(facts: ModelFacts, fit: Fit | None) -> list[tuple[str, str]]:
    """The facts of a model as pairs of name and value, in the order in which they matter."""
    return [
        ("fits here", "no" if facts.unfit else fit_words(fit)),
        ("parameters", short_count(facts.parameters)),
        ("size", size_words(facts.bytes)),
        ("context", NOT_KNOWN if facts.context is None else f"{facts.context:,} tokens"),
        ("chat template", _yes_no(facts.template)),
        *_common(facts),
    ]


def dataset_words(facts: DatasetFacts) -> list[tuple[str, str]]:
    """The same of a dataset."""
    rows = f"{facts.rows:,}" if facts.rows is not None else facts.about_rows or NOT_KNOWN
    return [("rows", rows), ("size", size_words(facts.bytes)), *_common(facts)]


def in_a_line(facts: ModelFacts | DatasetFacts, fit: Fit | None = None) -> str:
    """What is known, short enough for a line of a list."""
    if isinstance(facts, ModelFacts):
        said = [
            "" if facts.parameters is None else short_count(facts.parameters),
            "does not fit here" if fit and fit.verdict == "no" else "",
            "fits in 4 bits" if fit and fit.verdict == "4 bits" else "",
        ]
    else:
        rows = short_count(facts.rows) if facts.rows is not None else facts.about_rows
        said = [f"{rows} rows" if rows else ""]
    said += [
        facts.license or "",
        "gated" if facts.gated in ("auto", "manual") else "",
        "private" if facts.private else "",
        f"{short_count(facts.downloads)} downloads" if facts.downloads else "",
    ]
    return ", ".join(one for one in said if one)


def plain(facts: ModelFacts | DatasetFacts, fit: Fit | None = None) -> dict[str, Any]:
    """The facts as values that JSON has; what is not known is null."""
    found = {name: value for name, value in vars(facts).items() if name not in ("shape", "splits")}
    if isinstance(facts, DatasetFacts):
        return found | {"splits": [vars(one) for one in facts.splits]}
    return found | {"fits": vars(fit) if fit else None}


def fit_words(fit: Fit | None) -> str:
    """Whether a training fits, with the number."""
    if fit is None:
        return NOT_KNOWN
    amounts = f"needs {'about ' if fit.rough else ''}{size_words(fit.needs)}, {size_words(fit.has)} are free"
    return {"yes": "yes", "4 bits": "only with 4 bits", "no": "no"}[fit.verdict] + f": {amounts}"


def short_count(count: int | None) -> str:
    """A number as people say it: 135M, 1.5B."""
    if count is None:
        return NOT_KNOWN
    for size, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.{int(count < 100 * size)}f}".removesuffix(".0") + letter
    return str(count)


def size_words(count: int | None) -> str:
    """Bytes as people say them."""
    if count is None:
        return NOT_KNOWN
    if count < 10**6:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"


def _common(facts: ModelFacts | DatasetFacts) -> list[tuple[str, str]]:
    gated = {"no": "no", "auto": "yes, access is given at once", "manual": "yes, its owners decide", None: NOT_KNOWN}
    return [
        ("license", facts.license or NOT_KNOWN),
        ("gated", gated[facts.gated]),
        ("private", _yes_no(facts.private)),
        ("likes", short_count(facts.likes)),
        ("downloads", short_count(facts.downloads)),
    ]


def _yes_no(said: bool | None) -> str:
    return NOT_KNOWN if said is None else "yes" if said else "no"
