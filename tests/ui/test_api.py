"""The named calls from outside: gradio's own client against the app as a process, behind a password."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from ftspace.runs import RunStore
from ftspace.ui.web import NAMED
from tests.finished_run import ROWS, SECRET, finished_run
from tests.test_app_access import await_answer, running

PASSWORD = "a long password"
QUICK = """
train: {max_steps: 2, samples: 0}
eval: {tasks: [], forgetting: []}
hub: {offline: true}
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, RunStore]]:
    folder = tmp_path_factory.mktemp("api")
    with running(folder / "data", folder / "log", FTSPACE_PASSWORD=PASSWORD) as url, httpx2.Client() as http:
        await_answer(http, url, folder / "log")
        yield url, RunStore(folder / "data" / "runs")


def client_of(url: str, password: str = PASSWORD) -> Client:
    return Client(url, auth=("ftspace", password), verbose=False, analytics_enabled=False, download_files=False)


def test_a_script_drives_a_run(address: tuple[str, RunStore]) -> None:
    url, store = address
    client = client_of(url)
    try:
        drive(client, store)
    finally:
        client.close()


def drive(client: Client, store: RunStore) -> None:
    def call(name: str, *given: Any) -> Any:
        return client.predict(*given, api_name=f"/{name}")

    run = call("start", QUICK)
    config = call("config", run)
    assert (config["train"]["max_steps"], config["data"]["id"]) == (2, "assets/datasets/people.jsonl")
    config["train"]["max_steps"] = 3
    second = call("start", config)
    assert call("status", second)["place"] == 1
    assert call("stop", second)["status"] == "cancelled"
    assert [one["run"] for one in call("runs")] == [second, run]
    until = time.monotonic() + 120
    while (told := call("status", run))["status"] in ("queued", "running"):
        assert time.monotonic() < until, told
        time.sleep(0.2)
    assert (told["status"], told["step"], told["total_steps"], told["push"]) == ("finished", 2, 2, None), told

    other = finished_run(store).id
    assert call("results", other)["rows"][0]["verdict"] == "better"
    answers = call("answers", other, "heldout", "base")
    assert len(answers) == ROWS and SECRET in answers[0]["question"] and answers[0]["scores"]["exact_match"] == 1
    for name, given, said in (
        ("status", ("20260101-000000-000000000000",), "there is no such run"),
        ("status", (5,), "run: this must be a text"),
        ("start", ({"model": {"idd": 1}},), "config: unknown field model.idd"),
        ("start", ("a: [",), "config: this is not YAML"),
        ("start", ("nothing",), "config: give sections"),
        ("results", (second,), "no results yet"),
        ("answers", (other, "../../x"), "no task '../../x'"),
        ("answers", (other, "heldout", "../../heldout/base"), "nobody called"),
        ("ask", (second, "Who?"), "no adapter yet"),
        ("ask", (other, " "), "the question is empty"),
        ("ask", (other, "Who?", "judge"), "neither base nor tuned"),
        ("stop", (other,), "not at work"),
        ("resume", (other,), "nothing"),
        ("push", (other, "nowhere"), "owner/name"),
    ):
        with pytest.raises(AppError) as caught:
            call(name, *given)
        assert said in str(caught.value) and "\n" not in str(caught.value), (name, given)


def test_only_what_is_named_is_there_and_only_behind_the_password(address: tuple[str, RunStore]) -> None:
    url, _ = address
    client = client_of(url)
    known: Any = client.view_api(print_info=False, return_format="dict")
    assert set(known["named_endpoints"]) == {f"/{name}" for name in NAMED} and not known["unnamed_endpoints"]
    client.close()
    with pytest.raises(ValueError, match="login"):
        client_of(url, "another one")
    with httpx2.Client(trust_env=False) as http:
        for name, status in (("runs", 401), ("start", 401), ("look", 404), ("predict", 404), ("runs/../x", 404)):
            assert http.post(f"{url}/gradio_api/call/{name}", json={"data": []}).status_code == status, name
        assert http.get(f"{url}/gradio_api/call/runs/{'0' * 32}").status_code == 401
