import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import parquet

from ftspace import cli
from ftspace.errors import JobError
from ftspace.exporting import (
    answers_of,
    export_of,
    forget_merged,
    has_merged,
    room_for_merged,
    tasks_of,
    why_not_merged,
    zipped,
)
from ftspace.runs import RunStore
from tests.finished_run import ROWS, SECRET, finished_run


def test_what_a_run_made_is_written_to_files(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finished_run(store)

    def take(what: str, name: str = "") -> Path:
        out = tmp_path / "out" / (name or what)
        words = [run.id, "--what", what, "--out", str(out), "--data-dir", str(store.runs_dir.parent)]
        assert cli.main(["export", *words]) == 0
        return out

    with zipfile.ZipFile(take("adapter")) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        weights = archive.read(f"adapter-{run.id}/adapter_model.safetensors")
    assert names == {
        "adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja",
    }  # fmt: skip
    assert weights == (run.adapter / "adapter_model.safetensors").read_bytes()
    assert yaml.safe_load(take("config").read_text()) == run.config.model_dump(mode="json")
    assert SECRET in take("report").read_text()
    table: Any = parquet.read_table(take("answers"))
    assert table.num_rows == 2 * ROWS and set(table["side"].to_pylist()) == {"base", "tuned"}
    first = table.slice(ROWS, 1).to_pylist()[0]
    assert first["answer"] == f"{SECRET} | <b>" and first["expected"] == [SECRET] and first["score.exact_match"] == 0
    words = ["export", run.id, "--what", "config", "--out", str(tmp_path / "out" / "config")]
    assert cli.main([*words, "--data-dir", str(store.runs_dir.parent)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_large_files_are_never_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspace.exporting.CHUNK", 1000)
    (tmp_path / "extra").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(range(250)) * 100)
    (tmp_path / "extra" / "b.txt").write_text("b")
    parts = list(zipped([tmp_path / "extra" / "b.txt", tmp_path / "a.bin"], tmp_path, "model"))
    assert len(parts) > 25 and max(map(len, parts)) < 2000
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as archive:
        assert archive.testzip() is None and archive.namelist() == ["model/extra/b.txt", "model/a.bin"]
        assert archive.read("model/a.bin") == (tmp_path / "a.bin").read_bytes()


def test_what_is_not_there_is_said(store: RunStore) -> None:
    run = finished_run(store)
    assert tasks_of(run) == ["heldout"] and answers_of(run, "heldout", "tuned")[1]["scores"]["exact_match"] == 1
    for task, side in (("../heldout", "base"), ("heldout", "../heldout/base"), ("heldout", "evaluation")):
        with pytest.raises(JobError):
            answers_of(run, task, side)
    with pytest.raises(JobError, match="make it first"):
        export_of(run, "merged")
    room = room_for_merged(run)
    assert room.needed and room.needed > 2000 and room.free > 0
    run.merged.mkdir(parents=True)
    (run.merged / "merge.json").write_text(json.dumps({"adapter": run.adapter_stamp}))
    assert has_merged(run) and export_of(run, "merged").name.startswith("merged-")
    weights = run.adapter / "adapter_model.safetensors"
    os.utime(weights, ns=(0, 1))
    assert not has_merged(run), "it was made of an earlier adapter"
    with pytest.raises(JobError, match="make it first"):
        export_of(run, "merged")
    forget_merged(run)
    forget_merged(run)
    assert not run.merged.exists()
    bare = store.create(run.config)
    for what in ("adapter", "answers"):
        with pytest.raises(JobError, match="yet"):
            export_of(bare, what)


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ({}, ""),
        ({"lora": {"method": "full"}}, "whole model already"),
        ({"lora": {"method": "prompt_tuning"}}, "nothing can be merged"),
        ({"model": {"trust_code": "0" * 40}}, "code of its own"),
    ],
)
def test_why_there_is_no_merged_model(store: RunStore, sections: dict[str, Any], why: str) -> None:
    run = finished_run(store, **sections)
    assert why in why_not_merged(run) and bool(why) == bool(why_not_merged(run))
