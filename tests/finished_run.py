"""A finished run written by hand: all that a training and an evaluation leave, in milliseconds and without torch."""

import json
import shutil
import struct
from pathlib import Path
from typing import Any

from evals.compare import compare_folder
from evals.log import EvalLog, EvalSpec, Sample, write_log
from evals.results import Asked, write_asked, write_results
from ftspace.config import parse_config
from ftspace.data.prepare import Manifest, Split
from ftspace.events import (
    AdapterSaved,
    Evaluated,
    Event,
    EventLog,
    Finished,
    Prepared,
    Started,
    Step,
    Validation,
    Warned,
)
from ftspace.events import Sample as Answer
from ftspace.hub.bundle.origins import Origin, Origins
from ftspace.runs import Run, RunStore
from ftspace.settings import ASSETS

SECRET = "the row that nobody else may read"
COMMIT, DATA_COMMIT = "c0ffee" + "0" * 34, "da7a" + "0" * 36
ROWS = 40
FORMAT = {"format": "pt"}


def finished_run(store: RunStore, **sections: dict[str, Any]) -> Run:
    """A run on the bundled base whose rows, questions and answers all say SECRET, with an adapter of one matrix."""
    config = parse_config({"eval": {"tasks": ["heldout"]}} | sections)
    run = store.create(config)
    _tell(run)
    _adapter(run)
    run.data.mkdir()
    rows: dict[Split, int] = {"train": ROWS, "validation": 4, "test": ROWS}
    manifest = Manifest(format="messages", rows=rows, dropped={}, revision=None, content_hash="0" * 64)
    (run.data / "manifest.json").write_text(manifest.model_dump_json())
    for split, count in rows.items():
        turns = [{"role": "user", "content": SECRET}, {"role": "assistant", "content": SECRET}]
        (run.data / f"{split}.jsonl").write_text((json.dumps({"messages": turns}) + "\n") * count)
    for task in ("heldout", *(Path(one).stem for one in config.eval.tasks if one != "heldout")):
        for side, right in (("base", 0), ("tuned", 1)):
            write_log(run.evals / task / f"{side}.json", _log(run, task, side, right))
    write_asked(run.evals / "evaluation.json", Asked(sides={one.name: ("base", "tuned") for one in _tasks(run)}))
    write_results(run.results, compare_folder(run.evals))
    for name in ("training_args.bin", "optimizer.pt"):
        (run.adapter / name).write_bytes(b"a pickle")
    (run.checkpoints / "step-000002").mkdir(parents=True)
    (run.checkpoints / "step-000002" / "optimizer.pt").write_bytes(b"a pickle")
    return run


def keep_origins(run: Run, **data: Any) -> None:
    """What the Hub would have said: base and dataset are there at their commits, and `data` tells of the dataset."""
    base = Origin(name="owner/base", url="https://hub/owner/base", revision=COMMIT, terms={"license": "mit"})
    told: dict[str, Any] = {
        "name": "owner/rows",
        "url": "https://hub/datasets/owner/rows",
        "revision": DATA_COMMIT,
    } | data
    (run.path / "push").mkdir(exist_ok=True)
    found = Origins(base=base.model_copy(update={"restricted": None}), data=Origin.model_validate(told))
    (run.path / "push" / "origins.json").write_text(found.model_dump_json())


def write_safetensors(path: Path, names: list[str]) -> None:
    """Zeros of two by two under these names, as safetensors lays them out."""
    held = {n: {"dtype": "F32", "shape": [2, 2], "data_offsets": [16 * i, 16 * i + 16]} for i, n in enumerate(names)}
    head = json.dumps({"__metadata__": FORMAT, **held}).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(16 * len(names)))


def _tasks(run: Run) -> list[Path]:
    return sorted(path for path in run.evals.iterdir() if path.is_dir())


def _tell(run: Run) -> None:
    log = EventLog(run.events)
    told: list[Event] = [
        Started(job="train", pid=4711, versions={"torch": "2.13.0", "peft": "0.21.2"}),
        Prepared(
            rows={"train": ROWS, "validation": 4, "test": ROWS},
            dropped={f"unknown role {SECRET}": 1},
            format="messages",
            total_steps=3,
            trainable_parameters=8,
            parameters=1000,
            device="cuda",
            hardware="NVIDIA L4",
            dtype="bfloat16",
            recipe={"epochs": 1.0, "learning_rate": 0.001, "batch_size": 16},
        ),
        Answer(step=0, index=0, prompt=SECRET, answer=SECRET, reference=SECRET),
        Warned(message=f"something about {run.path}"),
        Validation(step=0, loss=3.0),
    ]
    told += [Step(step=n, epoch=n / 3, loss=3 - n / 2, learning_rate=1e-3, tokens=n, seconds=n) for n in (1, 2, 3)]
    told += [
        Validation(step=3, loss=2.0),
        AdapterSaved(step=3, bytes=100),
        Finished(job="train", status="finished", seconds=1800, message=f"saved in {run.path}"),
        Started(job="evaluate", pid=4712, versions={"torch": "2.13.0", "peft": "0.21.2"}),
        Evaluated(verdict="better"),
        Finished(job="evaluate", status="finished", seconds=600),
    ]
    for event in told:
        log.append(event)
    log.close()


def _adapter(run: Run) -> None:
    run.adapter.mkdir()
    shutil.copyfile(ASSETS / "base" / "tokenizer.json", run.adapter / "tokenizer.json")
    config = json.loads((ASSETS / "base" / "tokenizer_config.json").read_text())
    (run.adapter / "tokenizer_config.json").write_text(json.dumps(config | {"name_or_path": str(ASSETS / "base")}))
    (run.adapter / "chat_template.jinja").write_text("{{ messages }}")
    (run.adapter / "README.md").write_text("a card that PEFT wrote")
    named = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 16, "base_model_name_or_path": str(ASSETS / "base")}
    (run.adapter / "adapter_config.json").write_text(json.dumps(named))
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    write_safetensors(run.adapter / "adapter_model.safetensors", [f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"])


def _log(run: Run, task: str, side: str, right: int) -> EvalLog:
    spec = EvalSpec(
        base=str(ASSETS / "base"), base_revision="0123456789abcdef", task=task, task_hash="t", kind="generation",
        n=ROWS, dtype="float32", device="cpu", tokenizer_hash="h", max_new_tokens=8, end_ids=(0, 3),
        batch_tokens=64, seed=0, versions={},
    )  # fmt: skip
    samples = tuple(
        Sample(
            id=str(n), prompt=f"{SECRET} {n}?", expected=(SECRET,), output=f"{SECRET} | <b>", item_hash=f"{n:016x}",
            scores={"exact_match": float(right if n % 8 else not right), "length": 3.0},
            stats={"perplexity": (2.0, 1.0)},
        )
        for n in range(ROWS)
    )  # fmt: skip
    adapter = str(run.adapter) if side == "tuned" else None
    return EvalLog(
        spec=spec, which=side, adapter=adapter, started="2026-11-22T10:00:00+00:00", seconds=1.0, samples=samples
    )
