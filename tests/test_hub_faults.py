"""A slice of what the benchmark tries: pushes that meet every kind of fault, one at a time."""

from pathlib import Path

import pytest

from benchmarks.hub_faults import measure


def test_every_fault_ends_in_a_verified_push_or_a_named_error_with_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    found = measure(tmp_path, every=311, processes=0)
    assert found.unexplained == []
    assert found.verified and found.named and found.verified + found.named == found.faults >= 8
