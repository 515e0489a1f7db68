"""The command `estimate`, and what a probe makes of it."""

import fcntl
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ftspace.cli import main
from ftspace.config import default_config, parse_config
from ftspace.devices import Device, Speed, keep_speed, known_speed, this_machine
from ftspace.errors import JobError
from ftspace.events import Prepared, Started, Step
from ftspace.jobs import follow
from ftspace.probe import corrected, measured, only_training, probe
from ftspace.runs import RunReader
from ftspace.slots import SLOT
from ftspace.state import fold
from ftspace.training.forecast import Forecast, Probe

SPEED = Speed(half=2e11, single=1e11, bandwidth=1e10, launch_seconds=5e-6)


@pytest.fixture
def measured_machine(tmp_path: Path) -> Path:
    keep_speed(tmp_path, SPEED)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["estimate", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_embedded_default_is_estimated(measured_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(capsys, "--data-dir", str(measured_machine), "--train.device", "cpu")
    assert found["fits"]
    assert 0.5e9 < found["peak_memory_bytes"] < 2e9
    assert found["seconds"] == pytest.approx(sum(found["time"].values()), abs=0.5)
    assert found["parameters"] == 3_346_944
    assert found["trainable_parameters"] == 303_616  # as PEFT counts them, two token rows included
    assert found["steps"] == 192
    assert [one["device"] for one in found["devices"]][:3] == ["this machine", "T4", "L4"]
    assert found["doubts"] == []


def test_a_device_of_the_table_and_flags_are_heeded(measured_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data-dir", str(measured_machine), "--device", "l4", "--train.epochs", "4", "--eval.tasks", ""]
    found = run(capsys, *words)
    assert (found["device"], found["steps"], found["memory"]["comparison"]) == ("L4", 384, 0)


def test_a_job_of_the_hub_is_estimated_for_its_flavor(
    measured_machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--data-dir", str(measured_machine), "--launcher", "hf-jobs", "--flavor")
    found = run(capsys, *asked, "a10g-small")
    assert found["device"] == "a10g-small" and found["memory"]["idle"] > 0 and found["fits"]
    assert main(["estimate", *asked, "a10g-small"]) == 0
    assert re.search(r"as a job of the Hub on a10g-small: about \d.* min, \$\d", capsys.readouterr().out)
    assert main(["estimate", *asked, "a10g-smal"]) == 2 and "a10g-small" in capsys.readouterr().err
    assert main(["estimate", *asked, "a10g-small", "--probe"]) == 2 and "--launcher" in capsys.readouterr().err


def test_the_table_says_what_it_is(measured_machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--data-dir", str(measured_machine)]) == 0
    said = capsys.readouterr().out
    assert "fits this machine" in said
    assert "activations of one pass" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "abacus"], "known are"),
        (["--device", "T4", "--probe"], "leave one"),
        (["--model", "./nowhere"], "nowhere"),
        (["--model.dtype", "float16"], "set it to bfloat16"),
    ],
)
def test_what_cannot_be_estimated_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", *words, "--hub.offline", "true"]) == 2
    assert said in capsys.readouterr().err


def test_a_machine_that_was_not_measured_is_guessed(tmp_path: Path) -> None:
    here = this_machine(tmp_path, device="cpu")
    assert not here.measured
    assert here.single > 1e9
    keep_speed(tmp_path, SPEED)
    assert known_speed(tmp_path) == SPEED
    assert this_machine(tmp_path, device="cpu").measured


def test_a_damaged_measurement_counts_as_none(tmp_path: Path) -> None:
    keep_speed(tmp_path, SPEED)
    (tmp_path / "cache" / "machine.json").write_text("{", encoding="utf-8")
    assert known_speed(tmp_path) is None


def test_a_card_without_bfloat16_computes_it_as_float32() -> None:
    card = Device("old", "cuda", 1, half=5.0, single=2.0, bandwidth=1, launch_seconds=0, bfloat16=False)
    assert [card.flops(dtype) for dtype in ("float16", "bfloat16", "float32")] == [5.0, 2.0, 2.0]


def test_a_probe_waits_until_the_machine_is_free(measured_machine: Path) -> None:
    (measured_machine / "runs").mkdir()
    slot = (measured_machine / "runs" / SLOT).open("w")
    fcntl.flock(slot, fcntl.LOCK_EX)

    def stop_and_watch(reader: RunReader) -> None:
        assert slot.closed
        reader.run.stop_flag.touch()
        list(follow(reader))

    with pytest.raises(JobError, match=r"\(cancelled\): stopped"):
        probe(default_config(), measured_machine, stop_and_watch, slot.close)


def test_a_probe_needs_no_validation() -> None:
    asked = {"scheduler": "reduce_lr_on_plateau", "warmup": 0.5, "keep": "best", "patience": 2, "best_by": "score"}
    made = only_training(parse_config({"train": {**asked, "learning_rate": 2e-4}}))
    assert (made.data.validation_fraction, made.train.scheduler, made.train.warmup) == (0, "constant", 0)
    assert made.train.learning_rate == 2e-4


def test_a_probe_leaves_out_the_first_steps_and_takes_the_median() -> None:
    prepared = Prepared(
        rows={"train": 9},
        dropped={},
        format="messages",
        total_steps=10,
        trainable_parameters=1,
        parameters=2,
        device="cpu",
        dtype="float32",
        time=30.0,
    )
    ends = [9.0, 14.0, 15.0, 16.0, 17.0, 27.0]
    steps = [
        Step(step=n, epoch=0, loss=1, learning_rate=1, tokens=100 * n, seconds=end, memory=1000 + n, time=31.0)
        for n, end in enumerate(ends, start=1)
    ]
    seen = measured(fold([Started(job="train", pid=1, time=18.0), prepared, *steps]))
    assert seen == Probe(steps=6, peak_memory_bytes=1006, seconds_a_token=0.01, start_seconds=12.0)


@pytest.mark.parametrize(("peak", "fits"), [(5_000, True), (20_000, False), (None, True)])
def test_a_probe_corrects_and_keeps_what_was_estimated(
    peak: int | None, fits: bool, measured_machine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Forecast(**run(capsys, "--data-dir", str(measured_machine), "--eval.tasks", ""))
    here = found.devices[0].model_copy(update={"memory_bytes": 10_000, "peak_memory_bytes": 7_000, "fits": True})
    found = found.model_copy(
        update={"devices": [here, *found.devices[1:]], "peak_memory_bytes": 7_000, "memory": {"comparison": 0}}
    )
    pace = 2 * found.step_seconds * found.steps / found.tokens
    after = corrected(found, Probe(steps=10, peak_memory_bytes=peak, seconds_a_token=pace, start_seconds=3.0))
    assert (after.peak_memory_bytes, after.fits) == (peak or 7_000, fits)
    assert after.time["training"] == pytest.approx(2 * found.time["training"], abs=0.2)
    assert (after.estimated_peak_memory_bytes, after.estimated_seconds) == (7_000, found.seconds)
