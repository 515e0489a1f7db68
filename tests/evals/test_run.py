import os
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaForCausalLM

from evals.compare import compare_folder
from evals.errors import LogError, ModelError, Stopped, TaskError
from evals.executor import Executor
from evals.log import read_log, write_log
from evals.plan import Again, Earlier, Other, Plan, Prompted, Reference
from evals.run import ask_all, evaluate
from evals.tasks import Message, Task, parse_task
from evals.wording import headlines
from tests.evals.conftest import make_adapter, make_tokenizer
from tests.loopback_hub import serve
from tests.loopback_judge import LoopbackJudge

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
    assert [(row.task, row.metric, row.n, row.verdict) for row in headlines(first.rows, "gain")] == [
        ("people", "exact_match", 6, "too few to tell"),
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
    assert run().model_dump_json() == first.model_dump_json()
    assert {path: path.stat().st_mtime_ns for path in paths} == times
    paths[1].write_text("damaged")
    write_log(paths[2], logs[paths[2]].model_copy(update={"spec": logs[paths[2]].spec.model_copy(update={"seed": 9})}))
    assert run().model_dump_json() == first.model_dump_json()
    changed = {path for path in paths if path.stat().st_mtime_ns != times[path]}
    assert changed == {paths[1], paths[2]}
    assert run(limit=2).rows[0].n == 2

    chosen = run(metrics=["contains"], embedding_model=pair[0])
    assert [row.metric for row in chosen.rows if row.task == "people"][:3] == [
        "contains",
        "semantic_similarity",
        "reference_logprob",
    ]
    assert {path for path in paths if read_log(path).embedding} == set(paths[:2])
    paths[1].unlink()
    other = run(metrics=["bleu"])
    assert other.rows[0].metric == "bleu" and {row.n for row in other.rows if row.task == "people"} == {6}
    assert not any(one.kind == "scores missing" for one in other.findings)
    with pytest.raises(ModelError, match="tokenizer nowhere"):
        run(embedding_model="nowhere/near")


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
    with pytest.raises(TaskError, match="rename 'a/b'"):
        evaluate(Plan(base="nobody/none", adapter=None, tasks=tasks, others=[Earlier("a/b", "x")]), tmp_path)
    with pytest.raises(TaskError, match="no tasks"):
        evaluate(Plan(base="nobody/none", adapter=None, tasks=[]), tmp_path)


def example(name: str, answer: str = "Rome") -> tuple[Message, ...]:
    asked = Message(role="user", content=f"Where is {name} from?")
    return Message(role="system", content="be brief"), asked, Message(role="assistant", content=answer)


def test_all_sides_answer_the_same_samples_and_one_that_fails_loses_only_itself(
    pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path
) -> None:
    forgotten = tasks[0].model_copy(update={"name": "forgotten", "role": "forgetting"})
    base = LlamaForCausalLM.from_pretrained(pair[0])
    earlier = make_adapter(base, tmp_path / "earlier", make_tokenizer(), 5)
    unlike = make_adapter(base, tmp_path / "unlike", make_tokenizer(), 5, rows=False)
    others: list[Other] = [
        Again(),
        Prompted((example("Ben  1"), example("Zoe", "yes " * 200), example("Anna")), system="say no"),
        Earlier("checkpoint-4", earlier),
        Earlier("unlike", unlike),
        Earlier("gone", tmp_path / "gone"),
    ]
    with serve(LoopbackJudge()) as address:
        others.append(Reference(f"{address}/v1", "big"))
        plan = Plan(base=pair[0], adapter=pair[1], tasks=[*tasks, forgotten], others=others, max_new_tokens=5)
        results = evaluate(plan, tmp_path / "out")

    assert list(dict.fromkeys((row.role, row.task, row.side, row.against) for row in results.rows)) == [
        ("gain", "people", "tuned", "base"),
        ("gain", "facts", "tuned", "base"),
        ("forgetting", "forgotten", "tuned", "base"),
        ("prompting", "people", "tuned", "base-prompted"),
        *(("earlier", task, "tuned", "checkpoint-4") for task in ("people", "facts", "forgotten")),
        *(("reference", task, "tuned", "reference") for task in ("people", "forgotten")),
        *(("noise", task, "base-again", "base") for task in ("people", "facts", "forgotten")),
    ]
    assert all(row.n == (5 if row.task == "facts" else 6) for row in results.rows)
    said = [(one.kind, one.tone, one.task, one.message) for one in results.findings]
    unfit, gone, left, raw, choice = (one for one in said if one[0] in ("side not asked", "examples left out"))
    assert unfit[:2] == gone[:2] == ("side not asked", "warning")
    assert "unlike: asked no further than people" in unfit[3] and "trainable_token_indices" in unfit[3]
    assert "gone: " in gone[3] and "no such folder" in gone[3]
    assert left[:3] == ("examples left out", "note", "people") and "not all 2 examples fit" in left[3]
    assert left[3].endswith("before 6 of 6 questions of people; the fewest before one are 1")
    assert raw[1] == "note" and "base-prompted: not asked facts: its questions are texts" in raw[3]
    assert "reference: not asked facts: an endpoint writes answers" in choice[3]

    logs = {path.stem: read_log(path) for path in (tmp_path / "out" / "people").glob("*.json")}
    assert set(logs) == {"base", "tuned", "base-again", "base-prompted", "checkpoint-4", "reference"}
    again, prompted = logs["base-again"], logs["base-prompted"]
    assert again.spec == logs["base"].spec.model_copy(update={"batch_tokens": again.spec.batch_tokens})
    assert [one.output for one in again.samples] == [one.output for one in logs["base"].samples]
    longest = max(len(make_tokenizer().encode(one.prompt)) + 5 for one in again.samples)
    assert again.spec.batch_tokens < 3 * longest, "in no batch of six"
    assert prompted.spec == logs["base"].spec and prompted.asked_with
    prompt = prompted.samples[1].prompt
    assert prompt.startswith("<|im_start|>system\nsay no<|im_end|>") and "be brief" not in prompt
    assert "Where is Anna from?" in prompt and "Zoe" not in prompt and prompt.count("Ben 1") == 1
    assert prompt.endswith(logs["base"].samples[1].prompt)
    assert logs["reference"].model == "big" and logs["reference"].samples[1].output == "Where is Ben 1 from?"
    outputs = {which: [one.output for one in log.samples] for which, log in logs.items()}
    assert outputs["checkpoint-4"] not in (outputs["tuned"], outputs["base"])

    assert compare_folder(tmp_path / "out").model_dump_json() == results.model_dump_json()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*.json")}
    assert evaluate(plan, tmp_path / "out").model_dump_json() == results.model_dump_json()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*.json")} == times


def test_marks_of_a_task_reach_the_logs_that_lie_there(
    pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path
) -> None:
    plan = Plan(base=pair[0], adapter=pair[1], tasks=tasks[1:])
    assert evaluate(plan, tmp_path).rows[0].role == "gain"
    samples = tuple(one.model_copy(update={"overlap": n < 2}) for n, one in enumerate(tasks[1].samples))
    marked = tasks[1].model_copy(update={"role": "forgetting", "samples": samples})
    written = read_log(tmp_path / "facts" / "base.json").started
    rows = evaluate(Plan(base=pair[0], adapter=pair[1], tasks=[marked]), tmp_path).rows
    assert [(row.role, row.subset, row.n) for row in rows] == [("forgetting", "all", 5), ("forgetting", "clean", 3)]
    assert read_log(tmp_path / "facts" / "base.json").started == written


@pytest.mark.skipif(os.name == "nt", reason="POSIX paths")
def test_a_place_that_cannot_be_written_is_an_error(pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogError, match="can't be written"):
        evaluate(Plan(base=pair[0], adapter=pair[1], tasks=tasks[1:]), tmp_path / "file")


def test_a_base_is_asked_once_by_all_who_ask_it_the_same(
    pair: tuple[Path, Path], tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("generate", "loglikelihood"):
        asks: Any = getattr(Executor, name)

        def count(self: Executor, *given: Any, asks: Any = asks, **options: Any) -> Any:
            asked.append(next(one for one in (*given, options.get("which")) if one in ("base", "tuned")))
            return asks(self, *given, **options)

        monkeypatch.setattr(Executor, name, count)

    def run(out: str, **options: Any) -> int:
        asked.clear()
        plan = Plan(base=pair[0], adapter=pair[1], tasks=tasks, others=(Again(),), **options)
        ask_all(plan, tmp_path / out, shared=tmp_path / "shared")
        return sum(one == "base" for one in asked)

    first = run("first", max_new_tokens=5)
    alone = asked.count("tuned")
    assert run("second", max_new_tokens=5) <= first - 4 and asked.count("tuned") == alone  # two tasks, two sides
    for side in ("base", "base-again"):
        for task in ("people", "facts"):
            one, other = ((tmp_path / out / task / f"{side}.json").read_bytes() for out in ("first", "second"))
            assert one == other
    assert run("third", max_new_tokens=6) == first  # longer answers are other answers
    assert len(list((tmp_path / "shared").glob("*.json"))) == 8
