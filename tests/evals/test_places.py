"""Where models lie, and at which commit they are read."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import evals.places as places


def test_fingerprint_tells_weights_apart(tmp_path: Path, bases: dict[str, Path]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bases["tied"], copy)
    assert places.fingerprint(copy) == places.fingerprint(bases["tied"])
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert places.fingerprint(copy) != places.fingerprint(bases["tied"])
    assert places.fingerprint("owner/name") is None


@pytest.mark.parametrize(
    ("told", "given", "read"),
    [
        ({"base_model_name_or_path": "they/base", "revision": "a" * 40}, None, "a" * 40),
        ({"base_model_name_or_path": "they/base", "revision": "a" * 40}, "v2", "v2"),
        ({"base_model_name_or_path": "they/other", "revision": "a" * 40}, None, None),
        ({"base_model_name_or_path": "they/base", "revision": "main"}, None, None),
        ({"base_model_name_or_path": "they/base", "revision": None}, None, None),
        ([], None, None),
    ],
)
def test_a_base_is_read_at_the_commit_that_the_adapter_names(
    told: Any, given: str | None, read: str | None, tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(told))
    assert places.read_at("they/base", tmp_path, given) == read
