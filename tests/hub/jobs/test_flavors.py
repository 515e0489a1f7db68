import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftspace.config import anchor, default_config, merge, parse_config
from ftspace.devices import Speed, device_named, keep_speed
from ftspace.errors import ConfigError
from ftspace.hub.jobs import flavors
from ftspace.hub.jobs.flavors import TABLE, Flavor, flavor_named, machine_of, offered
from ftspace.hub.jobs.reckoning import LEAST_MINUTES, SETUP_SECONDS, priced, reckon, spoken, timeout_of
from ftspace.training.facts import find_facts
from tests.hub.finding.test_find import run
from tests.loopback_hub import LoopbackHub, serve

CONFIG = anchor(default_config())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(LoopbackHub(tmp_path_factory.mktemp("hub"))) as address:
        yield address


@pytest.fixture
def there(address: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Flavor, ...]:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(flavors, "_kept", None)
    return offered()


def test_the_command_lists_what_the_hub_offers_now(address: str, tmp_path: Path) -> None:
    done = run(address, tmp_path, "flavors")
    assert done.returncode == 0, done.stderr
    assert "A10G with 24 GB, 4 processors, 15 GB of memory" in done.stdout and "$1.00 an hour" in done.stdout
    assert "4 L4 with 24 GB each" in done.stdout and "the Hub's price now" in done.stderr
    offline = run("http://127.0.0.1:9", tmp_path, "flavors", "--json")
    listed = {one["name"]: one for one in json.loads(offline.stdout)}
    assert listed["t4-small"]["dollars_an_hour"] == 0.4 and listed["h200"]["dollars_an_hour"] is None


def test_a_flavor_that_there_is_not_is_named_with_the_nearest() -> None:
    assert flavor_named("A10G-small", TABLE).name == "a10g-small"
    with pytest.raises(ConfigError, match=r"no a10-smal; did you mean a10g-small"):
        flavor_named("a10-smal", TABLE)
    with pytest.raises(ConfigError, match=r"a Hub job needs one.*ftspace flavors"):
        flavor_named(None, TABLE)


def test_a_flavor_is_the_device_that_its_card_is(there: tuple[Flavor, ...], tmp_path: Path) -> None:
    a10g = machine_of(flavor_named("a10g-small", there), tmp_path)
    known = device_named("A10G", a10g.device)
    assert a10g.sure and (a10g.device.half, a10g.device.memory) == (known.half, known.memory)
    assert a10g.device.dollars_an_hour == pytest.approx(1.0)
    several = machine_of(flavor_named("l4x4", there), tmp_path)
    assert several.sure and "one of its 4 cards" in several.doubt and several.device.memory < 25e9
    unknown = machine_of(flavor_named("rtx-pro-6000", TABLE), tmp_path)
    assert not unknown.sure and unknown.device.memory > 90e9 and "RTX PRO 6000" in unknown.doubt
    keep_speed(tmp_path, Speed(half=1e11, single=5e10, bandwidth=1e10, launch_seconds=1e-5))
    small = machine_of(flavor_named("cpu-basic", there), tmp_path)
    large = machine_of(flavor_named("cpu-upgrade", there), tmp_path)
    assert not small.sure and large.device.half == pytest.approx(4 * small.device.half)
    assert small.device.memory == 15e9


def test_minutes_money_and_the_timeout_are_of_the_flavor(there: tuple[Flavor, ...], tmp_path: Path) -> None:
    facts = find_facts(CONFIG)
    card, processor = (reckon(CONFIG, facts, flavor_named(name, there), tmp_path) for name in ("h200", "cpu-basic"))
    assert card.seconds < processor.seconds and card.fits
    assert SETUP_SECONDS < card.low < card.seconds < card.high
    assert card.high - card.low < processor.high - processor.low
    assert card.timeout == LEAST_MINUTES
    assert card.dollars(3600) == pytest.approx(5.0) and spoken(card).startswith("about ") and "$0." in spoken(card)
    assert timeout_of(CONFIG, 3600) == 180 and timeout_of(CONFIG, None) > 60
    limited = parse_config(merge(CONFIG.model_dump(), {"launch": {"launcher": "hf-jobs", "timeout_minutes": 7}}))
    assert reckon(limited, facts, card.flavor, tmp_path).timeout == 7
    dear = parse_config(merge(CONFIG.model_dump(), {"train": {"max_cost": 0.0001}}))
    assert reckon(dear, facts, processor.flavor, tmp_path).seconds < processor.seconds
    assert priced(dear, card.flavor).train.price_per_hour == pytest.approx(5.0)
