import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from evals.cli import main
from evals.compare import compare
from evals.errors import LogError
from evals.importing import import_log
from evals.log import EvalLog

DATE = "2026-11-22T05-21-55.413104"


def lighteval(folder: Path, side: str, scores: list[Any], query: str = "Which?") -> Path:
    """A details file as LightEval 0.13 writes it, of what matters here; rows come shuffled."""
    rows = [
        {
            "doc": {"query": f"{query} {n}", "choices": [" a", " b"], "gold_index": 1, "id": str(n)},
            "metric": {"acc": score},
            "model_response": {
                "input": f"<user>{query} {n}",
                "text": [],
                "text_post_processed": [],
                "logprobs": [-1.0, -0.5],
            },
        }
        for n, score in reversed(list(enumerate(scores)))
    ]
    path = folder / side / DATE / f"details_arc:easy|2_{DATE}.parquet"
    path.parent.mkdir(parents=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def lm_eval(folder: Path, side: str, scores: list[Any]) -> Path:
    """A samples file as lm-eval 0.4 writes it: one line for each way of reading an answer."""
    lines = [
        {
            "doc_id": n,
            "doc": {"question": f"How many {n}?"},
            "target": str(n),
            "arguments": {"gen_args_0": {"arg_0": f"Q: How many {n}?\nA:", "arg_1": {"until": ["\n"]}}},
            "resps": [[f" {n}."]],
            "filtered_resps": [f"{n}"],
            "filter": way,
            "metrics": ["exact_match"],
            "doc_hash": f"d{n}",
            "prompt_hash": f"p{n}",
            "target_hash": f"t{n}",
            "exact_match": score,
        }
        for way in ("strict", "flexible")
        for n, score in enumerate(scores)
    ]
    path = folder / side / f"samples_gsm8k_{DATE}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_two_evaluations_of_lighteval_get_a_paired_test(tmp_path: Path) -> None:
    base = import_log(lighteval(tmp_path, "the/base".replace("/", "--"), [0] * 30 + [1] * 10))
    tuned = import_log(lighteval(tmp_path, "tuned", [1] * 40), "tuned")
    assert [sample.id for sample in base.samples] == [str(n) for n in range(40)]
    first = base.samples[0]
    assert (first.expected, first.output, first.prompt) == ((" b",), " b", "<user>Which? 0")
    assert (base.model, base.spec.task, base.spec.few_shot, base.spec.kind) == ("the--base", "arc_easy", 2, "choice")
    (row,) = compare([base], [tuned]).rows
    assert (row.metric, row.base, row.tuned, row.n, row.verdict) == ("acc", 0.25, 1.0, 40, "better")


def test_two_evaluations_of_lm_eval_keep_each_way_of_reading(tmp_path: Path) -> None:
    base = import_log(lm_eval(tmp_path, "base", [0.0, 1.0, math.nan]))
    tuned = import_log(lm_eval(tmp_path, "tuned", [True, True, 1]), "tuned")
    rows = compare([base], [tuned]).rows
    assert [(row.metric, row.base, row.tuned, row.n, row.unscored) for row in rows] == [
        ("exact_match,strict", 0.5, 1.0, 2, 1),
        ("exact_match,flexible", 0.5, 1.0, 2, 1),
    ]
    assert base.samples[2].prompt == "Q: How many 2?\nA:" and base.samples[2].output == "2"


def test_no_verdict_is_said_of_a_metric_that_may_be_good_when_low(tmp_path: Path) -> None:
    sides: list[EvalLog] = []
    for side, score in (("base", 2.0), ("tuned", 5.0)):
        path = lm_eval(tmp_path, side, [score] * 40)
        path.write_text(path.read_text().replace("exact_match", "perplexity").replace('"flexible"', '"strict"'))
        sides.append(import_log(path, side))
    (row,) = compare([sides[0]], [sides[1]]).rows
    assert (row.metric, row.n, row.better) == ("perplexity,strict (either way)", 40, "neither")
    assert row.verdict not in ("better", "worse")


def test_unlike_evaluations_are_not_compared(tmp_path: Path) -> None:
    logs = [import_log(lighteval(tmp_path, side, [0, 1], query)) for side, query in (("a", "Which?"), ("b", "Who?"))]
    with pytest.raises(LogError, match="task_hash"):
        compare([logs[0]], [logs[1]])


def test_the_command_writes_logs_that_compare_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side, scores in (("base", [0] * 40), ("tuned", [1] * 40)):
        path = lm_eval(tmp_path / "theirs", side, scores)
        assert main(["import", str(path), "--side", side, "--out", str(tmp_path / "ours")]) == 0
    written = capsys.readouterr().out.split()
    assert written == [str(tmp_path / "ours" / "gsm8k" / f"{side}.json") for side in ("base", "tuned")]
    assert main(["compare", *written, "--format", "csv"]) == 0
    assert capsys.readouterr().out.count("better") >= 2
    assert main(["import", str(path), "--side", "../x", "--out", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("results.json", b"{}", "neither LightEval's"),
        (f"details_x|0_{DATE}.parquet", b"nothing", "can't be read"),
        (f"samples_x_{DATE}.jsonl", b"[1]\n", "line 1 is no sample"),
        (f"samples_x_{DATE}.jsonl", b"{", "can't be read"),
        (f"samples_x_{DATE}.jsonl", b"", "no sample has a score"),
        (f"samples_x_{DATE}.jsonl", b'{"doc_id": 1}\n', "can't be read"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LogError, match=why) as caught:
        import_log(tmp_path / name)
    assert "\n" not in str(caught.value)
    with pytest.raises(LogError, match="no such file"):
        import_log(tmp_path / "missing.parquet")
