from pathlib import Path

import pytest

import evals.cli as cli

ROOT = Path(__file__).parents[2]


def test_the_document_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert printed == (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    undescribed = [line for line in printed.splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert undescribed == []
