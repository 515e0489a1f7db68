"""What training costs: time and memory measured here against parameters and tokens, and what is predicted elsewhere.

`python -m benchmarks.costs [--rounds 1] [--only NAME] [--json] [--write docs/costs.md]`. What is measured are train
jobs of ordinary runs as `benchmarks.estimate` starts them, on models of random weights made for it; each line stands
beside what the estimator said before, and beside the first line of its curve. That needs a machine where nobody else is
at work. What is predicted is arithmetic: it takes no weights and no GPU, and none was at hand to measure it by.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.estimate import Case, Shape, measure, write_rows
from ftspace.config import RunConfig, parse_config
from ftspace.devices import BANDWIDTH, PRICED, TABLE, UTILIZATION, Device, processor_name
from ftspace.training.facts import Facts
from ftspace.training.forecast import Estimated, estimated
from ftspace.training.shape import shape_of

SIZES = {
    "6 × 192": Shape(6, 192, 512, 6, 6, 8_192),
    "8 × 320": Shape(8, 320, 880, 5, 5, 16_384),
    "4 × 576": Shape(4, 576, 1536, 9, 3, 49_152),
    "4 × 1024": Shape(4, 1024, 2816, 16, 4, 32_000),
    "22 × 576": Shape(22, 576, 1536, 9, 3, 49_152),
}
"""Layers and their width."""
TOKENS = (256, 512, 1024, 2048, 4096)
CURVES: dict[str, dict[str, Case]] = {
    "parameters": {
        name: Case(shape, "float32", checkpointing=False, micro_batch_tokens=1024, fitted=False)
        for name, shape in SIZES.items()
    },
    "tokens": {
        f"{tokens} tokens": Case(
            SIZES["4 × 576"], "float32", checkpointing=False, micro_batch_tokens=tokens, fitted=False
        )
        for tokens in TOKENS
    },
}

_LLAMA = {"vocab_size": 128_256, "dtype": "bfloat16"}
KNOWN: dict[str, tuple[str, dict[str, Any]]] = {
    "1B": (
        "config.json of meta-llama/Llama-3.2-1B",
        {
            "num_hidden_layers": 16,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "tie_word_embeddings": True,
        },
    ),
    "8B": (
        "config.json of meta-llama/Llama-3.1-8B; The Llama 3 Herd of Models, table 3",
        {
            "num_hidden_layers": 32,
            "hidden_size": 4096,
            "intermediate_size": 14_336,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "tie_word_embeddings": False,
        },
    ),
    "70B": (
        "config.json of meta-llama/Llama-3.1-70B; The Llama 3 Herd of Models, table 3",
        {
            "num_hidden_layers": 80,
            "hidden_size": 8192,
            "intermediate_size": 28_672,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "tie_word_embeddings": False,
        },
    ),
}
"""Models as their makers describe them: where that stands, and what it says."""
WAYS = {"LoRA, bf16": "none", "QLoRA, nf4": "nf4"}
CARDS = ("T4", "L4", "A10G", "A100-80", "H100", "H200")
ROW, ROWS = 512, 2000
"""Tokens of a row, half of them an answer's, and how many rows: a million tokens in all, and a little more."""
SMALL = 1024
"""Tokens of a pass, where what a run would choose by itself does not fit."""

