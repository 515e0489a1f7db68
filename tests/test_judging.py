"""The judges of a run's config are asked about the answers in its folder; without them the results stay."""

from pathlib import Path

import pytest

from evals.compare import compare_folder
from evals.judge.report import with_judges
from evals.log import EvalLog, EvalSpec, Sample, write_log
from ftspace.config import parse_config
from ftspace.judging import judged
from ftspace.runs import Run, RunStore
from tests.loopback_hub import serve
from tests.loopback_judge import LoopbackJudge, honest

ASKED = 3


def answered(folder: Path, judge: str) -> Run:
    run = RunStore(folder / "runs").create(parse_config({"eval": {"judges": [judge], "judge_price": 2.0}}))
    spec = EvalSpec(
        base="b", task="t", task_hash="h", kind="generation", n=ASKED, dtype="float32", device="cpu",
        tokenizer_hash="h", max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={},
    )  # fmt: skip
    for side, words in (("base", "bad"), ("tuned", "good")):
        samples = tuple(
            Sample(
                id=str(i), prompt=f"What is {i}?", expected=("good",), output=f"{words} {i}", scores={"exact_match": 0}
            )
            for i in range(ASKED)
        )
        log = EvalLog(spec=spec, which=side, started="2026-11-22T00:00:00Z", seconds=1.0, samples=samples)
        write_log(run.evals / "t" / f"{side}.json", log)
    return run


def test_a_judges_preference_becomes_rows_and_its_cost_is_told(tmp_path: Path) -> None:
    with serve(LoopbackJudge(honest)) as address:
        run = answered(tmp_path, f"{address}/v1#m")
        told: list[tuple[str, int, int]] = []
        report = judged(run, lambda *one: told.append(one), lambda: False, pytest.fail)
    assert report is not None
    found = with_judges(run.evals, compare_folder(run.evals, report.pairs), report)
    (summary,) = found.judges
    assert (summary.n, summary.calls) == (ASKED, 2 * ASKED)
    assert [row.role for row in found.rows if row.metric.startswith("preferred by")] == ["judge"]
    assert told[-1][1:] == (2 * ASKED, 2 * ASKED)


def test_judges_that_cannot_be_asked_are_told_of(tmp_path: Path) -> None:
    run = answered(tmp_path, "hub:model")  # which names nobody
    said: list[str] = []
    assert judged(run, lambda *_: None, lambda: False, said.append) is None
    assert said[0].startswith("the judges were not asked: ")
