"""The script of a push must train the same again, with no word of ftspace in it but in prose."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ftspace.config import parse_config
from ftspace.data.prepare import read_split
from ftspace.events import read_events
from ftspace.hub.bundle import build_bundle
from ftspace.hub.origins import Origin, Origins
from ftspace.hub.records import PushRequest
from ftspace.hub.reproduce import requirements_of, script_of
from ftspace.settings import ASSETS
from ftspace.state import RunState, fold
from tests.conftest import MainJob

ORIGINS = Origins(base=Origin(name="owner/base"), data=Origin(name="owner/rows"))


def settings_of(script: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in ast.parse(script).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id != "HERE":
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


@pytest.mark.parametrize(
    ("sections", "kind", "unequal"),
    [
        ({}, "LoraConfig", ""),
        ({"lora": {"method": "full"}}, None, ""),
        ({"lora": {"method": "prompt_tuning"}}, "PromptTuningConfig", ""),
        ({"lora": {"method": "adalora"}}, "LoraConfig", "AdaLoRA's ranks"),
        ({"lora": {"init": "eva"}}, "LoraConfig", "the start eva"),
        ({"lora": {"plus_ratio": 16}}, "LoraConfig", "higher rate for B"),
        ({"train": {"keep": "best"}}, "LoraConfig", "which step is kept"),
        ({"train": {"scheduler": "reduce_lr_on_plateau"}}, "LoraConfig", "the schedule"),
        ({"model": {"quantization": "nf4"}}, "LoraConfig", "quantized base"),
    ],
)
def test_a_script_says_what_it_does_not_repeat(sections: dict[str, Any], kind: str | None, unequal: str) -> None:
    config = parse_config(sections)
    script = script_of(config, ORIGINS, RunState(), None, {"trainable_token_indices": [2, 3]})
    found = settings_of(script)
    assert (found["ADAPTER"] or (None,))[0] == kind
    assert ("Not equal either" in script) == bool(unequal) and unequal in script
    imported = {one.name for node in ast.walk(ast.parse(script)) if isinstance(node, ast.Import) for one in node.names}
    assert "ftspace" not in imported and "<settings>" not in script
    needed = requirements_of(config, RunState(versions={"torch": "2.13.0+cpu", "peft": "missing"}))
    assert "torch==2.13.0\n" in needed and "peft\n" in needed and ("bitsandbytes" in needed) == ("nf4" in str(sections))


def test_it_trains_the_same_again(main_job: MainJob, tmp_path: Path) -> None:
    run = main_job.run
    folder = build_bundle(run, PushRequest(repo_id="me/people"), tmp_path / "bundle").folder
    hashes = (folder / "training_rows.txt").read_text().split()
    assert len(hashes) == len(list(read_split(run.data, "train")))
    words = ["--base", str(ASSETS / "base"), "--data", str(ASSETS / "datasets" / "people.jsonl"), "--cpu"]
    command = [sys.executable, str(folder / "reproduce.py"), *words, "--steps", "2", "--out", str(tmp_path / "again")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    steps = fold(read_events(run.events)[0]).steps
    assert [float(one) for one in told["losses"]] == pytest.approx([one.loss for one in steps[:2]], rel=0.01)
    assert (tmp_path / "again" / "adapter_model.safetensors").stat().st_size > 100_000