PAGE = """# What training costs

Written by `python -m benchmarks.costs --rounds {rounds} --write docs/costs.md`. Before a run of your own
`ftspace estimate` says the same of it, on this machine and on each of these cards.

## Measured: a processor

LoRA (r 16, all linear layers) in float32 on {processor}, models of random weights, chat rows of realistic
lengths, steps of 16 conversations. Each line is a run's train job in a process of its own; *predicted* is what the
estimator said before, from the model's headers and the rows. Median and largest error:

| of | median | largest |
|---|---:|---:|
| peak memory | {memory_error_median} | {memory_error_largest} |
| the wait | {time_error_median} | {time_error_largest} |
| the processor's own seconds | {processor_error_median} | {processor_error_largest} |

*The processor's* is the same of the seconds of all its threads together: neighbours matter less to them. The first
table goes by the model's parameters, at 1,024 tokens a pass; the second by the tokens of a pass, with one model. Memory
is the weights, which grow with the parameters, and the activations, which grow with the pass.

<!-- measured -->
{curves}
<!-- /measured -->

## Predicted: graphics cards

**No line of this table was measured**: no graphics card was at hand. It is the estimator's arithmetic over the data
sheets, of which {products} of the tensor cores' throughput and {moved} of the memory's are taken to be reached
([0013](design/0013-estimate.md)). Until a run on the card says more (`ftspace estimate --probe`) take a time for right
within a factor of two, and memory within a fifth. What unpacking 4 bits takes is not counted: QLoRA will be slower.

A million tokens trained: {rows} rows of {row} tokens, half of them an answer's, once, with r 16 on all linear layers;
without loading the model and without comparing. In a cell: the time, the peak memory and, where Spaces list one, the
price as of {priced}; *no* where it does not fit one card.

<!-- predicted -->
{predicted}
<!-- /predicted -->

¹ With gradient checkpointing, which memory asks for. ² In passes of {small} tokens, since what a run would choose by
itself does not fit. A T4 has no bfloat16: it computes at the pace of float32. A run holds its base whole on one card:
what does not fit needs a larger one, or a smaller model.

The models' shapes:

{sources}
"""


@dataclass(frozen=True)
class Predicted:
    """A million tokens of a model on a card."""

    model: str
    way: str
    card: str
    minutes: float
    peak_bytes: int
    fits: bool
    tokens: int
    """Of a pass."""
    checkpointing: bool
    dollars: float | None


def main() -> int:
    """Measures, and prints or writes what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=[name for curve in CURVES.values() for name in curve])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page anew")
    given = parser.parse_args()
    found = measured(given.rounds, given.only)
    if given.write:
        given.write.write_text(page(found, given.rounds), encoding="utf-8")
        return 0
    said = {"curves": found, **errors(found), "predicted": [vars(one) for one in predictions()]}
    sys.stdout.write(json.dumps(said) + "\n" if given.json else f"{curves(found)}\n\n{predicted()}\n")
    return 0


def measured(rounds: int, only: list[str] | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """What each point of each curve took, the round of fewest seconds, and what was estimated of it."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        rows = write_rows(Path(folder) / "rows.jsonl")
        for curve, cases in CURVES.items():
            found[curve] = {}
            for name, case in cases.items():
                if only and name not in only:
                    continue
                times = [measure(case, Path(folder), rows) for _ in range(rounds)]
                best = min(times, key=lambda one: one["seconds"])
                found[curve][name] = best | {"memory": statistics.median(one["memory"] for one in times)}
                sys.stderr.write(f"{curve}, {name}: {found[curve][name]}\n")
    return found


def errors(found: dict[str, dict[str, dict[str, Any]]]) -> dict[str, float]:
    """How far the estimator was off: the median and the largest of all points."""
    points = [one for curve in found.values() for one in curve.values()]
    said: dict[str, float] = {}
    for key, what in (("memory", "memory"), ("time", "seconds"), ("processor", "cpu_seconds")):
        off = [abs(one[f"estimated_{what}"] / one[what] - 1) for one in points]
        said[f"{key}_error_median"], said[f"{key}_error_largest"] = round(statistics.median(off), 3), round(max(off), 3)
    return said


def predictions() -> list[Predicted]:
    """A million tokens of each known model, each way, on each card."""
    cards = [one for name in CARDS for one in TABLE if one.name == name]
    return [_predict(model, way, card) for model in KNOWN for way in WAYS for card in cards]


