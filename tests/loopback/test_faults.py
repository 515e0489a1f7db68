"""The loopback Hub fails as planned, and the unmodified client does what it does then."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
)

from tests.loopback.conftest import folder_of, names
from tests.loopback_hub import Fault, LoopbackHub

# huggingface_hub 2.4 hands large files to httpx2 under a name that httpx2 is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        (Fault("status", "PUT", "^/lfs/", status=503), 2),
        (Fault("status", "PUT", "^/lfs/", status=429, headers={"Retry-After": "7"}), 2),
        (Fault("cut", "POST", "/preupload/"), 2),
        (Fault("lost", "PUT", "^/lfs/"), 2),
        (Fault("short", "POST", "/batch", after=5), 2),
        (Fault("torn", "PUT", "^/lfs/", after=100_000), 2),
        (Fault("reset", "POST", "/batch", times=2), 3),
        (Fault("delay", "POST", "/preupload/", seconds=0.05), 1),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else str(value),
)
def test_a_fault_befalls_what_it_fits_and_the_client_tries_again(
    hub: LoopbackHub, tmp_path: Path, waits: list[float], fault: Fault, tries: int
) -> None:
    api = HfApi()
    api.create_repo("me/model")
    hub.faults.append(fault)
    content = b"\1" * 400_000
    done = api.upload_file(repo_id="me/model", path_in_repo="w.bin", path_or_fileobj=content)
    assert api.model_info("me/model").sha == done.oid and (hub.root / "models/me/model/w.bin").read_bytes() == content
    befallen = [one for one in hub.requests if one.fault]
    assert [one.fault for one in befallen] == [fault.kind] * (fault.times or 0) and fault.befell == fault.times
    like = [one for one in hub.requests if str(one) == str(befallen[0])]
    assert [one.key.split("#")[1] for one in like] == [str(n + 1) for n in range(tries)] and like[-1].status == 200
    assert waits[:1] == ([8.0] if fault.headers else [1] if tries > 1 else [])
    assert not list(hub.root.glob("*.part"))


def test_a_recorded_push_is_replayed_with_each_request_failing(
    hub: LoopbackHub, tmp_path: Path, waits: list[float]
) -> None:
    api = HfApi()
    folder = folder_of(tmp_path / "a", a_txt="one", w_bin=b"1", v_bin=b"2", README_md="---\nlicense: mit\n---\n")

    def push() -> str:
        api.create_repo("me/model", exist_ok=True)
        return api.upload_folder(repo_id="me/model", folder_path=folder).oid

    def fresh() -> None:
        api.delete_repo("me/model", missing_ok=True)
        for path in (hub.root / "lfs").glob("*"):
            path.unlink()
        hub.forget()

    def recorded() -> set[str]:
        fresh()
        push()
        return {one.key for one in hub.requests}

    keys = recorded()
    assert keys == recorded() and len(keys) == 10
    for key in sorted(keys):
        fresh()
        hub.faults = [Fault.at(key, "status", status=418)]
        with pytest.raises((HfHubHTTPError, RuntimeError)):
            push()
        assert [one.key for one in hub.requests if one.fault] == [key]
        assert push() == api.model_info("me/model").sha
        assert names(api, "me/model") == {".gitattributes", *(path.name for path in folder.iterdir())}


def test_a_download_that_breaks_off_goes_on_where_it_was(
    hub: LoopbackHub, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)  # it keeps whole blocks only
    api = HfApi()
    api.create_repo("me/model")
    content = bytes(range(256)) * 2000
    api.upload_file(repo_id="me/model", path_in_repo="w.bin", path_or_fileobj=content)
    hub.forget()
    status = Fault("status", "GET", "/resolve/", status=429, nth=3)
    hub.faults = [Fault("short", "GET", "/resolve/", after=100_000, times=2), status]
    assert Path(api.hf_hub_download("me/model", "w.bin")).read_bytes() == content
    read = [(one.status, one.fault) for one in hub.requests if one.method == "GET"]
    assert read == [(200, "short"), (206, "short"), (429, "status"), (206, None)]
