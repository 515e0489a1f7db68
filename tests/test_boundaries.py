"""Imports run one way, by design: proved on the syntax trees, so that no wall moves unnoticed."""

import ast
import subprocess
from pathlib import Path

import pytest

from ftspace.settings import ROOT

TORCH = {"torch", "transformers", "peft", "trl", "accelerate", "bitsandbytes", "lighteval", "safetensors"}
MAY_IMPORT_TORCH = {
    "ftspace/training",
    "ftspace/inference",
    "evals/adapters.py",
    "evals/change.py",
    "evals/decoding.py",
    "evals/executor.py",
    "evals/explain.py",
    "evals/generation.py",
    "evals/judge/local.py",
    "evals/lighteval",
    "evals/models.py",
    "evals/outputs.py",
    "evals/reading.py",
    "evals/scorers/embedding.py",
    "evals/sides.py",
    "evals/updates.py",
    "assets/demo",
    "assets/make_base.py",
    "benchmarks",
}
MAY_READ_ENVIRON = {"ftspace/settings.py"}


def sources() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if not name.startswith("tests/") and (ROOT / name).exists()]


def imported(name: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def below(name: str, rooms: set[str]) -> bool:
    return any(name == room or name.startswith(f"{room}/") for room in rooms)


@pytest.mark.parametrize("name", sources())
def test_imports_run_one_way(name: str) -> None:
    modules = imported(name)
    packages = {module.partition(".")[0] for module in modules}
    if not below(name, MAY_IMPORT_TORCH):
        assert packages & TORCH == set()
    if not below(name, {"ftspace/ui", "app.py", "assets/demo"}):
        assert "gradio" not in packages
    if name.startswith("evals/"):
        assert packages & {"ftspace", "gradio", "assets"} == set()
    if name.startswith("ftspace/"):
        assert packages & {"assets", "tests", "app", "benchmarks"} == set()
        if not name.startswith("ftspace/ui/"):
            assert not any(module.startswith("ftspace.ui") for module in modules)
    if name in ("ftspace/events.py", "ftspace/config.py", "ftspace/errors.py"):
        assert not {m for m in modules if m.startswith(("ftspace.jobs", "ftspace.runs", "ftspace.data", "evals"))}


@pytest.mark.parametrize("name", [name for name in sources() if name.startswith(("ftspace/", "app.py"))])
def test_only_settings_reads_the_environment(name: str) -> None:
    if name not in MAY_READ_ENVIRON:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not attributes & {"environ", "getenv"}


def test_every_module_says_what_it_is() -> None:
    silent = [name for name in sources() if not ast.get_docstring(ast.parse(Path(ROOT / name).read_text()))]
    assert silent == []
