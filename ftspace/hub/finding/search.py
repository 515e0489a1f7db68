"""Searches the Hub for models and datasets, and tells what it says of one of them. Knows no screen and no run.

The client's own lists wait without end and try five times. People wait for these: they are asked for once, in the
client's session and with its headers, and given up after some seconds. Answers are kept for a short while, apart for
each asker.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

from evals.errors import one_line
from ftspace.errors import HubError, ModelError
from ftspace.hub.asker import asker, hub_token
from ftspace.hub.finding.facts import DatasetFacts, Gated, ModelFacts, SplitFacts, context_of, unfit_of
from ftspace.hub.finding.find import info_of
from ftspace.hub.finding.names import Kind
from ftspace.hub.finding.peek import TIMEOUT_SECONDS, Closed, read_headers, read_json
from ftspace.own_code import why_not_causal
from ftspace.tokenizer import CONFIG, JINJA
from ftspace.training.shape import Shape, shape_of
from ftspace.weights import weights_of

MOST = 100
"""Results of one search."""
_KEPT_SECONDS = 120
_HEADERS = 4
"""Files of weights up to which the headers of all are read."""
_ASKED: dict[Kind, tuple[str, ...]] = {
    "model": ("cardData", "config", "downloads", "gated", "likes", "private", "safetensors", "sha", "tags"),
    "dataset": ("cardData", "downloads", "gated", "likes", "mainSize", "private", "sha", "tags"),
}
_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2, "F8_E4M3": 1, "F8_E5M2": 1} | {
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
"""Of a parameter in the formats of safetensors."""
_DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


def search_models(text: str, limit: int = 20) -> tuple[ModelFacts, ...]:
    """Models with weights in safetensors whose names hold `text`, the most downloaded first. Raises HubError."""
    return cast("tuple[ModelFacts, ...]", _search("model", text.strip(), min(limit, MOST), _moment()))


def search_datasets(text: str, limit: int = 20) -> tuple[DatasetFacts, ...]:
    """Datasets whose names hold `text`, the most downloaded first. Raises HubError."""
    return cast("tuple[DatasetFacts, ...]", _search("dataset", text.strip(), min(limit, MOST), _moment()))


def describe_model(repo_id: str, revision: str | None = None) -> ModelFacts | None:
    """All that the Hub says of a model, with its config.json and the headers of its weights; None offline.

    Raises ModelError for one that is not there or closed to the asker, HubError when the Hub cannot be asked.
    """
    return _describe_model(repo_id, revision, _moment())


def describe_dataset(repo_id: str, revision: str | None = None) -> DatasetFacts | None:
    """All that the Hub says of a dataset; None offline. Raises DatasetError, or HubError."""
    return _describe_dataset(repo_id, revision, _moment())


def forget() -> None:
    """Forgets all answers that are kept."""
    for kept in (_search, _describe_model, _describe_dataset):
        kept.cache_clear()


def _moment() -> str:
    """Differs for each asker, and after some minutes."""
    return f"{time.time() // _KEPT_SECONDS} {asker()}"


@lru_cache(maxsize=256)
def _search(kind: Kind, text: str, limit: int, moment: str) -> tuple[ModelFacts | DatasetFacts, ...]:
    from huggingface_hub.hf_api import DatasetInfo, ModelInfo

    asked: dict[str, Any] = {"search": text, "limit": limit, "sort": "downloads", "expand": list(_ASKED[kind])}
    if kind == "dataset":
        return tuple(_dataset(DatasetInfo(**one)) for one in _list("datasets", asked)[:limit])
    found = [ModelInfo(**one) for one in _list("models", {**asked, "filter": "safetensors"})]
    return tuple(_model(one) for one in found if not _is_adapter(one.tags or ()))[:limit]


def _list(what: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The first page of a list. Raises HubError."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    endpoint = HfApi().endpoint
    try:
        headers = build_hf_headers(token=hub_token())
        answer = get_session().get(f"{endpoint}/api/{what}", params=asked, headers=headers, timeout=TIMEOUT_SECONDS)
        hf_raise_for_status(answer)
        found: Any = answer.json()
    except OfflineModeIsEnabled as error:
        raise HubError("the Hub is not asked while offline") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        said = {
            401: "refuses the token; make a new one, and set HF_TOKEN or run: hf auth login",
            429: "has had too many requests from you; wait some minutes",
        }.get(status, f"answers with status {status}; search again later")
        raise HubError(f"the Hub ({endpoint}) {said}") from error
    except (HTTPError, OSError, ValueError) as error:
        raise HubError(
            f"the Hub ({endpoint}) cannot be asked: {one_line(error)}; check the network, or choose what is here"
        ) from error
    if not isinstance(found, list) or not all(isinstance(one, dict) and one.get("id") for one in found):
        raise HubError(f"the Hub ({endpoint}) answers a search with something else; check HF_ENDPOINT")
    return found


@lru_cache(maxsize=64)
def _describe_model(repo_id: str, revision: str | None, moment: str) -> ModelFacts | None:
    info = info_of("model", repo_id, revision, sizes=True)
    if info is None:
        return None
    facts, files = _model(info), {one.rfilename: one.size for one in info.siblings or []}
    weights = weights_of(files)
    facts = replace(facts, bytes=_sum(files[name] for name in weights) or facts.bytes, unfit=unfit_of(files))
    if facts.unfit:
        return facts
    return _with_files(facts, facts.commit or revision, files, weights)


def _with_files(facts: ModelFacts, revision: str | None, files: Iterable[str], weights: Sequence[str]) -> ModelFacts:
    """With what its own files say; what cannot be read now is not known."""
    values: dict[str, Any] = {}
    tensors: dict[str, tuple[str, Sequence[int]]] | None = None
    template, closed = facts.template or (True if JINJA in files else None), None
    try:
        values, closed = read_json(facts.id, "config.json", revision), False
        if why := why_not_causal(values):
            return replace(facts, closed=closed, unfit=why)
        if template is None:
            template = CONFIG in files and bool(read_json(facts.id, CONFIG, revision).get("chat_template"))
        if len(weights) <= _HEADERS:
            tensors = read_headers(facts.id, weights, revision)
    except Closed:
        closed = True
    except HubError:
        pass
    shape = _shape(values, tensors, facts.parameters)
    return replace(
        facts,
        closed=closed,
        context=context_of(values),
        template=template,
        parameters=facts.parameters or (shape.parameters if shape and not shape.doubts else None),
        dtype=facts.dtype or (shape.dtype if shape else None),
        shape=shape,
    )


@lru_cache(maxsize=64)
def _describe_dataset(repo_id: str, revision: str | None, moment: str) -> DatasetFacts | None:
    info = info_of("dataset", repo_id, revision, sizes=True)
    if info is None:
        return None
    facts = _dataset(info)
    return replace(facts, bytes=facts.bytes or _sum(one.size for one in info.siblings or []))


def _model(info: Any) -> ModelFacts:
    """What the Hub's index says."""
    tensors = info.safetensors.parameters if info.safetensors else {}
    most = max(tensors, key=lambda kind: tensors[kind], default=None)
    known = all(kind in _BYTES for kind in tensors)
    said: Mapping[str, Any] = info.config if isinstance(info.config, dict) else {}
    tokenizer: Any = said.get("tokenizer_config")
    inner = tokenizer.get("chat_template") if isinstance(tokenizer, dict) else None
    return ModelFacts(
        id=info.id,
        commit=info.sha,
        parameters=info.safetensors.total if info.safetensors else None,
        dtype=_DTYPES.get(most) if most else None,
        bytes=sum(_BYTES[kind] * count for kind, count in tensors.items()) if tensors and known else None,
        template=True if inner or said.get("chat_template_jinja") else None,
        **_common(info),
    )


