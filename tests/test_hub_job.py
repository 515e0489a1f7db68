"""From two ids on the Hub to an adapter on it that answers the same: by the command line, in processes of their own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfApi

from evals.log import EvalLog, read_log
from evals.results import read_results
from ftspace.data.prepare import Split, read_split
from ftspace.hub.push.pushing import push_state
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS, ROOT
from tests.hub.finding.test_find import run as run_command
from tests.loopback_hub import WRITER_TOKEN, LoopbackHub, serve

ROWS = 120
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
QUICK = {
    "train.max_steps": 8, "train.batch_size": 16, "train.learning_rate": 0.001, "train.samples": 0,
    "eval.max_samples": 12, "eval.max_new_tokens": 8,
}  # fmt: skip


@dataclass(frozen=True)
class HubJob:
    """One `ftspace run` on a gated base and a private dataset, which pushed what it made."""

    hub: LoopbackHub
    address: str
    folder: Path
    document: dict[str, Any]
    """What it printed on stdout."""

    @property
    def store(self) -> RunStore:
        return RunStore(self.folder / "data" / "runs")

    @property
    def run(self) -> Run:
        return self.store.get(self.document["run_id"])

    @property
    def there(self) -> Path:
        """The repository that it pushed to, as files."""
        return self.hub.root / "models" / "me" / "tuned"

    @property
    def tuned(self) -> EvalLog:
        return read_log(self.run.evals / "heldout" / "tuned.json")

    def say(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run_command(self.address, self.folder, *words, token=WRITER_TOKEN)

    def commits(self) -> int:
        return sum(one.status == 200 and "/me/tuned/commit/" in one.path for one in self.hub.requests)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubJob]:
    folder = tmp_path_factory.mktemp("hub-job")
    hub = LoopbackHub(folder / "hub")
    base, rows = hub.root / "models" / "me" / "base", hub.root / "datasets" / "me" / "rows"
    shutil.copytree(ASSETS / "base", base)
    (base / ".gated").touch()
    rows.mkdir(parents=True)
    (rows / ".private").touch()
    with (ASSETS / "datasets" / "people.jsonl").open() as lines:
        (rows / "train.jsonl").write_text("".join(next(lines) for _ in range(ROWS)))
    with serve(hub) as address:
        words = ["--model", "me/base", "--dataset", "me/rows", "--hub.push", "me/tuned", "--json"]
        words += [word for name, value in QUICK.items() for word in (f"--{name}", str(value))]
        done = run_command(address, folder, "run", *words, token=WRITER_TOKEN)
        assert done.returncode == 0, done.stderr
        move_on(address)
        yield HubJob(hub, address, folder, json.loads(done.stdout))


def move_on(address: str) -> None:
    """Makes the base's newest commit another one than was tuned: answers may have one token."""
    said = json.dumps({"max_new_tokens": 1, "forced_eos_token_id": 0}).encode()
    HfApi(address, token=WRITER_TOKEN).upload_file(path_or_fileobj=said, path_in_repo="config.json", repo_id="me/base")


def test_two_ids_become_a_verified_adapter(job: HubJob) -> None:
    pushed = job.document["push"]
    record = push_state(job.run).verified
    assert record is not None and record.new and record.private
    assert (pushed["status"], pushed["commit"]) == ("verified", record.commit)
    assert pushed["url"] == f"{job.address}/me/tuned"
    assert job.commits() == 1
    assert {row["task"] for row in job.document["rows"]} == {"heldout"}
    trained = job.hub.store.repo("models", "me", "base").head.parent
    assert job.tuned.spec.base_revision == trained != record.commit
    assert json.loads((job.run.adapter / "adapter_config.json").read_text())["revision"] == trained
    assert len(json.loads((job.run.data / "manifest.json").read_text())["revision"]) == 40


def test_the_cards_own_code_answers_as_the_run_did_where_there_is_no_ftspace(job: HubJob, tmp_path: Path) -> None:
    asked = [row[0]["content"] for row in read_split(job.run.data, "test")]
    base = read_log(job.run.evals / "heldout" / "base.json")
    one = next(sample for sample in job.tuned.samples if asked[0] in sample.prompt)
    assert one.output not in {sample.output for sample in base.samples}, "tuning must have changed the answer"
    code = re.search(r"```python\n(.*?)```", (job.there / "README.md").read_text(), re.DOTALL)
    assert code is not None and '"..."' in code[1] and "max_new_tokens=64" in code[1]
    script = code[1].replace('"..."', json.dumps(asked[0])).replace("max_new_tokens=64", "max_new_tokens=8")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHONPATH"))}
    env |= {"HF_ENDPOINT": job.address, "HF_TOKEN": WRITER_TOKEN, "HF_HOME": str(tmp_path / "hf")}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{one.output}\n"


def test_pushed_again_it_makes_no_commit(job: HubJob) -> None:
    before = job.commits()
    done = job.say("push", job.run.id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["commit"] == job.document["push"]["commit"]
    assert "no commit was made" in done.stderr and job.commits() == before


def test_imported_it_is_a_run_with_the_same_results(job: HubJob) -> None:
    done = job.say("import", "me/tuned", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["status"], told["ours"]) == ("finished", True)
    assert told["missing"] == ["which rows it learnt is not told, so heldout may ask some of them"]  # they are private
    back = job.store.get(told["run_id"])
    first, again = read_results(job.run.results), read_results(back.results)
    assert again.verdict == first.verdict
    assert [row.model_dump_json() for row in again.rows] == [row.model_dump_json() for row in first.rows]
    weights = "adapter_model.safetensors"
    assert (back.adapter / weights).read_bytes() == (job.run.adapter / weights).read_bytes()


def test_no_token_place_of_this_machine_or_private_row_is_in_what_is_pushed(job: HubJob) -> None:
    files = {name: (job.there / name).read_bytes() for name in job.document["push"]["files"]}
    unpacked = json.dumps(pq.read_table(job.there / "samples.parquet").to_pylist(), ensure_ascii=False)
    files["samples.parquet, unpacked"] = unpacked.encode()
    assert len(files) == 15 and b"exact_match" in files["samples.parquet, unpacked"]
    rows = [row[0]["content"] for split in SPLITS for row in read_split(job.run.data, split)]
    answers = [sample.output for sample in job.tuned.samples]
    words = {WRITER_TOKEN, str(job.folder), str(ROOT), *rows, *answers}
    assert len(words) > ROWS
    assert {(name, word) for name, content in files.items() for word in words if word.encode() in content} == set()
    kept = [path for path in job.run.path.rglob("*") if path.is_file() and WRITER_TOKEN.encode() in path.read_bytes()]
    assert kept == [], "a token is never written"
