"""Spaces and storage buckets of the loopback Hub, as the unmodified client sees them."""

import pytest
from huggingface_hub import HfApi, SpaceHardware, SpaceStage, Volume
from huggingface_hub.errors import BucketNotFoundError, HfHubHTTPError, RepositoryNotFoundError

from tests.loopback.conftest import names
from tests.loopback_hub import READER_TOKEN, LoopbackHub, User
from tests.loopback_hub.spaces import settings

CARD = "---\ntitle: App\nsdk: gradio\ncolorFrom: red\n{}---\n"


def test_a_space_is_made_filled_set_up_and_watched(hub: LoopbackHub) -> None:
    api = HfApi()
    api.create_bucket("me/store", private=True)
    volume = Volume(type="bucket", source="me/store", mount_path="/data")
    api.create_repo(
        "me/app",
        repo_type="space",
        space_sdk="gradio",
        private=True,
        space_hardware=SpaceHardware.T4_SMALL,
        space_sleep_time=600,
        space_secrets=[{"key": "HF_TOKEN", "value": "hf_secretOfTheSpace"}],
        space_variables=[{"key": "MODE", "value": "one"}],
        space_volumes=[volume],
    )
    assert api.get_space_runtime("me/app").stage == SpaceStage.NO_APP_FILE
    for name, text in (("app.py", "print()"), ("README.md", CARD.format("models: [me/model]\n"))):
        api.upload_file(repo_id="me/app", repo_type="space", path_in_repo=name, path_or_fileobj=text.encode())
    runtime = api.get_space_runtime("me/app")
    assert (runtime.stage, runtime.hardware, runtime.sleep_time) == ("RUNNING", "t4-small", 600)
    assert runtime.volumes == [volume]
    api.add_space_secret("me/app", "OTHER", "hf_another", description="Why")
    api.delete_space_secret("me/app", "HF_TOKEN")
    assert hub.secrets == {"me/app": {"OTHER": "hf_another"}} and api.get_space_secrets("me/app").keys() == {"OTHER"}
    assert not any(b"hf_another" in path.read_bytes() for path in hub.root.rglob("*") if path.is_file())
    assert {name: one.value for name, one in api.add_space_variable("me/app", "MORE", "two").items()} == {
        "MODE": "one",
        "MORE": "two",
    }
    assert api.delete_space_variable("me/app", "MODE").keys() == api.get_space_variables("me/app").keys() == {"MORE"}
    assert api.request_space_hardware("me/app", SpaceHardware.CPU_BASIC).hardware == "cpu-basic"
    assert api.pause_space("me/app").stage == "PAUSED" and api.restart_space("me/app").stage == "RUNNING"
    api.delete_space_volumes("me/app")
    assert api.get_space_runtime("me/app").volumes == []
    api.set_space_volumes("me/app", [volume])
    space = hub.store.repo("spaces", "me", "app")
    settings(space, stages=["BUILDING", "APP_STARTING", "BUILD_ERROR"], logs={"build": ["no such package"]})
    assert api.wait_for_space("me/app", poll_interval=0.001, timeout=5).stage == "BUILD_ERROR"
    assert list(api.fetch_space_logs("me/app", build=True)) == ["no such package"]
    info = api.space_info("me/app")
    assert (info.sdk, info.private, info.models, info.subdomain) == ("gradio", True, ["me/model"], "me-app")
    assert info.runtime and info.runtime.stage == "BUILD_ERROR"
    assert [one.id for one in api.list_spaces(author="me", models="me/model")] == ["me/app"]
    assert {one.name for one in api.list_spaces_hardware()} > {"cpu-basic", "t4-small"}


def test_what_a_space_must_not_have_is_refused(hub: LoopbackHub) -> None:
    api, stranger = HfApi(), HfApi(token=READER_TOKEN)
    hub.users["me"] = User(pays=False)
    api.create_repo("me/app", repo_type="space", space_sdk="gradio")
    api.add_space_variable("me/app", "MODE", "one")
    api.add_space_secret("me/app", "KEY", "hf_value")
    with pytest.raises(HfHubHTTPError) as caught:
        api.request_space_hardware("me/app", SpaceHardware.T4_SMALL)
    assert caught.value.response.status_code == 402
    for refused in (
        lambda: stranger.get_space_variables("me/app"),
        lambda: stranger.add_space_secret("me/app", "A", "b"),
        lambda: stranger.restart_space("me/app"),
    ):
        with pytest.raises(HfHubHTTPError, match="403 Forbidden"):
            refused()
    with pytest.raises(RepositoryNotFoundError):
        api.set_space_volumes("me/app", [Volume(type="model", source="me/none", mount_path="/data")])
    for more, said in (("short_description: " + "x" * 61, "short_description"), ("colorTo: mauve", "colorTo")):
        card = CARD.format(f"{more}\n").encode()
        with pytest.raises(ValueError, match=said):
            api.upload_file(
                repo_id="me/app",
                repo_type="space",
                path_in_repo="README.md",
                path_or_fileobj=card,
            )
    api.create_repo("me/model")
    api.upload_file(repo_id="me/model", path_in_repo="a.txt", path_or_fileobj=b"a")
    assert names(HfApi(), api.duplicate_repo("me/model", "me/copy").repo_id) == {".gitattributes", "a.txt"}
    with pytest.raises(HfHubHTTPError, match="already created"):
        api.duplicate_repo("me/model", "me/copy")
    copy = api.duplicate_repo("me/app", "me/other", repo_type="space")
    assert api.get_space_variables(copy.repo_id).keys() == {"MODE"} and not api.get_space_secrets(copy.repo_id)
    assert api.space_info("me/other").private


def test_buckets_are_found_by_their_owner(hub: LoopbackHub) -> None:
    api = HfApi()
    made = api.create_bucket("store", private=True)
    assert made.bucket_id == "me/store" and api.create_bucket("me/store", exist_ok=True) == made
    info = api.bucket_info("me/store")
    assert (info.id, info.private, info.size) == ("me/store", True, 0) and [b.id for b in api.list_buckets()] == [
        "me/store"
    ]
    with pytest.raises(BucketNotFoundError):
        HfApi(token=READER_TOKEN).bucket_info("me/store")
    api.delete_bucket("me/store")
    with pytest.raises(BucketNotFoundError):
        api.bucket_info("me/store")
