import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch.distributed.run import get_args_parser

from ftspace import cli
from ftspace.config import RunConfig, load_config, parse_config
from ftspace.errors import ConfigError
from ftspace.runs import RunStore
from ftspace.schedulers.job import Wanted, job_of
from ftspace.schedulers.scripts import Scheduler, script_of
from ftspace.settings import ASSETS, ROOT
from ftspace.sweeps.grid import cell_of
from tests.finished_run import finished_run

SBATCH = {
    "job-name", "nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task", "time", "output", "open-mode", "requeue",
    "signal",
}  # fmt: skip
"""Of sbatch's manual: https://slurm.schedmd.com/sbatch.html."""
TASK = {"name", "workdir", "num_nodes", "resources", "secrets", "file_mounts", "setup", "run"}
"""Of SkyPilot's: https://docs.skypilot.co/en/latest/reference/yaml-spec.html."""
THERE = {
    "SKYPILOT_NODE_RANK": "2",
    "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2\n10.0.0.3",
    "RDZV_ENDPOINT": "first:29500",
    "SLURM_JOB_ID": "7",
    "RUN": "/data/a run",
    "PATH": "/usr/bin:/bin",
}
"""What the schedulers put into the environment there."""
WAYS: tuple[Scheduler, ...] = ("sky", "slurm", "torchrun")
TOKEN = "hf_" + "a" * 34


def text_of(store: RunStore, scheduler: Scheduler, wanted: Wanted | None = None, **sections: Any) -> str:
    return script_of(job_of(parse_config(sections), wanted or Wanted(gpus=2), store), scheduler)


def shell_of(text: str, scheduler: Scheduler) -> str:
    return yaml.safe_load(text)["run"] if scheduler == "sky" else text


def torchrun_of(shell: str) -> Any:
    """What torchrun's own parser makes of the words that the shell makes of the script's line."""
    (line,) = re.findall(r"-m torch\.distributed\.run (.*) ;;", shell)
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {line}"], env=THERE, capture_output=True, text=True, check=True
    )
    return get_args_parser().parse_args(words.stdout.splitlines())


def config_in(shell: str, folder: Path) -> RunConfig:
    path = folder / "config.yaml"
    path.write_text(re.findall(r"<<'(END_OF_\w+)'\n(.*?)\n\1\n", shell, re.DOTALL)[0][1])
    return load_config(path)


