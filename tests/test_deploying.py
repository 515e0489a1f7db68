"""The command over real HTTP: the unmodified client against a Hub on this machine."""

import functools
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftspace import cli
from ftspace.deploying import deploy_asked
from ftspace.errands import Deploy
from ftspace.errors import HubError
from ftspace.events import EventLog, Prepared
from ftspace.hub.bundle.origins import Origin, Origins
from ftspace.hub.push.records import PushFolder, PushRecord
from ftspace.hub.spaces.files import MARK, app_files
from ftspace.hub.spaces.space import watch
from ftspace.runs import RunStore
from tests.loopback_hub import READER_TOKEN, WRITER_TOKEN, Fault, LoopbackHub, serve
from tests.loopback_hub.faults import Kind
from tests.loopback_hub.spaces import settings

# huggingface_hub 2.4 hands large files to httpx2 under a name that httpx2 is giving up.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
SPACE = "me/lab"
SECRET = "s3cr3t-of-the-house"


@pytest.fixture(scope="module")
def parsers() -> Any:
    """The parsers of all commands, made once."""
    return functools.cache(cli.build_parser)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsers: Any) -> Iterator[LoopbackHub]:
    """An empty Hub, asked by this process with the writer's token."""
    loopback = LoopbackHub(tmp_path / "hub")
    with serve(loopback) as address:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        files = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(cli, "build_parser", parsers)
        monkeypatch.setenv("HF_TOKEN", WRITER_TOKEN)
        monkeypatch.setenv("FTSPACE_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("HOUSE_TOKEN", SECRET)
        yield loopback


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The app as three files, which go to the Hub faster; a file more is one more in the next deploy."""
    whole = app_files()
    files = {name: whole[name] for name in ("app.py", "requirements.txt", "README.md")}

    def some(hardware: Any = None) -> dict[str, bytes]:
        mark = json.dumps({"kind": "app", "files": sorted(files)}).encode()
        return {**files, MARK: mark}

    monkeypatch.setattr("ftspace.deploying.app_files", some)
    return files


def deploy(*words: str) -> int:
    return cli.main(["deploy", SPACE, *words])


def said(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    out = capsys.readouterr()
    return (json.loads(out.out) if out.out.startswith("{") else {}), out.out + out.err


def space(hub: LoopbackHub, **given: Any) -> dict[str, Any]:
    """What is set of the Space, after setting what is given."""
    told = settings(hub.store.repo("spaces", *SPACE.split("/")), **given)
    named = {what: sorted(told.get(what, {})) for what in ("variables", "secrets")}
    return {name: told.get(name) for name in ("volumes", "hardware", "sleep")} | named


def changes(hub: LoopbackHub) -> list[str]:
    """The requests that changed something, by their keys."""
    harmless = re.compile("/preupload/|/validate-yaml|/paths-info")
    return [one.key for one in hub.requests if one.method not in ("GET", "HEAD") and not harmless.search(one.path)]


def on_disk(hub: LoopbackHub) -> set[str]:
    folder = hub.root / "spaces" / SPACE
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_whole_app_becomes_a_space(hub: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--hardware", "t4-small", "--sleep", "30", "--secret", "HOUSE_TOKEN", "--variable", "FTSPACE_USERS=*"]
    words += ["--private", "--storage", "--json"]
    assert deploy(*words, "--dry-run") == 0
    plan, told = said(capsys)
    assert not (hub.root / "spaces").exists() and SECRET not in told
    assert plan["new"] and plan["dry_run"] and plan["dollars_an_hour"] == pytest.approx(0.4)
    assert plan["dollars_a_month"] == pytest.approx(292) and plan["secrets"] == ["HOUSE_TOKEN"]
    assert deploy(*words, "--yes") == 0
    document, told = said(capsys)
    assert SECRET not in told
    assert document["steps"] == plan["steps"] and document["files"] == plan["files"] > 200
    volume = {"type": "bucket", "source": "me/lab-data", "mountPath": "/kept"}
    assert space(hub) == {
        "variables": ["FTSPACE_KEEP", "FTSPACE_USERS"],
        "secrets": ["HOUSE_TOKEN"],
        "volumes": [volume],
        "hardware": "t4-small",
        "sleep": 1800,
    }
    assert hub.secrets[SPACE] == {"HOUSE_TOKEN": SECRET}
    assert all((hub.root / one / ".private").exists() for one in ("buckets/me/lab-data", f"spaces/{SPACE}"))
    assert on_disk(hub) == {*app_files(), ".gitattributes", ".private"}
    readme = (hub.root / "spaces" / SPACE / "README.md").read_text(encoding="utf-8")
    assert "suggested_hardware: t4-small" in readme and "contribute-repos" in readme


def test_runs_go_into_no_bucket_that_others_read_or_fill(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import HfApi

    HfApi().create_bucket("me/lab-data", private=True)
    bucket = hub.root / "buckets" / "me" / "lab-data"
    (bucket / "20260101-000000-000000000000-1.tar").write_bytes(b"")
    assert deploy("--storage", "--dry-run") == 0
    (bucket / "rows.jsonl").write_text("{}")
    assert deploy("--storage") == 2 and "holds rows.jsonl" in said(capsys)[1]
    (bucket / "rows.jsonl").unlink()
    (bucket / ".private").unlink()
    assert deploy("--storage") == 2 and "everybody can read the bucket me/lab-data" in said(capsys)[1]
    assert not (hub.root / "spaces").exists()


def test_a_name_that_only_others_see_is_said_to_be_taken(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults = [Fault("status", "POST", "/api/repos/create", status=409, times=None)]
    assert deploy() == 2
    assert "is taken by a Space that this token may not see" in " ".join(said(capsys)[1].split())


def test_the_same_again_changes_nothing_and_what_is_gone_is_removed(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    small["old.py"] = b"old = 1\n"
    assert deploy("--json") == 0
    first = said(capsys)[0]
    assert (hub.root / "spaces" / SPACE / "old.py").exists()
    (hub.root / "spaces" / SPACE / "by_hand.txt").write_text("not ours")
    del small["old.py"]
    small["new.py"] = b"new = 1\n"
    hub.requests.clear()
    assert deploy("--json") == 0
    second = said(capsys)[0]
    assert second["changed"] == [MARK, "new.py"] and second["removed"] == ["old.py"] and not second["new"]
    assert on_disk(hub) == {*small, MARK, ".gitattributes", "by_hand.txt"}
    assert first["commit"] != second["commit"]
    hub.requests.clear()
    assert deploy("--json") == 0
    third = said(capsys)[0]
    assert third["commit"] == second["commit"] and third["steps"] == [] and changes(hub) == []
    assert deploy("--private", "--sleep", "9") == 2
    assert deploy("--private", "--variable", "FTSPACE_MAX_MINUTES=240") == 0
    assert "hide it" in said(capsys)[1] and (hub.root / "spaces" / SPACE / ".private").exists()
    assert space(hub)["variables"] == ["FTSPACE_MAX_MINUTES"]


def test_a_space_of_somebody_else_is_not_touched(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = hub.root / "spaces" / SPACE
    folder.mkdir(parents=True)
    (folder / "app.py").write_text("mine")
    assert deploy() == 2
    assert "is taken: the Space there holds app.py" in said(capsys)[1]
    (folder / MARK).write_text(json.dumps({"kind": "demo", "files": ["app.py"]}))
    assert deploy() == 2
    assert "is a demo, not a app" in said(capsys)[1]
    assert changes(hub) == [] and (folder / "app.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "environ", "expected"),
    [
        (["lab"], {}, "user/space"),
        (["other/lab"], {}, "other is neither me nor an organization"),
        ([SPACE], {"HF_TOKEN": READER_TOKEN}, "me is neither reader"),
        ([SPACE], {"HF_TOKEN": ""}, "hf auth login"),
        ([SPACE], {"HF_TOKEN": "hf_unknown"}, "refuses the token"),
        ([SPACE, "--hardware", "h900"], {}, "known are cpu-basic, cpu-upgrade"),
        ([SPACE, "--hardware", "t4-small"], {}, "$0.40 an hour, $292 a month if it never sleeps; the Hub's price now"),
        ([SPACE, "--hardware", "t4-small"], {}, "this costs money: t4-small"),
        ([SPACE, "--secret", "NOT_SET"], {}, "there is no variable NOT_SET"),
        ([SPACE, "--secret", "hf_abc="], {}, "is no name of a variable"),
        ([SPACE, "--variable", "A"], {}, "give a name and a value"),
        ([SPACE, "--variable", "MY_TOKEN=abc"], {}, "--secret MY_TOKEN"),
        ([SPACE, "--variable", "STRIPE_KEY=abc"], {}, "--secret STRIPE_KEY"),
        ([SPACE, "--variable", "FTSPACE_WEBHOOK=https://a.example"], {}, "--secret FTSPACE_WEBHOOK"),
        ([SPACE, "--variable", f"A={WRITER_TOKEN}"], {}, "--secret A"),
        ([SPACE, "--sleep", "5"], {}, "sleeps after two days"),
        ([SPACE, "--sleep", "0"], {}, "from 1 on"),
        ([SPACE, "--demo", "20260101-000000-000000000000"], {}, "20260101-000000-000000000000"),
    ],
)
def test_what_cannot_be_deployed_is_refused_before_anything_is_made(
    hub: LoopbackHub,
    small: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environ: dict[str, str],
    expected: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert cli.main(["deploy", *words]) == 2
    told = said(capsys)[1]
    assert expected in " ".join(told.split()), told
    assert changes(hub) == [] and WRITER_TOKEN not in told


def test_each_change_may_fail_and_the_same_command_goes_on(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--hardware", "t4-small", "--secret", "HOUSE_TOKEN", "--storage", "--yes"]
    assert deploy(*words) == 0
    state, keys = space(hub), changes(hub)
    assert [key.split()[1].rpartition("/")[2] for key in keys] == ["lab-data", "create", "main", "hardware"]
    faults: list[tuple[str, Kind]] = [*((key, "lost") for key in keys), (keys[2], "status")]
    for key, kind in faults:
        _forget_space(hub)
        hub.forget()
        hub.faults = [Fault.at(key, kind, status=403)]
        assert deploy(*words) == 2, f"{key} {kind}"
        told = said(capsys)[1]
        assert "The same command goes on from here" in " ".join(told.split()) and SECRET not in told, told
        assert deploy(*words) == 0, f"{key} {kind}: {said(capsys)[1]}"
        capsys.readouterr()
        assert space(hub) == state, f"{key} {kind}"
        assert on_disk(hub) == {*small, MARK, ".gitattributes"}, f"{key} {kind}"


def _forget_space(hub: LoopbackHub) -> None:
    for repo in hub.store.repos("spaces") + hub.store.repos("buckets"):
        repo.delete()
    hub.secrets.clear()


def test_without_a_subscription_it_is_made_on_what_is_paid(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    refused = Fault("status", "POST", "/api/repos/create", status=402, message="Subscribe to PRO for cpu-basic")
    hub.faults = [refused]
    assert deploy() == 2
    told = " ".join(said(capsys)[1].split())
    assert "paid for" in told and "Done: nothing. Not done: make the public Space me/lab; send 4 files" in told
    refused.befell = 0
    assert deploy("--hardware", "t4-small", "--yes") == 0
    assert refused.befell == 1 and space(hub)["hardware"] == "t4-small" and "send 4 files" in said(capsys)[1]


def test_waiting_ends_when_it_runs_or_says_why_it_does_not(
    hub: LoopbackHub, small: dict[str, bytes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    monkeypatch.setattr("ftspace.hub.spaces.space.POLL_SECONDS", 0.01)
    monkeypatch.setattr("ftspace.hub.spaces.space.GRACE_SECONDS", 0.03)
    assert deploy("--private") == 0
    space(hub, stages=["RUNNING", "BUILDING", "APP_STARTING", "RUNNING"], logs={"build": ["no such torch"]})
    assert deploy("--public", "--wait") == 0
    told = said(capsys)[1]
    assert "building" in told and "app starting" in told and "/spaces/me/lab runs" in told
    api, head = HfApi(), HfApi().space_info(SPACE).sha or ""
    body = {"stage": "RUNNING", "sha": "the commit before"}
    hub.faults = [old := Fault("status", "GET", "/runtime", status=200, body=body, times=2)]
    watch(api, SPACE, head, 5)
    assert old.befell == 2
    for stages, expected in {
        ("BUILDING", "BUILD_ERROR"): "packages could not be installed; read .*logs=build.*\n.*\nno such torch",
        ("RUNTIME_ERROR",): "the app ended; read .*logs=container",
        ("CONFIG_ERROR",): "front matter",
        ("PAUSED",): "paused; restart it",
        ("BUILDING",) * 9: "still building; the Hub goes on",
    }.items():
        space(hub, stages=list(stages))
        with pytest.raises(HubError, match=expected):
            watch(api, SPACE, head, 0.05)


def test_a_demo_asks_the_base_and_the_adapter_that_were_pushed(
    hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = RunStore(tmp_path / "data" / "runs")
    run = _run(store, "towns/base")
    assert deploy("--demo", run.id) == 2
    assert "push it first" in said(capsys)[1]
    _record(run.path)
    for name in ("towns/base", "me/towns-lora"):
        (hub.root / "models" / name).mkdir(parents=True)
        (hub.root / "models" / name / "config.json").write_text("{}")
    (hub.root / "models" / "me" / "towns-lora" / ".private").touch()
    assert deploy("--demo", run.id) == 2
    assert "read me/towns-lora: give the Space a token that may, with --secret HF_TOKEN" in said(capsys)[1]
    assert deploy("--demo", run.id, "--secret", "HF_TOKEN", "--public") == 2
    assert "let everybody ask it; say --yes" in " ".join(said(capsys)[1].split()) and not (hub.root / "spaces").exists()
    assert deploy("--demo", run.id, "--secret", "HF_TOKEN", "--json") == 0
    document = said(capsys)[0]
    assert document["kind"] == "demo" and document["files"] == 5 and "no graphics card" in " ".join(document["doubts"])
    folder = hub.root / "spaces" / SPACE
    assert (folder / ".private").exists() and "towns/sums" not in (folder / "README.md").read_text(encoding="utf-8")
    assert json.loads((folder / "demo.json").read_text())["system"] == ""
    seen = Origins(base=Origin(name="towns/base"), data=Origin(name="towns/sums", restricted=None))
    (run.path / "push" / "origins.json").write_text(seen.model_dump_json())
    log = EventLog(run.events)
    log.append(
        Prepared(
            rows={}, format="messages", total_steps=1, parameters=7 * 10**9, trainable_parameters=1, device="cpu",
            dtype="float32",
        )
    )  # fmt: skip
    log.close()
    assert deploy("--demo", run.id, "--secret", "HF_TOKEN", "--public", "--yes", "--json") == 0
    assert "takes 28 GB there, and cpu-basic has 16 GB" in " ".join(said(capsys)[0]["doubts"])
    assert not (folder / ".private").exists()
    about = json.loads((folder / "demo.json").read_text())
    assert (about["base"], about["adapter"], about["adapter_revision"]) == ("towns/base", "me/towns-lora", "c" * 40)
    assert about["system"] == "Sum up."
    assert about["tokenizer_of_adapter"] is False and about["base_revision"] == "b" * 40
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "models:\n- towns/base\n- me/towns-lora\ndatasets:\n- towns/sums\n" in readme
    assert "torch==" in (folder / "requirements.txt").read_text()
    local = _run(store, "assets/base")
    _record(local.path)
    assert deploy("--demo", local.id) == 2
    assert "needs a base that is on the Hub" in said(capsys)[1]


def _run(store: RunStore, model: str) -> Any:
    from ftspace.config import load_config

    return store.create(
        load_config(overrides={"model": {"id": model}, "data": {"id": "towns/sums", "system": "Sum up."}})
    )


def _record(path: Path) -> None:
    files = {"adapter_config.json": "", "adapter_model.safetensors": ""}
    record = PushRecord(
        what="adapter",
        repo_id="me/towns-lora",
        url="https://huggingface.co/me/towns-lora",
        commit="c" * 40,
        private=False,
        files=files,
        new=True,
        time=time.time(),
    )
    folder = PushFolder(path)
    folder.path.mkdir(parents=True)
    folder.record.write_text(record.model_dump_json())
    folder.bundle.mkdir()
    (folder.bundle / "adapter_config.json").write_text(json.dumps({"revision": "b" * 40}))


def test_the_app_does_what_it_showed_and_nothing_else(
    hub: LoopbackHub, small: dict[str, bytes], tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []
    asked = Deploy(repo_id="lab", runs_dir=str(tmp_path), hardware="t4-small", private=True, sleep_minutes=30)
    plan = deploy_asked(asked, lambda *one: told.append(one))
    assert (plan["space"], plan["new"], plan["costs"], plan["dry_run"]) == (SPACE, True, True, True)
    assert changes(hub) == [] and "$0.40 an hour" in plan["hardware_words"]
    sure = asked.model_copy(update={"dry_run": False, "steps": tuple(plan["steps"])})
    small["more.txt"] = b"a file more, which nobody was shown"
    with pytest.raises(HubError, match="look again"):
        deploy_asked(sure, lambda *one: told.append(one))
    assert changes(hub) == [] and not told
    del small["more.txt"]
    done = deploy_asked(sure, lambda *one: told.append(one))
    assert [said for said, _, _ in told] == plan["steps"] and done["commit"] and done["url"].endswith(f"spaces/{SPACE}")
    assert (space(hub)["hardware"], space(hub)["sleep"]) == ("t4-small", 1800)
    assert deploy_asked(asked, lambda *_: None)["steps"] == []
