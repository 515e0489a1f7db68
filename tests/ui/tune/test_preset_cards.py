from dataclasses import replace

import pytest

from ftspace.presets import BALANCED
from ftspace.ui.tune.complaints import Wrong
from ftspace.ui.tune.outlook import Outlook
from ftspace.ui.tune.preset_cards import about, changes, faces, mending

SEEN = Outlook(600.0, 400.0, 200.0, 8 * 10**9, 16 * 10**9, 120, 300, 2)


@pytest.mark.parametrize(
    ("seconds", "rough", "said"),
    [
        (3, False, "about 10 s"),
        (84, False, "about 80 s"),
        (100, False, "about 2 min"),
        (3_000, False, "about 50 min"),
        (9_000, False, "about 2.5 h"),
        (130_000, False, "about 36 h"),
        (1e6, False, "about 12 days"),
        (600, True, "5 min to 20 min"),
    ],
)
def test_no_more_is_said_of_a_time_than_is_known(seconds: float, rough: bool, said: str) -> None:
    assert about(seconds, rough=rough) == said


def test_each_card_says_what_its_preset_takes_or_why_that_is_not_known() -> None:
    seen = {"Quick look": SEEN, "Balanced": replace(SEEN, needs=20 * 10**9, cost=1.234, like=3)}
    html = faces(seen, "Balanced", "Reckoned for <this> machine.")
    quick, balanced, thorough = html.split('class="ft-face"')[1:]
    assert "about 10 min" in quick and "fits" in quick and "Cost" not in quick and "asked of 2 sides" in quick
    assert "120 steps 7 min, asking 3 min; as 3 runs like it took" in balanced
    assert "does not fit" in balanced and "ft-bad" in balanced and "$1.23" in balanced
    assert "…" in thorough and "Balanced: about 10 min, does not fit into memory." in thorough
    assert "Reckoned for &lt;this&gt; machine." in html
    assert "Train.epochs" not in faces({"Balanced": "train.epochs: no"}, "Balanced") and "“Epochs”: no." in faces(
        {"Balanced": "train.epochs: no"}, "Balanced"
    )


def test_what_is_to_mend_leads_to_its_field_and_only_start_is_an_alarm() -> None:
    wrong = [Wrong("eval", "two tasks are called a", ("eval",), across=True), Wrong("lora.r", "has to be 1 or more")]
    typed, asked = mending(wrong), mending(wrong, asked=True)
    assert mending([]) == "" and "One thing has" in mending(wrong[:1])
    assert 'role="status"' in typed and "data-lead" not in typed
    assert 'role="alert" data-lead>' in asked and asked.count('class="ft-lead-to"') == 1
    assert 'data-to="set-lora-r" data-in="group-adapter">LoRA rank</button>: has to be 1 or more.' in asked


def test_what_differs_is_named_shortly() -> None:
    assert changes({}, BALANCED) == ""
    assert "One setting differs from Balanced</strong>: Epochs." in changes({"train.epochs": 1}, BALANCED)
    many = {f"lora.{name}": 1 for name in ("r", "alpha", "dora", "rslora", "init")}
    assert "5 settings differ" in changes(many, BALANCED) and "rsLoRA and 1 more." in changes(many, BALANCED)


def test_a_hub_job_is_told_as_a_range_with_its_machine() -> None:
    html = faces({"Balanced": replace(SEEN, cost=1.0, rough=True, flavor="a10g-small")}, "Balanced")
    assert "5 min to 20 min<small>a guess, for a10g-small; setting it up is included" in html
    assert "$0.50 to $2.00" in html
