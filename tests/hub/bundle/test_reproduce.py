"""The script of a push must train the same again, with no word of ftspace in it but in prose."""

import ast
from typing import Any

import pytest

from ftspace.config import parse_config
from ftspace.hub.bundle.origins import Origin, Origins
from ftspace.hub.bundle.reproduce import requirements_of, script_of
from ftspace.state import RunState

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
        ({"lora": {"start_from": "me/first"}}, "LoraConfig", "went on from the adapter me/first, not from zero"),
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
