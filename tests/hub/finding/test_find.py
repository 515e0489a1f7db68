"""Hub ids over real HTTP: the unmodified client against a Hub on this machine, in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftspace.settings import ASSETS, ROOT
from tests.loopback_hub import READER_TOKEN, LoopbackHub, serve


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LoopbackHub, str]]:
    root = tmp_path_factory.mktemp("hub")
    shutil.copytree(ASSETS / "base", root / "models" / "towns" / "base")
    shutil.copytree(ASSETS / "base", root / "models" / "towns" / "gated")
    (root / "models" / "towns" / "gated" / ".gated").touch()
    loopback = LoopbackHub(root)
    loopback.store.repo("models", "towns", "gated").let_in("reader")
    with serve(loopback) as address:
        yield loopback, address


def run(address: str, tmp_path: Path, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "FTSPACE_DATA": str(tmp_path / "data")}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"} | ({"HF_TOKEN": token} if token else {})
    command = [sys.executable, "-m", "ftspace", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "towns/nobody"], "there is no model towns/nobody, neither here nor on the Hub"),
        (["--model", "towns/gated"], "the model towns/gated is gated: ask for access at"),
        (["--model", "towns/base", "--model.revision", "v9"], "the model towns/base has no revision v9"),
        (["--dataset", "towns/nothing"], "there is no dataset towns/nothing, neither here nor on the Hub"),
        (["--model", "towns/base", "--dataset", "towns/base"], "there is no dataset towns/base"),
    ],
)
def test_what_the_hub_refuses_is_said_at_once(
    hub: tuple[LoopbackHub, str], tmp_path: Path, words: list[str], said: str
) -> None:
    done = run(hub[1], tmp_path, "run", *words)
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr and "Retrying" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_hub_out_of_reach_is_said_at_once(tmp_path: Path) -> None:
    done = run("http://127.0.0.1:9", tmp_path, "run", "--model", "towns/base")
    assert done.returncode == 2
    assert "cannot be asked" in done.stderr and "hub.offline" in done.stderr


def test_doctor_says_who_is_logged_in(hub: tuple[LoopbackHub, str], tmp_path: Path) -> None:
    for token, said in ((READER_TOKEN, "logged in as reader"), ("hf_wrong", "refuses the token"), (None, "no token")):
        findings = json.loads(run(hub[1], tmp_path, "doctor", "--json", token=token).stdout)
        assert said in next(one["detail"] for one in findings if one["what"] == "Hub")


ASKED = """
from ftspace.errors import FtspaceError
from ftspace.hub.asker import asking_with
from ftspace.hub.finding.find import commit_of
from ftspace.sections import ModelConfig
from ftspace.ui.choose.models import tokenizer_for

for token in ("{reader}", None, "hf_ofNobody"):
    for look in (lambda: commit_of("model", "towns/gated"), lambda: tokenizer_for(ModelConfig(id="towns/gated"))):
        try:
            with asking_with(token):
                print(bool(look()))
        except FtspaceError as error:
            said = {{"is gated": "gated", "refuses the token": "refused"}}
            print(next((word for part, word in said.items() if part in str(error)), error))
"""


def test_each_visitor_reads_what_the_own_token_opens(hub: tuple[LoopbackHub, str], tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_ENDPOINT": hub[1], "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    code = ASKED.format(reader=READER_TOKEN)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "gated", "gated", "refused", "refused"]
