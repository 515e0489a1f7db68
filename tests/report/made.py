"""A run's folder as a finished run leaves it, made in a moment: some answers got better and some got worse."""

import json
from collections.abc import Sequence

from evals.compare import compare
from evals.log import EvalLog, EvalSpec, Sample, write_log
from evals.results import write_results
from ftspace.access import Access
from ftspace.config import default_config, merge, parse_config
from ftspace.data.prepare import Manifest
from ftspace.events import EventLog, Finished, Prepared, Started, Step, Validation
from ftspace.runs import Run, RunStore

TASK = "towns"


def log(which: str, scores: Sequence[float], text: str, *, task: str = TASK) -> EvalLog:
    """A side's answers, each worth what is given."""
    spec = EvalSpec(
        base="b", task=task, task_hash="t", kind="generation", n=len(scores), dtype="float32", device="cpu",
        tokenizer_hash="h", max_new_tokens=8, end_ids=(0,), batch_tokens=64, seed=0, versions={"torch": "2.13.0"},
    )  # fmt: skip
    samples = tuple(
        Sample(
            id=str(place), prompt=f"<|user|>\n{text} asked {place}<|end|>\n", expected=(f"{text} right",),
            output=f"{text} {which} {place}", scores={"exact_match": score}, item_hash=f"{place:016x}",
        )
        for place, score in enumerate(scores)
    )  # fmt: skip
    return EvalLog(spec=spec, which=which, started="2026-01-01T00:00:00Z", seconds=1.0, samples=samples)


def made(
    store: RunStore, base: Sequence[float], tuned: Sequence[float], text: str = "text", access: Access | None = None
) -> Run:
    """A finished run whose comparison is that of these scores; every text in it begins with `text`."""
    told = {
        "model": {"id": "/home/somebody/models/base"},
        "data": {"id": "/home/somebody/rows.jsonl", "system": f"{text} system"},
        "eval": {"tasks": ["heldout"], "forgetting": []},
    }
    run = store.create(parse_config(merge(default_config().model_dump(), told)), access or Access())
    events = EventLog(run.events)
    events.append(Started(job="train", pid=1, versions={"trl": "1.16.0"}))
    events.append(
        Prepared(
            rows={"train": 90, "validation": 5, "test": 5}, format="messages", total_steps=40, parameters=3_000_000,
            trainable_parameters=30_000, device="cpu", dtype="bfloat16", recipe={"learning_rate": 0.0002},
        )
    )  # fmt: skip
    for step in range(1, 41):
        events.append(Step(step=step, epoch=0.1, loss=3 / step, learning_rate=2e-4, tokens=10 * step, seconds=step))
    events.append(Validation(step=0, loss=3.0))
    events.append(Validation(step=40, loss=0.5))
    for job in ("train", "evaluate"):
        events.append(Finished(job=job, status="finished", seconds=40))
    events.close()
    run.data.mkdir()
    manifest = Manifest(
        format="messages", read=101, rows={"train": 90, "validation": 5, "test": 5}, dropped={f"{text} reason": 1},
        revision=None, content_hash="ab" * 32,
    )  # fmt: skip
    (run.data / "manifest.json").write_text(json.dumps(manifest.model_dump(mode="json")))
    run.adapter.mkdir()
    sides = [log("base", base, text), log("tuned", tuned, text)]
    for one in sides:
        write_log(run.evals / TASK / f"{one.which}.json", one)
    write_results(run.results, compare([sides[0]], [sides[1]]))
    return run
