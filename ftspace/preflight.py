"""What can be known to go wrong before a run is made, asked in seconds. Knows neither torch nor screens."""

from pathlib import Path

from evals.errors import EvalError as TaskProblem
from evals.tasks import load_tasks
from ftspace.config import RunConfig
from ftspace.data.prepare import Preview, preview
from ftspace.errors import EvalError, ModelError
from ftspace.hub.find import commit_of
from ftspace.jobs import require_space
from ftspace.settings import resolve_local

HELDOUT = "heldout"
"""The task made of the run's own test split."""


def check(config: RunConfig, runs_dir: Path) -> Preview:
    """Raises the FtspaceError that the run would end with, as far as it shows already; returns a preview."""
    require_space(runs_dir)
    check_model(config)
    task_paths(config)
    return preview(config.data)


def find_model(config: RunConfig) -> Path | None:
    """The folder of a local base, None for one that the Hub has. Raises ModelError, or HubError."""
    path = resolve_local(config.model.id)
    if path is None:
        commit_of("model", config.model.id, config.model.revision)
    return path


def check_model(config: RunConfig) -> None:
    """Raises ModelError when the base is not there or is no model that can be loaded."""
    path = find_model(config)
    if path is None:
        return
    if not path.is_dir():
        raise ModelError(f"model.id: {path} is a file; give the folder that holds config.json and the weights")
    if (path / "adapter_config.json").exists() and not (path / "config.json").exists():
        raise ModelError(f"model.id: {path} holds an adapter, not a model; give the model that it was trained on")
    if not (path / "config.json").exists():
        raise ModelError(f"model.id: {path} holds no model: config.json is missing")
    if not any(path.glob("*.safetensors")):
        raise ModelError(f"model.id: {path} has no .safetensors weights; other formats can run code and are not loaded")


def task_paths(config: RunConfig) -> list[Path]:
    """The task files that the config names, read and found good; `heldout` is none of them. Raises EvalError."""
    paths: list[Path] = []
    for name in config.eval.tasks:
        if name == HELDOUT:
            continue
        path = resolve_local(name)
        if path is None:
            raise EvalError(f"eval.tasks: there is no task file {name}; give the path of a JSONL file, or {HELDOUT}")
        paths.append(path)
    try:
        load_tasks(paths)
    except TaskProblem as error:
        raise EvalError(f"eval.tasks: {error}") from error
    return paths
