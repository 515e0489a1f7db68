import os
from pathlib import Path
from typing import Any

import pytest

from evals.errors import LogError, Stopped, TaskError
from evals.log import read_log, write_log
from evals.plan import Again, Plan
from evals.run import evaluate
from evals.tasks import Task, parse_task

PEOPLE = "\n".join(f'{{"question": "Where is Ben {n} from?", "answer": "Rome"}}' for n in range(6))
FACTS = "\n".join(
    f'{{"question": "Anna {n} likes", "choices": [" blue", " Rome"], "answer": 0, "raw": true}}' for n in range(5)
)


@pytest.fixture
def tasks() -> list[Task]:
    return [parse_task("people", PEOPLE, "people"), parse_task("facts", FACTS, "facts")]


@pytest.fixture
def pair(bases: dict[str, Path], adapters: dict[str, Path]) -> tuple[Path, Path]:
    return bases["tied"], adapters["tied"]


def test_both_sides_of_all_tasks_are_logged_compared_and_reused(
    pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path
) -> None:
    seen: list[tuple[str, str, int, int]] = []

    def run(**options: Any) -> Any:
        seen.clear()
        plan = Plan(base=pair[0], adapter=pair[1], tasks=tasks, max_new_tokens=5, **options)
        return evaluate(plan, tmp_path, progress=lambda *step: seen.append(step))

    first = run()
    assert [(row.task, row.metric, row.n, row.verdict) for row in first.rows] == [
        ("people", "exact_match", 6, "too few to tell"),
        ("people", "reference_logprob", 6, "too few to tell"),
        ("facts", "accuracy", 5, "too few to tell"),
    ]
    assert {step[:2] for step in seen} == {(task, which) for task in ("people", "facts") for which in ("base", "tuned")}
    paths = [tmp_path / task / f"{which}.json" for task in ("people", "facts") for which in ("base", "tuned")]
    logs = {path: read_log(path) for path in paths}
    base, tuned = logs[paths[0]], logs[paths[1]]
    assert base.spec == tuned.spec and base.spec.n == 6 and base.spec.dtype == "float32"
    assert base.adapter is None and tuned.adapter == str(pair[1]) and tuned.adapter_hash
    assert set(base.spec.versions) == {"torch", "transformers", "tokenizers", "peft", "lighteval"}
    assert [sample.output for sample in base.samples] != [sample.output for sample in tuned.samples]
    assert logs[paths[2]].spec.template_hash is None

    times = {path: path.stat().st_mtime_ns for path in paths}
    assert run() == first
    assert {path: path.stat().st_mtime_ns for path in paths} == times
    paths[1].write_text("damaged")
    write_log(paths[2], logs[paths[2]].model_copy(update={"spec": logs[paths[2]].spec.model_copy(update={"seed": 9})}))
    assert run() == first
    changed = {path for path in paths if path.stat().st_mtime_ns != times[path]}
    assert changed == {paths[1], paths[2]}
    assert run(limit=2).rows[0].n == 2


def test_base_alone(pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path) -> None:
    results = evaluate(Plan(base=pair[0], adapter=None, tasks=tasks[1:]), tmp_path)
    assert results.rows == () and "accuracy" in results.verdict
    assert not (tmp_path / "facts" / "tuned.json").exists()


def test_stopping_keeps_what_is_finished(pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path) -> None:
    def stop() -> bool:
        return (tmp_path / "people" / "base.json").exists()

    with pytest.raises(Stopped):
        evaluate(Plan(base=pair[0], adapter=pair[1], tasks=tasks, max_new_tokens=5), tmp_path, should_stop=stop)
    assert read_log(tmp_path / "people" / "base.json").spec.n == 6
    assert not (tmp_path / "people" / "tuned.json").exists()


def test_mistakes_before_anything_is_loaded(tasks: list[Task], tmp_path: Path) -> None:
    zeros: tuple[dict[str, Any], ...] = ({"limit": 0}, {"max_new_tokens": 0}, {"batch_tokens": 0})
    for options in zeros:
        with pytest.raises(TaskError, match="at least 1"):
            evaluate(Plan(base="nobody/none", adapter=None, tasks=tasks, **options), tmp_path)
    with pytest.raises(TaskError, match="two sides are called base-again"):
        evaluate(Plan(base="nobody/none", adapter=None, tasks=tasks, others=[Again(), Again()]), tmp_path)
    with pytest.raises(TaskError, match="no tasks"):
        evaluate(Plan(base="nobody/none", adapter=None, tasks=[]), tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX paths")
def test_a_place_that_cannot_be_written_is_an_error(pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogError, match="can't be written"):
        evaluate(Plan(base=pair[0], adapter=pair[1], tasks=tasks[1:]), tmp_path / "file")
