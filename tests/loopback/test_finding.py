"""The search of the loopback Hub, as the unmodified client sees it."""

import shutil
from typing import Any

import httpx2
from huggingface_hub import HfApi

from ftspace.settings import ASSETS
from tests.loopback_hub import READER_TOKEN, LoopbackHub


def test_search_tells_what_the_files_say(hub: LoopbackHub) -> None:
    for name in ("towns/base", "towns/other-base"):
        shutil.copytree(ASSETS / "base", hub.root / "models" / name)
    (hub.root / "models" / "towns" / "other-base" / "README.md").write_text("---\nlicense: mit\ntags: [tiny]\n---\n")
    adapter = hub.root / "models" / "me" / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "towns/base", "task_type": "CAUSAL_LM"}')
    (adapter / "README.md").write_text("---\nbase_model: towns/base\nlicense: apache-2.0\n---\n")
    (adapter / ".private").touch()
    hub.store.repo("models", "towns", "base").tell(likes=7, downloads=100)
    hub.store.repo("models", "towns", "other-base").tell(likes=3, downloads=300)
    api, stranger = HfApi(), HfApi(token=READER_TOKEN)

    def ids(api: HfApi = api, **asked: Any) -> list[str]:
        return [one.id for one in api.list_models(**asked)]

    assert ids(search="BASE towns", sort="likes") == ["towns/base", "towns/other-base"]
    assert ids(sort="downloads", limit=1) == ["towns/other-base"] and ids(author="me") == ["me/adapter"]
    assert ids(stranger, search="adapter") == [] and ids(gated=True) == []
    assert ids(filter=["license:mit", "tiny"]) == ["towns/other-base"] == ids(filter="tiny")
    assert ids(filter="base_model:adapter:towns/base") == ["me/adapter"] == ids(filter="peft")
    assert len(ids(num_parameters="min:3M,max:4M", pipeline_tag="text-generation")) == 2
    asked: list[Any] = ["safetensors", "gated", "likes", "downloads", "cardData", "tags", "config", "usedStorage"]
    (found,) = api.list_models(search="towns/base", expand=asked)
    assert found.safetensors and found.safetensors.total == found.safetensors.parameters["BF16"] == 3_346_944
    assert found.config and found.config["model_type"] == "llama" and "max_position_embeddings" not in found.config
    assert (found.likes, found.gated, found.author) == (7, False, None) and found.card_data
    assert found.card_data.license == "apache-2.0" and (found.used_storage or 0) > 6_000_000
    (full,) = api.list_models(search="towns/base", full=True, cardData=True)
    assert full.author == "towns" and full.siblings and full.library_name == "transformers" and full.safetensors is None
    info = api.model_info("me/adapter")
    assert (info.library_name, info.pipeline_tag, info.safetensors) == ("peft", None, None)
    hub.forget()
    first = httpx2.get(f"{api.endpoint}/api/models?limit=1&sort=likes")
    assert len(first.json()) == 1 and "cursor=1" in first.links["next"]["url"]
    assert len(httpx2.get(first.links["next"]["url"]).json()) == 1
    sums = hub.root / "datasets" / "towns" / "sums"
    sums.mkdir(parents=True)
    (sums / "train.jsonl").write_text('{"n": 1}\n')
    (sums / "README.md").write_text("---\nlicense: mit\ntask_categories: [text-generation]\n---\nSums to be done.\n")
    (rows,) = api.list_datasets(search="sums", task_categories="text-generation", full=True)
    assert rows.description == "Sums to be done." and rows.card_data and rows.card_data["license"] == "mit"
    assert "format:json" in (rows.tags or []) and api.dataset_info("towns/sums", expand=["mainSize"]).main_size
