"""A Space's files are enough for it to start, and its README is one that the Hub takes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ftspace.devices import TABLE as CARDS
from ftspace.errors import ConfigError
from ftspace.hub.spaces import files as space_files
from ftspace.hub.spaces.files import app_files, check_front, front_matter, pins
from ftspace.hub.spaces.hardware import TABLE, Hardware, hardware_named
from ftspace.settings import ROOT


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return app_files()


def test_all_that_the_app_imports_of_itself_is_there(files: dict[str, bytes]) -> None:
    ours = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files}
    imports = re.compile(rb"^ *(?:from|import) ((?:ftspace|evals|assets)(?:\.\w+)*)", re.MULTILINE)
    named = {one.decode() for content in files.values() for one in imports.findall(content)}
    assert named - ours == set() and len(named) > 150


def test_it_holds_what_runs_and_nothing_else(files: dict[str, bytes]) -> None:
    assert {"app.py", "requirements.txt", "README.md", "assets/default.yaml", "ftspace/ui/css/page.css"} <= set(files)
    tops = {name.partition("/")[0] for name in files}
    assert tops == {
        ".ftspace-space.json",
        "LICENSE",
        "README.md",
        "app.py",
        "assets",
        "evals",
        "ftspace",
        "requirements.txt",
    }
    assert not [name for name in files if "__pycache__" in name or "screenshots" in name]
    assert sum(map(len, files.values())) < 20_000_000
    assert app_files() == files


def test_only_what_git_tracks_is_sent_and_a_copy_sends_the_same(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setattr(space_files, "ROOT", tmp_path)
    assert app_files().keys() == files.keys() and space_files.left_out() == []
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "add", "app.py", "ftspace", "requirements.txt"], cwd=tmp_path, check=True)
    (tmp_path / "ftspace" / "rows.jsonl").write_text("{}")
    assert {name.partition("/")[0] for name in app_files()} == {
        "app.py",
        "ftspace",
        "requirements.txt",
        "README.md",
        space_files.MARK,
    }
    assert "ftspace/rows.jsonl" not in app_files() and "ftspace/rows.jsonl" in space_files.left_out()
    (tmp_path / ".git" / "HEAD").unlink()
    with pytest.raises(ConfigError, match="git cannot say which files"):
        app_files()


def test_it_starts_from_a_folder_of_its_own(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    done = subprocess.run([sys.executable, "app.py", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "--share" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"sdk: gradio", b"sdk: docker", "sdk must be gradio"),
        (b"sdk_version: ", b"sdk_version: 1", "requirements.txt asks for"),
        (b"app_file: app.py", b"app_file: main.py", "main.py is not among the files"),
        (b"python_version: '3.12'", b"python_version: 3.12", "in quotes"),
        (b"colorTo: green", b"colorTo: teal", "colorTo must be one of"),
        (b"title: ftspace\n", b"", "title is missing"),
        (b"short_description: ", b"short_description: " + b"very " * 12, "more than 60"),
        (b"hf_oauth: true", b"hf_oauth: false", "nobody can sign in"),
        (b"- contribute-repos\n", b"", "hf_oauth_scopes lacks contribute-repos"),
        (b"---\n", b"--\n", "no front matter"),
        (b"title: ", b"title: [", "not YAML"),
    ],
)
def test_a_readme_that_no_space_takes_is_refused(
    files: dict[str, bytes], old: bytes, new: bytes, expected: str
) -> None:
    assert old in files["README.md"]
    with pytest.raises(ConfigError, match=expected):
        check_front({**files, "README.md": files["README.md"].replace(old, new, 1)}, "app")


def test_the_readme_of_the_project_is_a_spaces_too() -> None:
    readme = {"README.md": (ROOT / "README.md").read_bytes(), "app.py": b""}
    assert check_front({**readme, "requirements.txt": (ROOT / "requirements.txt").read_bytes()}, "app")
    assert front_matter(readme["README.md"].decode())["sdk_version"] == pins()["gradio"]


def test_prices_are_those_of_the_cards() -> None:
    cards = {one.name: one.dollars_an_hour for one in CARDS}
    pairs = {"t4-small": "T4", "l4x1": "L4", "a10g-small": "A10G", "a100-large": "A100-80"}
    assert {name: hardware_named(name).dollars_an_hour for name in pairs} == {
        name: cards[card] for name, card in pairs.items()
    }
    zero = Hardware("zero-a10g", "ZeroGPU", 0.0)
    assert hardware_named(zero.name, [zero], demo=False).lent  # runs go there in leases
    with pytest.raises(ConfigError, match="keeps its model loaded"):
        hardware_named(zero.name, [zero])
    assert "$0.40 an hour, $292 a month" in str(hardware_named("t4-small")) and "free" in str(TABLE[0])
