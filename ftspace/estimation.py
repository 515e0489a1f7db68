"""The command `estimate`: memory, time and money of a run before it. Parses, calls, prints; decides nothing itself."""

import argparse
from typing import Any

from pydantic_settings import CliSettingsSource
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ftspace import commands
from ftspace.config import anchor
from ftspace.console import stderr, stdout
from ftspace.devices import HERE, PRICED, device_named
from ftspace.errors import ConfigError
from ftspace.flags import add_flags
from ftspace.hub.jobs.flavors import flavor_named, offered
from ftspace.hub.jobs.reckoning import device_there, reckon, spoken
from ftspace.preflight import check_precision, find_model
from ftspace.presets import add_preset
from ftspace.settings import Settings, go_offline
from ftspace.training.facts import find_facts
from ftspace.training.forecast import Forecast, forecast, gigabytes

_PARTS = {
    "idle": "the libraries",
    "weights": "the base's weights",
    "adapters": "what is trained, gradients, optimizer",
    "activations": "activations of one pass",
    "logits": "logits and their gradient",
    "slack": "gaps of the allocator",
}


def add_estimate(parsers: Any, where: argparse.ArgumentParser) -> CliSettingsSource[Any]:
    """Adds the parser of `estimate`; gives what `overrides` reads its flags with."""
    parser = parsers.add_parser(
        "estimate",
        help="peak memory, time and money of a run, before it",
        usage="%(prog)s [CONFIG.yaml] [--device NAME] [--probe] [--preset P] [--SECTION.FIELD VALUE ...] [--json]",
        description="Estimates a run from the model's config.json, the headers of its weights and the dataset's first "
        "rows, where its launcher starts it and on the devices of a table; says what would make it fit. No weights are "
        "read or downloaded. With --probe the run's first ten steps are made and the estimate is corrected by them. "
        "Its other flags are those of ftspace run.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("config", nargs="?", help="YAML file of a RunConfig; flags win over it")
    add_preset(parser)
    parser.add_argument("--device", default=HERE, metavar="NAME", help=f"a device of the table (default: {HERE})")
    parser.add_argument("--probe", action="store_true", help="make the first ten steps and correct the estimate")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout instead of the tables")
    return add_flags(parser)


def estimate(parsed: argparse.Namespace, given: dict[str, Any], settings: Settings) -> int:
    """`ftspace estimate`: the forecast of a run; 0 when it fits, and when it does not."""
    config = anchor(commands.configured(parsed.config, given, parsed.preset))
    if config.hub.offline:
        go_offline()
    here = device_there(config, settings.data_dir)
    device = here if parsed.device == HERE else device_named(parsed.device, here)
    if parsed.probe and (device is not here or config.launch.launcher != "local"):
        raise ConfigError(f"--probe measures {HERE}, and --device or --launcher names another; leave one of them out")
    find_model(config)
    check_precision(config)
    facts = find_facts(config)
    found = forecast(config, facts, device)
    if parsed.probe:
        from ftspace.probe import corrected, probe

        stderr.print("making the first steps of the run …")
        found = corrected(found, probe(config, settings.data_dir, commands.watch, commands.say_busy))
    if parsed.json:
        stdout.file.write(found.model_dump_json(indent=2) + "\n")
    else:
        stdout.print(to_rich(found))
        if config.launch.launcher == "hf-jobs":
            job = reckon(config, facts, flavor_named(config.launch.flavor, offered()), settings.data_dir)
            stdout.print(f"as a job of the Hub on {job.flavor.name}: {spoken(job)}, its setting up included")
    return 0


def to_rich(found: Forecast) -> RenderableType:
    """A forecast for the terminal."""
    verdict = "fits" if found.fits else "does not fit"
    head = f"{found.model} on {found.dataset}: {gigabytes(found.peak_memory_bytes)} at its peak, which {verdict} "
    head += f"{found.device}, in {minutes(found.seconds)}"
    parts: list[RenderableType] = [Text(head, style="green" if found.fits else "red")]
    if found.probe:
        was = gigabytes(found.estimated_peak_memory_bytes or 0)
        said = (
            f"measured over {found.probe.steps} steps; estimated were {was} and {minutes(found.estimated_seconds or 0)}"
        )
        parts.append(Text(said))
    share = found.trainable_parameters / max(1, found.parameters)
    parts.append(
        Text(
            f"{found.steps:,} steps of {found.step_seconds:.2f} s and {found.step_flops:.2g} operations; "
            f"{found.trainable_parameters:,} of {found.parameters:,} parameters trained ({share:.1%})"
        )
    )
    memory = Table("peak memory of the training", "")
    for name, words in _PARTS.items():
        memory.add_row(words, gigabytes(found.memory[name]))
    if found.memory["comparison"]:
        memory.add_row("of the comparison, in its own process", gigabytes(found.memory["comparison"]), style="dim")
    time = Table("time", "")
    for name, seconds in found.time.items():
        time.add_row(name, minutes(seconds))
    devices = Table("device", "memory", "needs", "fits", "time", f"price, {PRICED}")
    for one in found.devices:
        price = "–" if one.dollars is None else "free" if one.device == HERE else f"${one.dollars:.2f}"
        fits = "[green]yes[/]" if one.fits else "[red]no[/]"
        needs = gigabytes(one.peak_memory_bytes)
        devices.add_row(escape(one.device), gigabytes(one.memory_bytes), needs, fits, minutes(one.seconds), price)
    parts += [memory, time, devices]
    parts += [Text(f"advice: {one}", style="cyan") for one in found.advice]
    parts += [Text(f"doubt: {one}", style="yellow") for one in found.doubts]
    return Group(*parts)


def minutes(seconds: float) -> str:
    """A time, short."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
