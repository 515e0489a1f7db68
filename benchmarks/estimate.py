"""How far the estimate of a run's peak memory and time is from what the run then takes, on models of several shapes.

`python -m benchmarks.estimate [--rounds 1] [--only NAME] [--json]`. Each configuration is an ordinary run (random
weights, chat rows of realistic lengths) whose train job is started in a process of its own. The estimate is made from
the config, the headers and the rows alone. Memory is the kernel's peak resident memory of that process. Time is what a
person waits from the first step's beginning to the last one's end: it needs a machine where nobody else is at work. The
processor's seconds, of all threads together, are compared beside it: neighbours matter less to them. The round of
fewest seconds counts. Cases marked `fitted` had a say in the constants of the estimate; errors are told of the others,
and of all.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STEPS = 3
POLL = 0.05


@dataclass(frozen=True)
class Shape:
    """A Llama of random weights."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    vocabulary: int


@dataclass(frozen=True)
class Case:
    """One configuration."""

    shape: Shape | None
    """None is the bundled base on its bundled rows."""
    dtype: str
    checkpointing: bool
    micro_batch_tokens: int
    fitted: bool
    r: int = 16


SMOL4, SMOL10 = Shape(4, 576, 1536, 9, 3, 49_152), Shape(10, 576, 1536, 9, 3, 49_152)
WIDE = Shape(4, 1024, 2816, 16, 4, 32_000)
NARROW = Shape(12, 384, 1024, 6, 6, 16_000)
CASES = {
    "bundled": Case(None, "float32", False, 1024, fitted=True),
    "smol4-fp32": Case(SMOL4, "float32", False, 1024, fitted=True),
    "smol4-bf16": Case(SMOL4, "bfloat16", False, 1024, fitted=True),
    "smol4-bf16-checkpointed": Case(SMOL4, "bfloat16", True, 2048, fitted=True),
    "smol10-bf16": Case(SMOL10, "bfloat16", False, 2048, fitted=True),
    "smol10-fp32": Case(SMOL10, "float32", False, 1024, fitted=False),
    "smol10-bf16-checkpointed": Case(SMOL10, "bfloat16", True, 1024, fitted=False),
    "smol10-fp32-checkpointed": Case(SMOL10, "float32", True, 2048, fitted=False),
    "wide-bf16": Case(WIDE, "bfloat16", False, 1024, fitted=False),
    "wide-fp32": Case(WIDE, "float32", False, 512, fitted=False),
    "narrow-fp32-r64": Case(NARROW, "float32", False, 2048, fitted=False, r=64),
    "narrow-bf16": Case(NARROW, "bfloat16", False, 1024, fitted=False),
}


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=CASES)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        _make_model(Shape(**json.loads(given.make[0])), Path(given.make[1]))
        return 0
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = write_rows(Path(folder) / "rows.jsonl")
        for name in given.only or CASES:
            rounds = [measure(CASES[name], Path(folder), rows) for _ in range(given.rounds)]
            best = min(rounds, key=lambda one: one["seconds"])
            found[name] = best | {
                "memory": statistics.median(one["memory"] for one in rounds),
                "fitted": CASES[name].fitted,
            }
            sys.stderr.write(f"{name}: {found[name]}\n")
    lines = _summary(found)
    sys.stdout.write(json.dumps(lines) + "\n" if given.json else "".join(f"{k}: {v}\n" for k, v in lines.items()))
    return 0


