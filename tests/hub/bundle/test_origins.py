"""What a push may tell of base and dataset: what the Hub says now, what it said before, and no commit by guess."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ftspace.errors import HubError
from ftspace.hub.bundle.origins import Origin, ask_origins, known_origins
from ftspace.hub.push.process import check_public
from ftspace.hub.push.records import PushRequest
from ftspace.runs import RunStore
from tests.finished_run import finished_run
from tests.loopback_hub import LoopbackHub, serve


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A Hub with a gated base, which the asker was not let into, and a dataset; asked without a token."""
    loopback = LoopbackHub(tmp_path / "hub")
    for kind, name in (("models", "towns/base"), ("datasets", "towns/rows")):
        place = loopback.root / kind / name
        place.mkdir(parents=True)
        (place / "README.md").write_text("---\nlicense: gemma\n---\n")
    (loopback.root / "models" / "towns" / "base" / ".gated").touch()
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield loopback


def test_licenses_are_known_where_files_are_closed_and_stay_when_a_repository_goes(
    hub: LoopbackHub, store: RunStore
) -> None:
    run = finished_run(store, model={"id": "towns/base"}, data={"id": "towns/rows"})
    asked = ask_origins(run)
    assert (asked.base.terms, asked.base.restricted) == ({"license": "gemma"}, "gated")
    assert (asked.data.terms, asked.data.restricted) == ({"license": "gemma"}, None)
    assert asked.base.revision is None and asked.data.revision is None, "the run did not tell which it used"
    for place in ("models/towns/base", "datasets/towns/rows"):
        (hub.root / place).rename(hub.root / "models" / place.replace("/", "-"))
    gone = ask_origins(run)
    assert (gone.base.terms, gone.base.restricted) == (asked.base.terms, "gated")
    assert (gone.data.terms, gone.data.restricted) == (asked.data.terms, "unknown"), "it may be closed now"
    assert known_origins(run) == gone


@pytest.mark.parametrize(
    ("restricted", "refused"), [("private", True), ("gated", True), ("unknown", False), (None, False)]
)
@pytest.mark.parametrize("which", ["base", "data"])
def test_what_was_made_of_something_closed_is_not_pushed_for_everybody(
    store: RunStore, which: str, restricted: str | None, refused: bool
) -> None:
    origins = known_origins(finished_run(store))
    one = Origin.model_validate({"name": "a/b", "restricted": restricted})
    origins = origins.model_copy(update={which: one})
    check_public(PushRequest(repo_id="me/tuned"), origins)
    if not refused:
        check_public(PushRequest(repo_id="me/tuned", public=True), origins)
        return
    with pytest.raises(HubError, match=f"a/b is {restricted}.*leave --public"):
        check_public(PushRequest(repo_id="me/tuned", public=True), origins)
