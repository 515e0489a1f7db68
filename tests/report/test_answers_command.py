import json
from pathlib import Path

import pandas as pd
import pytest

from ftspace.cli import main
from ftspace.runs import RunStore
from tests.report.made import TASK, made


def test_the_command_shows_what_the_page_shows(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made(store, [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], text="a \x1b[31mred")
    words = ["runs", "answers", run.id, "--data-dir", str(store.runs_dir.parent)]
    assert main([*words, "--show", "right-to-wrong,differ"]) == 0
    said = capsys.readouterr()
    assert "sample 0: right to wrong" in said.out and "tuned 0" in said.out and "tuned 1" not in said.out
    assert "1 of 1 questions like that, of 3" in said.err and "\x1b" not in said.out
    assert main([*words, "--json", "--task", TASK, "--count", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["id"], one["change"]) for one in found] == [("0", "right to wrong"), ("2", "both right")]
    for odd, why in ((["--show", "wrong"], "--show wrong: give one of"), (["--task", "x"], "asked towns")):
        assert main([*words, *odd]) == 2 and why in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "all.csv")]) == 0 and len(pd.read_csv(tmp_path / "all.csv")) == 6
    run.results.unlink()
    assert main(words) == 2 and "runs evaluate" in capsys.readouterr().err
