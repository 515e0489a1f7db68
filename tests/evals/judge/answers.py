"""Folders with answers to judge, as an evaluation leaves them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.log import EvalLog, EvalSpec, Sample, write_log

SPEC = EvalSpec(
    base="owner/smollm-base",
    task="people",
    task_hash="abc",
    kind="generation",
    n=0,
    dtype="float32",
    device="cpu",
    tokenizer_hash="t",
    max_new_tokens=8,
    end_ids=(0,),
    batch_tokens=100,
    seed=0,
    versions={"torch": "1"},
)


def write_answers(folder: Path, sides: Mapping[str, Sequence[str | None]], task: str = "people", **spec: Any) -> Path:
    """Write a log for each side: the expected answer to question N is `right N`, None is no answer at all."""
    for side, answers in sides.items():
        samples = tuple(
            Sample(
                id=str(n),
                prompt=f"question {n}?",
                expected=(f"right {n}",),
                output=text or "",
                scores={"exact_match": float("nan") if text is None else float(text == f"right {n}")},
                unscored="too long" if text is None else None,
            )
            for n, text in enumerate(answers)
        )
        made = SPEC.model_copy(update={"task": task, "n": len(samples), **spec})
        log = EvalLog(spec=made, which=side, started="", seconds=0, samples=samples)
        write_log(folder / task / f"{side}.json", log)
    return folder


def right(count: int, wrong: Sequence[int] = ()) -> list[str]:
    """Answers of which some are wrong."""
    return [f"it is wrong {n}" if n in wrong else f"it is right {n}" for n in range(count)]
