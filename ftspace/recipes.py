"""The commands `recipe` (what a run would choose, and why) and `lr-find` (a sweep over learning rates).

Parses, starts, prints; keeps nothing.
"""

import argparse
import dataclasses
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_settings import CliSettingsSource
from rich.table import Table

from ftspace import commands
from ftspace.config import RunConfig, anchor
from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError, JobError
from ftspace.flags import add_flags
from ftspace.presets import add_preset
from ftspace.scratch import scratch_run
from ftspace.settings import Settings, go_offline

if TYPE_CHECKING:
    from ftspace.training.lr_find import Found

SWEEP = "ftspace.training.sweep"
STEPS = 60
ROWS = 16
"""Lines of the table that is shown."""


def add_lr_find(parsers: Any, where: argparse.ArgumentParser) -> CliSettingsSource[Any]:
    """Adds the parser of `lr-find`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "lr-find",
        help="look for a learning rate: some steps at growing rates",
        usage=f"%(prog)s [CONFIG.yaml] [--steps {STEPS}] [--SECTION.FIELD VALUE ...] [--json]",
        description="Trains some steps on the real rows while the learning rate grows from step to step, until the "
        "loss explodes, and says which rate the curve suggests. Nothing is kept. Its other flags are those of ftspace "
        "run.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"steps to make (default: {STEPS})")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the table")
    return add_flags(parser)


def add_recipe(parsers: Any, where: argparse.ArgumentParser) -> CliSettingsSource[Any]:
    """Adds the parser of `recipe`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "recipe",
        help="what a run would choose where its config leaves it open, and why",
        usage="%(prog)s [CONFIG.yaml] [--preset P] [--SECTION.FIELD VALUE ...] [--json]",
        description="Looks at the model's headers and the first rows, and says epochs, learning rate and batch as a "
        "run on this machine would have them, each with its reason. Its other flags are those of ftspace run.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    add_preset(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the table")
    return add_flags(parser)


def recipe(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    """`ftspace recipe`: every open choice, made and explained."""
    config = anchor(commands.configured(parsed.config, given, parsed.preset))
    if config.hub.offline:
        go_offline()
    from ftspace.devices import this_machine
    from ftspace.preflight import find_model
    from ftspace.training.facts import find_facts
    from ftspace.training.forecast import estimated
    from ftspace.training.recipe import Work, explain

    here = this_machine(settings.data_dir, device=config.train.device)
    find_model(config)
    facts = find_facts(config)
    mean = sum(length for length, _ in facts.lengths) / len(facts.lengths)
    asks = config.train.gradient_checkpointing is None and estimated(config, facts, here).recipe.gradient_checkpointing
    work = Work(facts.shape.parameters, facts.rows["train"], mean, here.kind, here.memory, memory_asks=asks)
    found = dataclasses.asdict(explain(config, work))
    if parsed.json:
        stdout.file.write(json.dumps(found | {"work": dataclasses.asdict(work)}, indent=2) + "\n")
        return 0
    table = Table("choice", "value", "why")
    for name, choice in found.items():
        table.add_row(f"train.{name}", str(choice["value"]), choice["why"])
    stdout.print(table)
    for doubt in facts.doubts:
        stderr.print(f"warning: {doubt}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    return 0


def lr_find(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    """`ftspace lr-find`: the sweep, the table, the rate that it suggests."""
    from ftspace.training.lr_find import FEWEST, suggest

    if parsed.steps < FEWEST:
        raise ConfigError(f"--steps {parsed.steps}: a sweep needs {FEWEST} steps to show anything")
    config = anchor(commands.configured(parsed.config, given))
    if config.hub.offline:
        go_offline()
    commands.check(config, settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="ftspace-lr-find-") as folder:
        swept = sweeping(config, parsed.steps)
        with scratch_run(Path(folder), swept, SWEEP, settings.runs_dir, commands.say_busy) as reader:
            stopped = commands.watch(reader, diagnosed=False)
        end = reader.state.end(["train"])
    if stopped:
        return 130
    steps = reader.state.steps
    if not steps:
        raise JobError(end.message if end and end.message else "the sweep ended without a step; try ftspace run")
    found = suggest([one.learning_rate for one in steps], [one.loss for one in steps])
    if parsed.json:
        stdout.file.write(json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    else:
        _print(found)
    return 0


def sweeping(config: RunConfig, steps: int) -> RunConfig:
    """The config of a sweep: the recipe is the run's, the rate begins low, and nothing is measured or kept beside."""
    from ftspace.training.lr_find import LOWEST

    alone: dict[str, Any] = {"samples": 0, "best_by": "loss", "keep": "last", "patience": None, "report_to": []}
    schedule: dict[str, Any] = {"learning_rate": LOWEST, "scheduler": "constant", "warmup": 0.0, "max_steps": steps}
    data = config.data.model_copy(update={"validation_split": "none", "validation_fraction": 0.0})
    train = config.train.model_copy(update=alone | schedule | {"on_divergence": "stop", "checkpoint_steps": None})
    tasks = config.eval.model_copy(update={"tasks": []})
    return config.model_copy(update={"data": data, "train": train, "eval": tasks})


def _print(found: "Found") -> None:
    from ftspace.training.lr_find import sparkline

    table = Table("rate", "loss", "smoothed")
    every = -(-len(found.rates) // ROWS)
    for rate, loss, smooth in list(zip(found.rates, found.losses, found.smooth, strict=True))[::every]:
        table.add_row(f"{rate:.1e}", f"{loss:.3f}", f"{smooth:.3f}")
    stdout.print(table)
    stdout.print(sparkline(found.smooth), highlight=False)
    stdout.print(found.words, highlight=False)
    if found.suggestion is not None:
        stderr.print(f"use it: ftspace run --train.learning_rate {found.suggestion:g}", highlight=False)