def _dataset(info: Any) -> DatasetFacts:
    splits = tuple(_splits(info.card_data.get("dataset_info") if info.card_data else None))
    counted = [one.rows for one in splits]
    ranges = [tag.partition(":")[2] for tag in info.tags or () if tag.startswith("size_categories:")]
    return DatasetFacts(
        id=info.id,
        commit=info.sha,
        rows=_sum(counted),
        about_rows=ranges[0] if len(ranges) == 1 else None,
        splits=splits,
        bytes=info.main_size,
        **_common(info),
    )


def _common(info: Any) -> dict[str, Any]:
    gated: dict[Any, Gated] = {False: "no", "auto": "auto", "manual": "manual"}
    return {
        "license": _license(info),
        "gated": gated.get(info.gated),
        "private": info.private,
        "likes": info.likes,
        "downloads": info.downloads,
    }


def _license(info: Any) -> str | None:
    """As the card says it, by its name where it is none of those that the Hub knows."""
    card = info.card_data
    said = card.get("license") if card else None
    if isinstance(said, list):
        said = ", ".join(str(one) for one in cast("list[Any]", said))
    if said == "other" and isinstance(card.get("license_name"), str):
        said = card.get("license_name")
    if isinstance(said, str) and said:
        return said
    return next((tag.partition(":")[2] for tag in info.tags or () if tag.startswith("license:")), None)


def _splits(told: Any) -> Iterable[SplitFacts]:
    """What a card's `dataset_info` says of splits: one entry, or one for each subset."""
    for entry in cast("list[Any]", told if isinstance(told, list) else [told]):
        if not isinstance(entry, dict):
            continue
        subset: Mapping[str, Any] = cast("dict[str, Any]", entry)
        for split in subset.get("splits") or []:
            if isinstance(split, dict) and isinstance(split.get("name"), str):
                rows = split.get("num_examples")
                yield SplitFacts(str(subset.get("config_name") or ""), split["name"], rows if _whole(rows) else None)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum; None when one of them is not known, and for none at all."""
    found = list(counts)
    known = [one for one in found if one is not None]
    return sum(known) if found and len(known) == len(found) else None


def _is_adapter(tags: Iterable[str]) -> bool:
    return any(tag in ("peft", "gguf") or tag.startswith("base_model:adapter:") for tag in tags)


def _shape(
    values: dict[str, Any], tensors: dict[str, tuple[str, Sequence[int]]] | None, parameters: int | None
) -> Shape | None:
    """From the headers of the weights; where they were not read from config.json and the count that the Hub tells."""
    try:
        shape = shape_of(values, tensors)
    except ModelError:
        return None
    return shape if tensors else replace(shape, parameters=max(shape.linear, parameters or shape.parameters))
