"""A run that looks trained: a tiny random base, and a random adapter on it, in a temp folder."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from ftspace.config import parse_config
from ftspace.runs import Run, RunStore
from ftspace.training.as_adapter import WEIGHTS
from ftspace.training.checkpoints import TRAINED
from tests.evals.conftest import make_adapter, make_model, make_tokenizer


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("inference")
    tokenizer = make_tokenizer()
    model = make_model(tied=True, vocabulary=len(tokenizer))
    model.save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    config = parse_config({"model": {"id": str(folder / "base")}, "train": {"device": "cpu"}})
    run = RunStore(folder / "runs").create(config)
    make_adapter(model, run.adapter, tokenizer)
    checkpoint = run.checkpoints / "step-000040"
    checkpoint.mkdir(parents=True)
    other = make_adapter(make_model(tied=True, vocabulary=len(tokenizer)), folder / "other", tokenizer, seed=5)
    save_file(
        {name.replace(".weight", ".default.weight"): one for name, one in load_file(other / WEIGHTS).items()},
        checkpoint / TRAINED,
    )
    return run


@pytest.fixture(scope="session")
def second(trained: Run) -> Run:
    """Another run on the same base, with another adapter."""
    run = RunStore(trained.path.parent).create(trained.config)
    tokenizer = make_tokenizer()
    make_adapter(make_model(tied=True, vocabulary=len(tokenizer)), run.adapter, tokenizer, seed=5)
    return run
