"""The one list, asked as the app and the command ask it, of a Hub on this machine and without one."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from ftspace.checks import Check
from ftspace.cli import main
from ftspace.config import parse_config
from ftspace.errors import HubError, ModelError
from ftspace.hub.asker import asking_with
from ftspace.hub.finding.local import model_here
from ftspace.preflight import check, check_model, examine
from ftspace.settings import ASSETS
from tests.loopback_hub import EXPIRED_TOKEN, READER_TOKEN, WRITER_TOKEN, Fault, LoopbackHub
from tests.preflight.conftest import ANSWERED, FINE, NARROW, SIGNED_IN, SLOW

GATED, PRIVATE = {"model": {"id": "towns/gated"}}, {"model": {"id": "me/closed"}}
WHOLE = {"lora": {"method": "full"}}


def pushed(repo_id: str, **over: Any) -> dict[str, Any]:
    return {"hub": {"push": repo_id, **over}}


def look(
    tmp_path: Path, config: dict[str, Any], token: str | None = None, *scopes: str, seconds: float = ANSWERED
) -> dict[str, Check]:
    rows = tmp_path / "few.jsonl"
    rows.write_text('{"question": "1+1?", "answer": "2"}\n' * 4)
    given = {"eval": {"tasks": []}, "train": {"device": "cpu"}, "data": {"id": str(rows)}, **config}
    with asking_with(token, frozenset(scopes) or None):
        found = examine(parse_config(given), tmp_path / "runs", seconds=seconds)
    assert [str(one) for one in found.checks if one.level == "stop" and not one.fix] == []
    return {one.what: one for one in found.checks}


def test_a_run_that_is_all_here_asks_the_hub_nothing(hub: LoopbackHub, tmp_path: Path) -> None:
    config = {"data": {}, "eval": {"tasks": ["heldout"]}, "train": {"max_minutes": 60}}
    found = look(tmp_path, config, WRITER_TOKEN)
    assert hub.requests == []
    assert {one.level for one in found.values()} == {"ok"}
    expected = ["disk", "base", "budget", "tasks", "dataset", "rows", "end of turn", "length", "begin token", "padding"]
    expected += ["template", "memory", "evaluation memory", "device", "license", "token"]
    assert list(found) == expected
    assert "about 1,530 train, 90 validation, 180 test rows" in found["rows"].detail
    assert "the run takes about" in found["device"].detail and "not needed" in found["token"].detail


@pytest.mark.parametrize(
    ("config", "token", "scopes", "what", "level", "said"),
    [
        (GATED, READER_TOKEN, (), "base access", "ok", "it is gated, and access is granted"),
        (GATED, READER_TOKEN, (), "token", "ok", "reader's, role read; it is enough to read the gated model"),
        (GATED, WRITER_TOKEN, (), "base access", "stop", "gated, and access is not granted; ask for access at http"),
        (GATED, WRITER_TOKEN, (), "token", "ok", "me's, role write"),
        (GATED, None, (), "token", "stop", "was found, and one is needed to read the gated model towns/gated"),
        (GATED, FINE, (), "token", "stop", "no permission to read gated repositories"),
        (GATED, SIGNED_IN, ("openid",), "token", "stop", "did not give the right to read gated repositories; it"),
        ({"data": {"id": "towns/gated"}}, WRITER_TOKEN, (), "dataset access", "stop", "/datasets/towns/gated, and"),
        (PRIVATE, WRITER_TOKEN, (), "base access", "ok", "it is private"),
        (PRIVATE, None, (), "base", "stop", "there is no model me/closed"),
        (PRIVATE, None, (), "token", "stop", "to read the model me/closed, if it is private or gated"),
        (PRIVATE, EXPIRED_TOKEN, (), "token", "stop", "the Hub refuses the token"),
        ({"model": {"id": "towns/pickled"}}, None, (), "base", "stop", "its weights only as pytorch_model.bin"),
        ({"model": {"id": "towns/base"}}, None, (), "license", "ok", "base apache-2.0, dataset not said"),
        ({"model": {"id": "towns/base"}}, None, (), "token", "ok", "not needed"),
        (pushed("me/new"), WRITER_TOKEN, (), "push", "ok", "the name me/new is free"),
        (pushed("me/new"), WRITER_TOKEN, (), "token", "ok", "it is enough to push to me/new"),
        (pushed("me/earlier"), WRITER_TOKEN, (), "push", "ok", "me/earlier holds an earlier push"),
        (pushed("me/work"), WRITER_TOKEN, (), "push", "stop", "is taken: it holds config.json"),
        (WHOLE | pushed("me/earlier"), WRITER_TOKEN, (), "push", "stop", "is taken: it holds an adapter"),
        (pushed("me/shown"), WRITER_TOKEN, (), "push", "stop", "everybody can read it; set hub.public"),
        (pushed("me/shown", public=True), WRITER_TOKEN, (), "push", "ok", "me/shown holds an earlier push"),
        (pushed("makers/new"), WRITER_TOKEN, (), "push", "ok", "the name makers/new is free"),
        (pushed("library/new"), WRITER_TOKEN, (), "push", "stop", "me may only read in the organization library"),
        (pushed("others/new"), WRITER_TOKEN, (), "push", "stop", "push to me/new"),
        (pushed("me/new"), READER_TOKEN, (), "token", "stop", "the token can only read"),
        (pushed("me/new"), None, (), "token", "stop", "make one with the role write at http"),
        (pushed("me/new"), FINE, (), "token", "ok", "me's, fine-grained; it is enough"),
        (pushed("me/new"), NARROW, (), "token", "stop", "no permission to make repositories of me"),
        (pushed("me/earlier"), NARROW, (), "token", "ok", "it is enough to push to me/earlier"),
        (pushed("me/new"), SIGNED_IN, ("openid",), "token", "stop", "make repositories; it is needed to push"),
        (pushed("me/new"), SIGNED_IN, ("contribute-repos",), "token", "ok", "me's, by sign-in; it is enough"),
        (PRIVATE | pushed("me/new", public=True), WRITER_TOKEN, (), "push", "stop", "me/closed is a private model"),
    ],
)  # fmt: skip
def test_the_hub_says_what_stands_in_the_way(
    hub: LoopbackHub,
    tmp_path: Path,
    config: dict[str, Any],
    token: str | None,
    scopes: tuple[str, ...],
    what: str,
    level: str,
    said: str,
) -> None:
    found = look(tmp_path, config, token, *scopes)
    assert found[what].level == level and said in str(found[what])


def test_each_asker_is_asked_for_once_a_minute(hub: LoopbackHub, tmp_path: Path) -> None:
    for token in (WRITER_TOKEN, WRITER_TOKEN, FINE):
        assert look(tmp_path, pushed("me/new"), token)["token"].level == "ok"
    assert [str(one) for one in hub.requests].count("GET /api/whoami-v2") == 2


def test_a_hub_that_does_not_answer_in_time_is_a_warning_and_nothing_waits_for_it(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    hub.faults = [Fault("delay", seconds=2, times=None)]
    began = time.monotonic()
    found = look(tmp_path, {"model": {"id": "towns/base"}, **pushed("me/new")}, WRITER_TOKEN, seconds=SLOW)
    assert time.monotonic() - began < 10
    assert [found[what].level for what in ("base", "token", "push")] == ["warning"] * 3
    assert "did not answer" in str(found["base"]) and found["rows"].level == "warning"


def test_a_hub_in_trouble_is_no_reason_to_blame_the_token(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults = [Fault("status", path="/api/(whoami-v2|models/me/)", status=503, times=None)]
    found = look(tmp_path, pushed("me/new"), WRITER_TOKEN)
    assert [found[what].level for what in ("base", "token", "push")] == ["ok", "warning", "warning"]
    hub.faults = [Fault("status", path="/api/models/me/", status=503, times=None)]
    narrow = look(tmp_path, pushed("me/earlier"), NARROW)  # a token for just that repository, if it is there
    assert [narrow[what].level for what in ("token", "push")] == ["ok", "warning"]
    assert "enough" not in narrow["token"].detail
    hub.faults = []
    assert look(tmp_path, pushed("me/new"), WRITER_TOKEN)["token"].level == "ok"


def test_what_a_run_may_not_have_is_told_with_the_rest(tmp_path: Path, hub: LoopbackHub) -> None:
    rows = tmp_path / "thin.jsonl"
    rows.write_text("".join(json.dumps({"question": f"{n}?", "answer": n % 3 and f"{n}"}) + "\n" for n in range(30)))
    found = look(
        tmp_path,
        {
            "data": {"id": str(rows)},
            "model": {"dtype": "float16"},
            "eval": {"tasks": ["no.jsonl"], "metrics": ["exact"], "judges": ["hub:towns/judge"], "earlier": ["x"]},
            "train": {"report_to": ["wandb"], "device": "cuda", "max_minutes": 0.001},
        },
        FINE,
    )
    stops = {what for what, one in found.items() if one.level == "stop"}
    assert stops >= {"number format", "tasks", "metrics", "compared too", "trackers"}
    assert found["rows"].level == "warning" and "can be used" in found["rows"].detail
    judge = found["judge's token"]
    assert (judge.level, judge.fix[:12]) == ("warning", "set HF_TOKEN") and found["token"].level == "ok"
    assert "hub:towns/judge may not answer: the fine-grained token has no permission to ask" in judge.detail
    assert found["device"].level == "warning"


def test_each_judge_of_the_hub_is_looked_at_with_its_own_token(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = {"eval": {"tasks": [], "judges": ["hub:towns/judge", "http://127.0.0.1:9/v1#m"]}}
    found = look(tmp_path, judges)
    assert found["judge's token"].level == "warning" and "there is no token" in found["judge's token"].detail
    assert found["token"].level == "ok"
    monkeypatch.setenv("JUDGE_1_TOKEN", EXPIRED_TOKEN)
    assert "the Hub refuses the token" in look(tmp_path, judges, WRITER_TOKEN)["judge's token"].detail
    monkeypatch.setenv("JUDGE_1_TOKEN", WRITER_TOKEN)
    assert "judge's token" not in look(tmp_path, judges)


def test_a_model_that_does_not_go_on_with_a_text_is_a_stop(tmp_path: Path) -> None:
    for name, told, said in (
        ("t5", {"model_type": "t5", "is_encoder_decoder": True}, "it has an encoder and a decoder"),
        ("clip", {"model_type": "clip"}, "it is of the type clip"),
        ("bert", {"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "it fills gaps in a text"),
    ):
        folder = tmp_path / name
        shutil.copytree(ASSETS / "base", folder)
        (folder / "config.json").write_text(json.dumps(told))
        with pytest.raises(ModelError, match=said):
            check_model(parse_config({"model": {"id": str(folder)}}))
        assert said in model_here(name, folder).unfit


def test_a_start_raises_the_first_stop(hub: LoopbackHub, tmp_path: Path) -> None:
    for config, token, kind, said in (
        (GATED, WRITER_TOKEN, ModelError, "the model towns/gated is gated: ask for access at"),
        (pushed("me/work"), WRITER_TOKEN, HubError, "me/work is taken"),
        (pushed("me/new"), READER_TOKEN, HubError, "the token can only read"),
    ):
        with asking_with(token), pytest.raises(kind, match=said):
            check(parse_config({"eval": {"tasks": []}, **config}), tmp_path / "runs")
        assert not (tmp_path / "runs").exists()


def test_too_little_room_for_the_base_is_a_stop(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftspace.preflight.sizes._free", lambda path: 10_000_000)
    one = look(tmp_path, {"model": {"id": "towns/base"}})["disk"]
    assert one.level == "stop" and "the base of 7 MB is fetched" in one.detail and "ftspace runs gc" in one.fix
    (cached,) = (tmp_path / "cache" / "models--towns--base" / "snapshots").iterdir()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (cached / "model.safetensors.index.json").write_text(json.dumps(index))
    (cached / "model-00001-of-00002.safetensors").touch()
    assert "the base of 3 MB is fetched" in look(tmp_path, {"model": {"id": "towns/base"}})["disk"].detail, "half of it"


def test_it_says_how_often_a_reference_is_asked(hub: LoopbackHub, tmp_path: Path) -> None:
    asked = {"tasks": ["assets/tasks/known_facts.jsonl"], "reference": "https://api.example/v1#large", "max_samples": 7}
    said = look(tmp_path, {"eval": asked})["reference"].detail
    assert said.startswith("large at api.example is asked up to 7 questions") and "35 calls" in said


def test_the_command_prints_the_same_list_and_ends_with_2_for_a_stop(
    hub: LoopbackHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data-dir", str(tmp_path / "data")]
    assert main(["preflight", *where, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["level"] == "ok" and {"level", "what", "detail", "fix"} == set(told["checks"][0])
    assert main(["preflight", *where, "--model", "assets/tasks"]) == 2
    said = capsys.readouterr().out
    assert "stop" in said and "config.json is missing" in said and "rows" in said
    assert not (tmp_path / "data").exists()


def hub_job(flavor: str | None, **launch: Any) -> dict[str, Any]:
    return {"launch": {"launcher": "hf-jobs", "flavor": flavor, **launch}}


@pytest.mark.parametrize(
    ("config", "token", "what", "level", "said"),
    [
        (hub_job("a10g-small"), WRITER_TOKEN, "Hub job", "ok", "costs $1.00 an hour (the Hub's price now); it has"),
        (hub_job("a10g-small"), WRITER_TOKEN, "token", "ok", "it is enough to run a job of the Hub"),
        (hub_job("a10g-small"), WRITER_TOKEN, "memory", "ok", "and a10g-small has 23.0 GB"),
        (hub_job("a10g-small"), None, "token", "stop", "was found, and one is needed to run a job of the Hub"),
        (hub_job("a10g-small"), READER_TOKEN, "token", "stop", "the token can only read, and a job is run with one"),
        (hub_job("a10g-small"), FINE, "token", "stop", "the fine-grained token has no permission to run jobs"),
        (hub_job("a10gsmall"), WRITER_TOKEN, "Hub job", "stop", "the Hub has no a10gsmall; did you mean a10g-small"),
        (hub_job(None), WRITER_TOKEN, "Hub job", "stop", "a Hub job needs one, such as a10g-small"),
        (hub_job("t4-small", timeout_minutes=1), WRITER_TOKEN, "time and money", "warning", "raise launch.timeout"),
        (hub_job("t4-small"), WRITER_TOKEN, "time and money", "ok", "ends it after 30 minutes, which cost $0.20"),
        (hub_job("t4-small") | {"train": {"max_cost": 0.1}}, WRITER_TOKEN, "budget", "ok", "at 0.4 an hour"),
    ],
)  # fmt: skip
def test_a_job_of_the_hub_is_looked_at_before_it_costs(
    hub: LoopbackHub, tmp_path: Path, config: dict[str, Any], token: str | None, what: str, level: str, said: str
) -> None:
    found = look(tmp_path, config, token)
    assert found[what].level == level and said in str(found[what])
    assert "device" not in found, "this machine is not reckoned with"
