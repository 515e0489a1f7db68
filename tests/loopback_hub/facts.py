"""What the Hub knows of a repository: computed from its files at a commit; likes and downloads are what it was told.

Nothing is invented: what no file says is left out or null, as on the real Hub.
"""

import json
import struct
from collections import Counter
from collections.abc import Mapping
from math import prod
from typing import Any

import yaml

from tests.loopback_hub.cards import as_list, front_matter
from tests.loopback_hub.storage import Commit, File, Repo, git_name

CONFIG = ("architectures", "model_type", "auto_map", "quantization_config", "num_experts", "num_experts_per_tok")
"""What the Hub takes over of a model's config.json; the context length is not among it."""
TOKENIZER = ("bos_token", "eos_token", "pad_token", "unk_token", "chat_template", "use_default_system_prompt")
FORMATS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".txt": "text", ".arrow": "arrow"}
LIST_TAGS = ("task_categories", "task_ids", "language", "multilinguality", "size_categories", "language_creators")
LONGEST_HEADER = 25_000_000


class Facts:
    """All facts of repositories; those of a commit are computed once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], dict[str, Any]] = {}

    def of(self, repo: Repo, commit: Commit, *, blobs: bool = False) -> dict[str, Any]:
        """Every property that can be asked for, by the name that the Hub gives it."""
        key = (repo.kind, repo.id, commit.id)
        if key not in self._known:
            self._known[key] = _computed(repo, commit)
        told, history = repo.facts(), repo.history()
        facts: dict[str, Any] = {"_id": git_name(f"{repo.kind} {repo.id}".encode())[:24], "id": repo.id}
        facts |= {"author": repo.owner, "sha": commit.id, "lastModified": commit.date, "private": repo.private}
        facts |= {"gated": repo.gated, "disabled": False, "createdAt": told.get("createdAt", history[-1].date)}
        for name in ("likes", "downloads", "downloadsAllTime", "trendingScore"):
            facts[name] = told.get(name, 0)
        facts["siblings"] = [_sibling(name, file, blobs=blobs) for name, file in commit.files.items()]
        facts["usedStorage"] = repo.used()
        if repo.kind == "spaces":
            facts["sdk"] = ((self._known[key]["cardData"] or {}).get("sdk")) or told.get("sdk")
        return facts | self._known[key]


def _computed(repo: Repo, commit: Commit) -> dict[str, Any]:
    try:
        card = front_matter(_text(repo, commit, "README.md"))
    except yaml.YAMLError:
        card = None
    card = dict(card) if isinstance(card, Mapping) else None
    said: dict[str, Any] = card or {}
    if repo.kind == "models":
        return {"modelId": repo.id, "cardData": card} | _model(repo, commit, said)
    size = sum(file.size for file in commit.files.values())
    if repo.kind == "datasets":
        endings = {name[name.rfind(".") :] for name in commit.files if "." in name}
        formats = sorted({f"format:{FORMATS[one]}" for one in endings if one in FORMATS})
        return {"cardData": card, "tags": [*_tags(said), *formats], "mainSize": size, "citation": None} | (
            {"description": _description(_text(repo, commit, "README.md"))}
        )
    told: dict[str, Any] = {"tags": _tags(said), "cardData": card}
    subdomain = f"{repo.owner}-{repo.name}".replace("_", "-").replace(".", "-").lower()
    told |= {"subdomain": subdomain, "host": f"https://{subdomain}.hf.space"}
    return told | {"models": as_list(said.get("models")), "datasets": as_list(said.get("datasets"))}


def _model(repo: Repo, commit: Commit, card: dict[str, Any]) -> dict[str, Any]:
    whole, adapter = _json(repo, commit, "config.json"), _json(repo, commit, "adapter_config.json")
    config: dict[str, Any] = {name: whole[name] for name in CONFIG if name in whole}
    tokenizer = _json(repo, commit, "tokenizer_config.json")
    if kept := {name: tokenizer[name] for name in TOKENIZER if name in tokenizer}:
        config["tokenizer_config"] = kept
    if template := _text(repo, commit, "chat_template.jinja"):
        config["chat_template_jinja"] = template
    if adapter:
        config["peft"] = {name: adapter.get(name) for name in ("base_model_name_or_path", "task_type")}
    causal = any(str(one).endswith("ForCausalLM") for one in as_list(config.get("architectures")))
    library = card.get("library_name") or ("peft" if adapter else "transformers" if config.get("model_type") else None)
    task = card.get("pipeline_tag") or ("text-generation" if causal else None)
    tags = [tag for tag in (library, _safetensors_tag(commit), config.get("model_type"), task) if tag] + _tags(card)
    facts: dict[str, Any] = {"config": config or None, "library_name": library, "pipeline_tag": task}
    facts |= {"tags": list(dict.fromkeys(tags)), "safetensors": _parameters(repo, commit), "spaces": []}
    if causal:
        loaded = {"auto_model": "AutoModelForCausalLM", "processor": "AutoTokenizer", "pipeline_tag": task}
        facts["transformersInfo"] = loaded
    if bases := as_list(card.get("base_model")):
        relation = card.get("base_model_relation") or ("adapter" if adapter else "finetune")
        facts["baseModels"] = {
            "relation": relation,
            "models": [{"_id": git_name(f"models {one}".encode())[:24], "id": one} for one in bases],
        }
        facts["tags"] += [f"base_model:{one}" for one in bases] + [f"base_model:{relation}:{one}" for one in bases]
    if "model-index" in card:
        facts["model-index"] = card["model-index"]
    return facts


def _parameters(repo: Repo, commit: Commit) -> dict[str, Any] | None:
    """How many parameters of which kind the whole model's safetensors have, by their headers."""
    index = _json(repo, commit, "model.safetensors.index.json")
    names = sorted({*index.get("weight_map", {}).values()}) or ["model.safetensors"]
    if not all(name in commit.files for name in names):
        return None
    counted: Counter[str] = Counter()
    for name in names:
        with repo.path(name, commit.files[name]).open("rb") as opened:
            head = opened.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            try:
                tensors = json.loads(opened.read(length)) if 0 < length < LONGEST_HEADER else None
            except ValueError:
                tensors = None
        if not isinstance(tensors, dict):
            return None
        for tensor, said in tensors.items():
            if tensor != "__metadata__":
                counted[said["dtype"]] += prod(said["shape"])
    return {"parameters": dict(counted), "total": counted.total()}


