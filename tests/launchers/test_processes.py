"""How many processes train a run, which GPUs they get, and what is refused before anything is begun."""

from typing import Any

import pytest

from ftspace import settings
from ftspace.config import RunConfig, parse_config
from ftspace.errors import ConfigError
from ftspace.launchers.processes import check_processes, gpus_of, processes_of, together
from ftspace.preflight.report import examine
from ftspace.runs import RunStore
from ftspace.settings import group_env, take_rank, worker_env
from ftspace.slots import fitted, slots_of


def config(**launch: Any) -> RunConfig:
    return parse_config({"launch": launch, "eval": {"tasks": []}})


def test_a_process_for_each_gpu_unless_the_config_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert processes_of(config()) == gpus_of(config()) == 2 and together(config())
    assert processes_of(config(processes=1)) == 1 and not together(config(processes=1))
    on_cpu = parse_config({"train": {"device": "cpu"}})
    assert (processes_of(on_cpu), gpus_of(on_cpu)) == (1, 0)
    with pytest.raises(ConfigError, match=r"launch.processes is 3 and this machine has 2 GPUs"):
        check_processes(config(processes=3))
    elsewhere = config(processes=64, launcher="hf-jobs")
    check_processes(elsewhere)
    assert not together(elsewhere) and processes_of(elsewhere) == 1


def test_more_processes_than_cores_are_refused_before_a_run_is_made(store: RunStore) -> None:
    many = parse_config({"launch": {"processes": 512}, "train": {"device": "cpu"}, "eval": {"tasks": []}})
    stop = next(one for one in examine(many, store.runs_dir).checks if one.what == "processes")
    assert stop.level == "stop" and f"{settings.cores()} core" in str(stop) and isinstance(stop.error, ConfigError)


def test_each_process_sees_its_own_gpu_and_nothing_of_the_group(
    monkeypatch: pytest.MonkeyPatch, store: RunStore
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    env = group_env(fitted(slots_of(store.runs_dir), worker_env(offline=True)), 2, 1)
    assert env["CUDA_VISIBLE_DEVICES"] == "2,5"
    env |= {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "1"}
    env |= {"MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29400"}
    rank = take_rank(env)
    assert rank is not None
    assert (rank.rank, rank.size, rank.node, rank.local, rank.address) == (3, 4, 1, 1, ("10.0.0.7", 29400))
    assert env["CUDA_VISIBLE_DEVICES"] == "5" and not {"RANK", "LOCAL_RANK", "WORLD_SIZE"} & env.keys()
    assert take_rank(env) is None