@pytest.mark.parametrize("scheduler", WAYS)
def test_each_is_taken_by_its_own_parser_and_holds_the_same_run(
    scheduler: Scheduler, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    rows = tmp_path / "it's mine" / "rows.jsonl"
    rows.parent.mkdir()
    rows.write_text((ASSETS / "datasets" / "people.jsonl").read_text())
    for nodes in (1, 3):
        wanted = Wanted(nodes=nodes, gpus=4, device="A100-80")
        text = text_of(store, scheduler, wanted, data={"id": str(rows)}, train={"learning_rate": 0.00125})
        shell = shell_of(text, scheduler)
        checked = subprocess.run(["bash", "-n"], input=shell, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr
        told = torchrun_of(shell)
        assert (told.nnodes, told.nproc_per_node, told.training_script) == (str(nodes), "4", "ftspace.training.worker")
        assert told.module and told.training_script_args == ["/data/a run"] and told.standalone == (nodes == 1)
        config = config_in(shell, tmp_path)
        assert config.train.learning_rate == 0.00125 and config.launch == parse_config({}).launch
        assert TOKEN not in text
        if scheduler == "sky":
            task = yaml.safe_load(text)
            assert set(task) <= TASK and task["num_nodes"] == nodes
            assert task["resources"] == {"accelerators": "A100-80GB:4"} and "secrets" not in task
            assert task["file_mounts"] == {"~/ftspace-files/0/rows.jsonl": str(rows)}
            assert config.data.id == "~/ftspace-files/0/rows.jsonl"
            assert nodes == 1 or (told.node_rank, told.master_addr, told.master_port) == (2, "10.0.0.1", 29500)
        else:
            assert config.data.id == str(rows)
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", text, re.MULTILINE))
    if scheduler == "slurm":
        assert set(asked) == SBATCH and asked["nodes"] == "3" and asked["gpus-per-node"] == "4"
        assert told.rdzv_backend == "c10d" and told.rdzv_endpoint == "first:29500"
        assert re.fullmatch(r"(\d+-)?\d\d:\d\d:00", asked["time"]) and asked["time"] >= "00:30:00"


def test_skypilots_own_parser_takes_it_where_it_is_installed(store: RunStore, tmp_path: Path) -> None:
    sky = pytest.importorskip("sky")
    path = tmp_path / "task.yaml"
    path.write_text(text_of(store, "sky", model={"id": "owner/model"}))
    assert sky.Task.from_yaml(str(path)).num_nodes == 1


def test_the_time_is_three_times_the_estimate_and_the_card_the_smallest_that_fits(store: RunStore) -> None:
    job = job_of(parse_config({}), Wanted(), store)
    assert job.minutes == 30 and job.device and job.device.name == "T4" and job.gpus == 1
    long = job_of(parse_config({"train": {"epochs": 30_000}}), Wanted(device="l4"), store)
    assert long.estimate and long.minutes == pytest.approx(3 * long.estimate, abs=1) and long.minutes > 60
    assert "time=1-01:30:00\n" in text_of(store, "slurm", Wanted(minutes=1530))
    cpu = text_of(store, "slurm", Wanted(minutes=10), train={"device": "cpu"})
    assert "gpus" not in cpu and "time=00:10:00" in cpu and "torch.distributed" not in cpu
    two = text_of(store, "slurm", Wanted(minutes=10, nodes=2), train={"device": "cpu"})
    assert torchrun_of(two).nproc_per_node == "1" and torchrun_of(two).nnodes == "2"


def test_runs_that_it_names_become_their_adapters(store: RunStore) -> None:
    run = finished_run(store)
    text = text_of(store, "sky", lora={"start_from": run.id}, eval={"earlier": [run.id]})
    assert yaml.safe_load(text)["file_mounts"] == {"~/ftspace-files/0/adapter": str(run.adapter)}
    assert run.id not in shell_of(text, "sky")
    with pytest.raises(ConfigError, match="has no adapter"):
        text_of(store, "sky", lora={"start_from": store.create(parse_config({})).id})


def test_the_hubs_token_is_asked_for_by_name_where_the_hub_is(store: RunStore) -> None:
    wanted = Wanted(device="H100", minutes=60)
    config = parse_config({"model": {"id": "owner/model"}, "data": {"id": "owner/rows"}})
    task = yaml.safe_load(script_of(job_of(config, wanted, store), "sky"))
    assert task["secrets"] == {"HF_TOKEN": None} and task["resources"] == {"accelerators": "H100:1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.yaml", "--as", "sky"], "neither a run's id nor a config's YAML"),
        (["{config}", "--as", "slurm", "--device", "GTX"], "known are T4"),
        (["{config}", "--as", "slurm", "--nodes", "0"], "0 machines"),
        (["{config}", "--as", "slurm", "--out", "{config}"], "is there already"),
        (["{run}", "--what", "config"], "where is the config to go"),
        (["{run}", "--what", "config", "--out", "x", "--gpus", "2"], "--gpus is for a scheduler"),
    ],
)
def test_what_cannot_be_exported_is_said(
    words: list[str], said: str, store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, config = finished_run(store), tmp_path / "config.yaml"
    config.write_text("train: {seed: 1}\n")
    spelled = [word.format(run=run.id, config=config) for word in words]
    assert cli.main(["export", *spelled, "--data-dir", str(store.runs_dir.parent)]) == 2
    assert said in capsys.readouterr().err


def test_a_run_by_its_id_goes_to_stdout_a_file_or_json(
    store: RunStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = finished_run(store, train={"seed": 7}), tmp_path / "new" / "job.sh"
    where = ["--data-dir", str(store.runs_dir.parent)]
    assert cli.main(["export", run.id, "--as", "torchrun", *where]) == 0
    assert config_in(capsys.readouterr().out, tmp_path).train.seed == 7
    assert cli.main(["export", run.id, "--as", "slurm", "-o", str(out), "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["text"] == out.read_text() and told["device"] == "T4" and told["minutes"] == 30


def test_the_script_trains_compares_and_started_again_finds_nothing_to_do(store: RunStore, tmp_path: Path) -> None:
    config = load_config(ASSETS / "default.yaml")
    quick = {"train.max_steps": 3, "train.samples": 0, "train.device": "cpu", "eval.max_samples": 30, "eval.shots": 0}
    quick |= {"eval.tasks": ["heldout"], "eval.forgetting": [], "eval.noise": False, "hub.offline": True}
    path = tmp_path / "run.sh"
    path.write_text(script_of(job_of(cell_of(config, quick).config, Wanted(minutes=5), store), "torchrun"))
    place = {"FTSPACE_DATA": str(store.runs_dir.parent), "FTSPACE_PROJECT": str(ROOT), "PATH": "/usr/bin:/bin"}

    def go() -> str:
        done = subprocess.run(["bash", path], env=place, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1].removeprefix("the run is in ")

    run = store.get(Path(go()).name)
    assert run.adapter.is_dir() and run.results.is_file()
    stamps = run.adapter_stamp, run.results.stat().st_mtime_ns
    assert Path(go()) == run.path and (run.adapter_stamp, run.results.stat().st_mtime_ns) == stamps