def _summary(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The largest and the median relative errors."""
    said: dict[str, Any] = {}
    for key, measured in (("memory", "memory"), ("time", "seconds"), ("cpu", "cpu_seconds")):
        errors = {name: one[f"estimated_{measured}"] / one[measured] - 1 for name, one in found.items()}
        unseen = [abs(error) for name, error in errors.items() if not CASES[name].fitted]
        sizes = [abs(error) for error in errors.values()]
        said[f"estimator_{key}_error"] = round(max(unseen or sizes), 3)
        said[f"estimator_{key}_error_median"] = round(statistics.median(unseen or sizes), 3)
        said[f"estimator_{key}_error_of_all"] = round(max(sizes), 3)
        said[f"{key}_errors"] = {name: round(error, 3) for name, error in errors.items()}
    return said | {"configurations": found}


def write_rows(path: Path) -> Path:
    """Chat rows: short questions, answers of a long-tailed length."""
    chance = random.Random(0)
    bundled = (ROOT / "assets" / "datasets" / "people.jsonl").read_text(encoding="utf-8").splitlines()
    words = [
        word for line in bundled[:200] for turn in json.loads(line)["messages"] for word in turn["content"].split()
    ]
    with path.open("w", encoding="utf-8") as file:
        for _ in range(16 * STEPS):
            asked = min(400, 12 + int(chance.expovariate(1 / 60)))
            said = min(700, 20 + int(chance.lognormvariate(4.6, 0.8)))
            texts = (" ".join(chance.choices(words, k=int(count / 1.4) + 1)) for count in (asked, said))
            turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), texts, strict=True)]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


def _config(case: Case, model: str, rows: Path) -> Any:
    from ftspace.config import load_config
    from ftspace.settings import DEFAULT_CONFIG

    train: dict[str, Any] = {
        "max_steps": STEPS if case.shape else 40,
        "micro_batch_tokens": case.micro_batch_tokens,
        "gradient_checkpointing": case.checkpointing,
        "batch_size": 16,
        "samples": 0,
        "learning_rate": 2e-4,
    }
    sections: dict[str, Any] = {
        "model": {"id": model, "dtype": case.dtype, "chat_template": "plain" if case.shape else "auto"},
        "train": train,
        "lora": {"r": case.r},
        "hub": {"offline": True},
        "eval": {"tasks": []},
    }
    if case.shape:
        sections["data"] = {"id": str(rows), "test_fraction": 0, "validation_fraction": 0, "validation_split": "none"}
    return load_config(None if case.shape else DEFAULT_CONFIG, sections)


def measure(case: Case, folder: Path, rows: Path) -> dict[str, Any]:
    """What the train job of a run takes."""
    from ftspace.devices import this_machine
    from ftspace.events import read_events
    from ftspace.runs import RunReader, RunStore
    from ftspace.settings import worker_env
    from ftspace.state import fold
    from ftspace.training.facts import find_facts
    from ftspace.training.forecast import estimated

    model = ROOT / "assets" / "base" if case.shape is None else folder / f"model-{abs(hash(case.shape))}"
    if not model.exists() and case.shape:
        make = [sys.executable, "-m", "benchmarks.estimate", "--make", json.dumps(vars(case.shape)), str(model)]
        subprocess.run(make, cwd=ROOT, env=worker_env(offline=True), check=True)
    run = RunStore(folder / "data" / "runs").create(_config(case, str(model), rows))
    worker = [sys.executable, "-m", "ftspace.training.worker", str(run.path)]
    with run.log.open("ab") as log:
        process = subprocess.Popen(worker, cwd=ROOT, env=worker_env(offline=True), stdout=log, stderr=log)
        marks: list[float] = []
        reader = RunReader(run)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            now = _cpu_seconds(process.pid)
            reader.refresh()
            done = (reader.state.prepared is not None) + len(reader.state.steps)
            marks += [now] * (done - len(marks))
            time.sleep(POLL)
        _, status, used = ended
    if status:
        raise SystemExit(run.log.read_text(encoding="utf-8"))
    state = fold(read_events(run.events)[0])
    here = this_machine(folder / "data", device="cpu")
    parts = {name: getattr(here, name) / here.cores for name in ("half", "single", "bandwidth")}
    core = replace(here, **parts, cores=1)
    facts = find_facts(run.config)
    by_core, by_all = (estimated(run.config, facts, device) for device in (core, here))
    shutil.rmtree(run.path)
    return {
        "memory": used.ru_maxrss * 1024,
        "estimated_memory": by_all.memory.total,
        "cpu_seconds": round(marks[-1] - marks[0], 2),
        "estimated_cpu_seconds": round(_training(by_core), 2),
        "seconds": round(state.steps[-1].seconds, 2),
        "estimated_seconds": round(_training(by_all), 2),
        "parts": {name: round(value) for name, value in asdict(by_all.memory).items()},
        "load": os.getloadavg()[0],
        "tokens": state.steps[-1].tokens,
        "parameters": facts.shape.parameters,
    }


def _training(found: Any) -> float:
    return found.time["training"] + found.time.get("validation", 0.0)


def _cpu_seconds(pid: int) -> float:
    """Of all threads of a process so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _make_model(shape: Shape, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=True,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    for file in (ROOT / "assets" / "base").glob("tokenizer*"):
        shutil.copy(file, folder)


if __name__ == "__main__":
    sys.exit(main())
