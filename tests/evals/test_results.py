import json
import math
from pathlib import Path

import pytest

from evals.errors import LogError
from evals.results import Results, Row, read_results, write_results


def test_results_have_the_promised_keys(tmp_path: Path) -> None:
    row = Row(
        task="t",
        metric="m",
        base=0.5,
        base_stderr=math.nan,
        tuned=1,
        tuned_stderr=0,
        delta=0.5,
        ci_low=-math.inf,
        ci_high=math.inf,
        n=3,
        unscored=1,
        verdict="too few to tell",
    )
    path = tmp_path / "results.json"
    (tmp_path / ".results.json.killed").write_text("a writer's that was killed")
    write_results(path, Results(rows=(row,), verdict="words"))
    assert list(tmp_path.iterdir()) == [path]
    assert json.dumps(read_results(path).rows[0].model_dump()) == json.dumps(row.model_dump())
    data = json.loads(path.read_text())
    assert list(data)[:3] == ["rows", "verdict", "samples"]
    names = "task metric base base_stderr tuned tuned_stderr delta ci_low ci_high n unscored verdict"
    assert [name for name in data["rows"][0] if name in names.split()] == names.split()


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogError, match="can't be written"):
        write_results(tmp_path / "file" / "results.json", Results(rows=(), verdict=""))
    target = tmp_path / "folder"
    target.mkdir()
    (target / "kept").touch()
    with pytest.raises(LogError, match="can't be written"):
        write_results(target, Results(rows=(), verdict=""))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
