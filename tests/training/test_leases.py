"""How many leases a run needs, foretold."""

import math
from dataclasses import replace
from pathlib import Path

from ftspace.config import default_config, merge, parse_config
from ftspace.data.formats import Conversation
from ftspace.devices import ZERO_GPU, device_of_run
from ftspace.preflight.sizes import look_at_sizes
from ftspace.training.facts import find_facts
from ftspace.training.forecast import estimated
from ftspace.training.leases import leases_of


def test_a_long_run_takes_more_leases_and_more_of_the_shorter() -> None:
    config = default_config()
    short = estimated(config, find_facts(config), ZERO_GPU)
    one = leases_of(short, 120)
    assert one and one.count == 2 and one.total == 240  # one to train in, one to compare in
    long = replace(short, time=short.time | {"training": 1000.0, "validation": 100.0, "comparison": 0.0})
    found, halves = leases_of(long, 120), leases_of(long, 60)
    assert found and halves
    assert found.count == math.ceil(1100 / (120 - found.idle)) + 1
    assert halves.count > 2 * found.count - 1
    assert 10 < found.idle < 30


def test_a_lease_that_loading_takes_whole_gets_nowhere() -> None:
    config = default_config()
    found = estimated(config, find_facts(config), ZERO_GPU)
    heavy = replace(found, time=found.time | {"start": 12.0 + 100.0})
    assert leases_of(heavy, 60) is None
    assert leases_of(heavy, 240)


def test_the_checks_before_a_run_say_how_many(tmp_path: Path) -> None:
    launch = {"launcher": "zerogpu", "lease_seconds": 60}
    config = parse_config(merge(default_config().model_dump(), {"launch": launch}))
    talk: Conversation = [{"role": "user", "content": "Who is it?"}, {"role": "assistant", "content": "It is Ann."}]
    assert device_of_run("zerogpu", tmp_path) is ZERO_GPU
    lines = look_at_sizes(config, [talk] * 8, {"train": 400_000, "validation": 40, "test": 40}, tmp_path / "runs")
    (line,) = [one for one in lines if one.what == "device"]
    assert "ZeroGPU; the run takes about" in line.detail and "leases of 60 s" in line.detail
