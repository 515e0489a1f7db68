"""A Hub that is empty, and this process with the writer's token as its client."""

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi

from tests.loopback_hub import WRITER_TOKEN, LoopbackHub, serve

BY_WRITER = {"authorization": f"Bearer {WRITER_TOKEN}"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """An empty Hub, asked by this process with the writer's token."""
    loopback = LoopbackHub(tmp_path / "hub")
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
        yield loopback


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have waited between its tries; it waits for nothing."""
    waited: list[float] = []
    for module in ("utils._http", "file_download"):
        clock = SimpleNamespace(sleep=waited.append, time=time.time)
        monkeypatch.setattr(f"huggingface_hub.{module}.time", clock)
    return waited


def folder_of(path: Path, **files: str | bytes) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in files.items():
        text = content.encode() if isinstance(content, str) else content
        (path / name.replace("_", ".")).write_bytes(text)
    return path


def names(api: HfApi, repo_id: str, revision: str | None = None) -> set[str]:
    return {one.path for one in api.list_repo_tree(repo_id, revision=revision, recursive=True)}
