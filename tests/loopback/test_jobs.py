"""The loopback Hub's jobs as the unmodified client meets them: what a job prints, how it ends, and what it has."""

import time
from collections.abc import Iterator

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from tests.loopback_hub import Fault, LoopbackHub, Token, User

PRINTS = "import os, sys; print(os.environ['GREETING'], 'HF_TOKEN' in os.environ); sys.exit(int(sys.argv[1]))"


@pytest.fixture
def api(hub: LoopbackHub) -> Iterator[HfApi]:
    yield HfApi()
    hub.jobs.close()


def begin(api: HfApi, *words: str, **given: object) -> str:
    asked = {"image": "python:3.12", "command": ["python", "-c", *words], "env": {"GREETING": "good morning"}}
    return api.run_job(**{**asked, "namespace": "me", **given}).id  # pyright: ignore[reportArgumentType]


def ended(api: HfApi, job: str) -> tuple[str, str | None]:
    end = time.monotonic() + 20
    while (status := api.inspect_job(job_id=job, namespace="me").status).stage in ("SCHEDULING", "RUNNING"):
        assert time.monotonic() < end
        time.sleep(0.05)
    return status.stage, status.message


@pytest.mark.parametrize(("code", "stage"), [("0", "COMPLETED"), ("3", "ERROR")])
def test_a_command_runs_for_real(api: HfApi, code: str, stage: str) -> None:
    job = begin(api, PRINTS, code, flavor="t4-small", secrets={"HF_TOKEN": "hf_x"})
    assert list(api.fetch_job_logs(job_id=job, namespace="me", follow=True)) == ["good morning True"]
    assert ended(api, job)[0] == stage
    assert begin(api, PRINTS, code) != job


def test_a_job_is_found_by_its_labels_and_ended_by_its_time_or_by_hand(api: HfApi, hub: LoopbackHub) -> None:
    sleeps = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    late, idle = begin(api, sleeps, timeout=1, labels={"run": "a"}), begin(api, sleeps, labels={"run": "b"})
    assert [one.id for one in api.list_jobs(labels={"run": "b"}, namespace="me")] == [idle]
    assert ended(api, late) == ("ERROR", "Job timeout")
    api.cancel_job(job_id=idle, namespace="me")
    assert ended(api, idle)[0] == "CANCELED"
    hub.jobs.lose(hub.jobs.newest())
    with pytest.raises(HfHubHTTPError, match="404"):
        api.inspect_job(job_id=idle, namespace="me")


def test_a_log_that_is_cut_off_is_told_again(api: HfApi, hub: LoopbackHub) -> None:
    hub.faults.append(Fault("short", "GET", r"/logs$", after=300))
    job = begin(api, "import time\nfor n in range(40): print('line', n, flush=True), time.sleep(0.05)")
    assert list(api.fetch_job_logs(job_id=job, namespace="me", follow=True)) == [f"line {n}" for n in range(40)]
    assert hub.faults[0].befell == 1


def test_who_may_not_or_cannot_pay_is_refused(api: HfApi, hub: LoopbackHub) -> None:
    hub.tokens["hf_oauth_narrow"] = Token("me", "oauth", scopes=("manage-repos",))
    with pytest.raises(HfHubHTTPError, match="403"):
        HfApi(token="hf_oauth_narrow").run_job(image="x", command=["true"], namespace="me")
    with pytest.raises(HfHubHTTPError, match="Invalid flavor: a1"):
        begin(api, PRINTS, "0", flavor="a1")
    hub.users["me"] = User(pays=False)
    with pytest.raises(HfHubHTTPError, match="402"):
        begin(api, PRINTS, "0")
    assert {one.name for one in api.list_jobs_hardware()} >= {"a10g-small", "cpu-basic"} and not hub.jobs.jobs
