import math
from pathlib import Path

import pandas as pd
import pytest

from evals.cli import main
from evals.export import COLUMNS
from evals.log import EvalLog, EvalSpec, Sample, write_log


def write(folder: Path, side: str, scores: dict[str, float]) -> None:
    spec = EvalSpec(
        base="b", task="people", task_hash="h", kind="generation", n=1, dtype="float32", device="cpu",
        tokenizer_hash="t", max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={},
    )  # fmt: skip
    sample = Sample(id="0", prompt="Who?", expected=("a", "b"), output="ü\n", finish="end", scores=scores, overlap=True)
    write_log(
        folder / "people" / f"{side}.json", EvalLog(spec=spec, which=side, started="", seconds=1, samples=(sample,))
    )


def test_all_logs_become_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "base", {"exact_match": 0.0})
    write(tmp_path, "tuned", {"exact_match": math.nan, "rouge_l": 0.5})
    file = tmp_path / "out" / "samples.parquet"
    assert main(["export", str(tmp_path), "--out", str(file)]) == 0
    assert "2 rows" in capsys.readouterr().out
    table = pd.read_parquet(file)
    assert list(table) == [*COLUMNS, "score.exact_match", "score.rouge_l"]
    assert table["side"].tolist() == ["base", "tuned"] and table["output"].tolist() == ["ü\n"] * 2
    assert list(table["expected"][0]) == ["a", "b"]
    assert table["overlap"].tolist() == [True, True]
    assert table["score.exact_match"].isna().tolist() == [False, True]
    assert table["score.rouge_l"].isna().tolist() == [True, False]
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "samples.csv")]) == 0
    rows = pd.read_csv(tmp_path / "samples.csv")
    assert list(rows) == list(table) and rows["expected"].tolist() == ['["a", "b"]'] * 2
    assert rows["output"].tolist() == ["ü\n"] * 2 and rows["score.rouge_l"].isna().tolist() == [True, False]


def test_a_folder_without_logs_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "none"), "--out", str(tmp_path / "x.parquet")]) == 2
    assert "there are no logs" in capsys.readouterr().err
    write(tmp_path, "base", {})
    (tmp_path / "file").write_text("in the way")
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "file" / "x.parquet")]) == 2
    assert "can't be written" in capsys.readouterr().err