def _predict(model: str, way: str, card: Device) -> Predicted:
    shape = shape_of(_LLAMA | KNOWN[model][1], None)
    facts = Facts(shape, [(ROW, ROW // 2)], {"train": ROWS, "validation": 0, "test": 0}, questions=0)
    tries = [estimated(_config(way, tokens), facts, card) for tokens in (None, SMALL)]
    found: Estimated = next((one for one in tries if one.peak <= card.memory), tries[-1])
    minutes = found.time["training"] / 60
    fits = found.peak <= card.memory
    price = card.dollars_an_hour
    return Predicted(
        model=model,
        way=way,
        card=card.name,
        minutes=minutes,
        peak_bytes=found.peak,
        fits=fits,
        tokens=found.recipe.micro_batch_tokens,
        checkpointing=found.recipe.gradient_checkpointing,
        dollars=price * minutes / 60 if price is not None else None,
    )


def _config(way: str, tokens: int | None) -> RunConfig:
    train: dict[str, Any] = {"epochs": 1, "samples": 0, "max_length": ROW, "micro_batch_tokens": tokens}
    return parse_config({"model": {"quantization": WAYS[way]}, "train": train, "eval": {"tasks": []}})


def curves(found: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The measured curves as tables."""
    heads = {"parameters": "layers × width", "tokens": "tokens a pass"}
    return "\n\n".join(_curve(heads[name], points) for name, points in found.items() if points)


def _curve(head: str, points: dict[str, dict[str, Any]]) -> str:
    first = next(iter(points.values()))
    lines = [
        f"| {head} | parameters | ms a token | of the first | predicted : measured | the processor's | peak memory "
        "| of the first | predicted : measured |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, one in points.items():
        each = one["seconds"] / one["tokens"]
        lines.append(
            f"| {name.removesuffix(' tokens')} | {one['parameters'] / 1e6:.1f} M | {1000 * each:.2f} "
            f"| {each / (first['seconds'] / first['tokens']):.2f} | {one['estimated_seconds'] / one['seconds']:.2f} "
            f"| {one['estimated_cpu_seconds'] / one['cpu_seconds']:.2f} | {one['memory'] / 1e9:.2f} GB "
            f"| {one['memory'] / first['memory']:.2f} | {one['estimated_memory'] / one['memory']:.2f} |"
        )
    return "\n".join(lines)


def predicted() -> str:
    """The predictions as a table: a line for a model and a way, a column for a card."""
    found = predictions()
    lines = [f"| model | {' | '.join(CARDS)} |", f"|---|{'---|' * len(CARDS)}"]
    for model in KNOWN:
        for way in WAYS:
            cells = [_cell(one) for one in found if (one.model, one.way) == (model, way)]
            lines.append(f"| **{model}**, {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(one: Predicted) -> str:
    needs = f"{one.peak_bytes / 1e9:.0f} GB"
    if not one.fits:
        return f"no: {needs}"
    price = f", ${one.dollars:.2f}" if one.dollars is not None else ""
    how = "".join([" ¹" if one.checkpointing else "", " ²" if one.tokens == SMALL else ""])
    return f"{_time(one.minutes)}, {needs}{price}{how}"


def _time(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes < 10 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def page(found: dict[str, dict[str, dict[str, Any]]], rounds: int) -> str:
    """The whole page."""
    off = {name: f"{100 * value:.0f} %" for name, value in errors(found).items()}
    return PAGE.format(
        rounds=rounds,
        processor=processor_name(),
        curves=curves(found),
        products=f"{100 * UTILIZATION:.0f} %",
        moved=f"{100 * BANDWIDTH:.0f} %",
        rows=f"{ROWS:,}",
        row=ROW,
        priced=PRICED,
        predicted=predicted(),
        small=f"{SMALL:,}",
        sources="\n".join(f"- {model}: {source}" for model, (source, _) in KNOWN.items()),
        **off,
    )


if __name__ == "__main__":
    sys.exit(main())
