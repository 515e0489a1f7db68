"""A Hub on this machine with people, gates and pushes, and this process's client turned to it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftspace.hub import token
from ftspace.settings import ASSETS
from tests.loopback_hub import LoopbackHub, Scope, Token, User, serve

FINE, NARROW, SIGNED_IN = "hf_fineOfTheLoopbackHub", "hf_narrowOfTheLoopbackHub", "hf_signedInOfTheLoopbackHub"
ANSWERED, SLOW = 300.0, 0.5
"""Seconds for the Hub where it answers, and where it does not in time."""


def lay(root: Path, name: str, **files: str) -> None:
    for file, text in files.items():
        path = root / name / file.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LoopbackHub, str]]:
    root = tmp_path_factory.mktemp("hub")
    for name in ("towns/base", "towns/gated", "me/closed"):
        shutil.copytree(ASSETS / "base", root / "models" / name)
    lay(root, "models/towns/gated", __gated="manual")
    lay(root, "models/me/closed", __private="")
    lay(root, "models/towns/pickled", config__json="{}", pytorch_model__bin="x")
    lay(root, "models/me/earlier", ftspace__yaml="model: {}\n", adapter_config__json="{}", __private="")
    lay(root, "models/me/shown", ftspace__yaml="model: {}\n")
    lay(root, "models/me/work", config__json="{}", __private="")
    lay(root, "datasets/towns/gated", train__jsonl="{}\n", __gated="manual")
    hub = LoopbackHub(root)
    hub.users["me"] = User(orgs={"library": "read", "makers": "contributor"})
    hub.tokens[FINE] = Token("me", "fineGrained", (Scope("me", ("repo.content.read", "repo.write")),))
    hub.tokens[NARROW] = Token(
        "me", "fineGrained", (Scope("me/earlier", ("repo.content.read", "repo.write"), "model"),)
    )
    hub.tokens[SIGNED_IN] = Token("me", "oauth", scopes=("openid", "profile", "gated-repos"))
    hub.store.repo("models", "towns", "gated").let_in("reader")
    with serve(hub) as address:
        yield hub, address


@pytest.fixture
def hub(loopback: tuple[LoopbackHub, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """The Hub, with nothing remembered of it and no token on this machine."""
    found, address = loopback
    found.forget()
    monkeypatch.setattr(token, "_kept", {})
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    files = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return found
