"""The lines of a run that is to be a job of the Hub: its hardware, what it takes there, what it lacks. Estimated."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ftspace.checks import Check
from ftspace.config import RunConfig
from ftspace.errors import ConfigError
from ftspace.hub.jobs.flavors import flavor_named, offered
from ftspace.hub.jobs.reckoning import priced, reckon, spoken
from ftspace.settings import judge_tokens, reference_token

if TYPE_CHECKING:
    from ftspace.training.facts import Facts


def is_hub_job(config: RunConfig) -> bool:
    """Whether a run is to be a job of the Hub."""
    return config.launch.launcher == "hf-jobs"


def look_at_flavor(config: RunConfig) -> list[Check]:
    """The stop of a job that cannot be: without a flavor, with one that there is not, or offline."""
    if not is_hub_job(config):
        return []
    if config.hub.offline:
        said = "hub.offline keeps the Hub from being asked, and a job of the Hub needs it"
        return [Check("stop", "Hub job", said, "leave hub.offline out, or set launch.launcher to local")]
    try:
        flavor_named(config.launch.flavor, offered())
    except ConfigError as error:
        return [Check.stop("Hub job", error)]
    return list(_tokens(config))


def priced_there(config: RunConfig) -> RunConfig:
    """The config with the price of the machine that it is to run on, if that is a job's and known."""
    try:
        return priced(config, flavor_named(config.launch.flavor, offered())) if is_hub_job(config) else config
    except ConfigError:
        return config


def sizes_there(config: RunConfig, facts: "Facts", data_dir: Path, *, counted: bool) -> list[Check]:
    """The lines of memory, time and money on the job's machine; none where it is not known which that is."""
    from ftspace.training.forecast import gigabytes

    try:
        flavor = flavor_named(config.launch.flavor, offered())
    except ConfigError:
        return []
    found = reckon(config, facts, flavor, data_dir)
    need, there = gigabytes(found.found.peak), gigabytes(found.memory)
    said = f"the run is estimated to need {need} of memory, and {flavor.name} has {there}"
    fix = "take a larger flavor, or hold the base in 4 bits (model.quantization nf4)"
    lines = [Check("ok", "memory", said) if found.fits else Check("warning", "memory", said, fix)]
    lines.append(Check("ok", "Hub job", f"{flavor.name} costs {flavor.price} ({flavor.source}); it has {flavor.has}"))
    if not counted:
        return lines
    most = found.dollars(60 * found.timeout)
    said = f"the run takes {spoken(found)}, some minutes of setting up among them"
    said += f"; the Hub ends it after {found.timeout:,.0f} minutes" + (f", which cost ${most:.2f}" if most else "")
    said += f"; {found.doubt}" if found.doubt else ""
    if 60 * found.timeout < found.low:
        return [*lines, Check("warning", "time and money", said, "raise launch.timeout_minutes, or leave it out")]
    return [*lines, Check("ok", "time and money", said)]


def _tokens(config: RunConfig) -> Iterator[Check]:
    """What of this machine's tokens the run would have here and has not there: HF_TOKEN alone goes along."""
    asked = config.eval
    own = [name for name in judge_tokens() if name != "HF_TOKEN"]
    if (asked.judges and own) or (asked.reference and reference_token()):
        said = "of all tokens only HF_TOKEN goes along: judges and references that need another do not answer"
        yield Check("warning", "judge's token", said, "leave them out, or run it here")