def _safetensors_tag(commit: Commit) -> str | None:
    return "safetensors" if any(name.endswith(".safetensors") for name in commit.files) else None


def _tags(card: dict[str, Any]) -> list[str]:
    """The tags that a card's fields become."""
    found = [str(one) for one in as_list(card.get("tags"))]
    found += [str(one) for one in as_list(card.get("language"))]
    found += [f"{name}:{one}" for name in LIST_TAGS for one in as_list(card.get(name))]
    found += [f"license:{one}" for one in as_list(card.get("license"))]
    found += [f"dataset:{one}" for one in as_list(card.get("datasets"))]
    return list(dict.fromkeys([*found, "region:us"]))


def _description(card: str) -> str | None:
    body = card.split("---\n", 2)[2] if card.startswith("---\n") and card.count("---\n") > 1 else card
    return " ".join(body.split())[:500] or None


def _text(repo: Repo, commit: Commit, name: str) -> str:
    file = commit.files.get(name)
    return repo.path(name, file).read_text(encoding="utf-8", errors="replace") if file else ""


def _json(repo: Repo, commit: Commit, name: str) -> dict[str, Any]:
    try:
        found = json.loads(_text(repo, commit, name) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sibling(name: str, file: File, *, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": name}
    told: dict[str, Any] = {"rfilename": name, "size": file.size, "blobId": file.blob}
    if file.large:
        told["lfs"] = {"sha256": file.oid, "size": file.size, "pointerSize": len(file.pointer)}
    return told
