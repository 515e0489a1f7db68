"""What the documents say is compared with what is there."""

import re
import subprocess
from pathlib import Path

import yaml

from benchmarks import costs
from ftspace import reference
from ftspace.settings import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_references_are_what_the_code_says() -> None:
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == reference.configuration(), "run: make docs"
    assert (ROOT / "docs/cli.md").read_text(encoding="utf-8") == reference.commands(), "run: make docs"


def test_the_readmes_tree_is_the_disks() -> None:
    tree = README.partition("<!-- tree -->")[2].partition("<!-- /tree -->")[0]
    named = {line.split()[0].rstrip("/") for line in tree.splitlines() if re.match(r"[\w.]", line)}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    rooms = {str(Path(*Path(name).parts[:2])) for name in files if len(Path(name).parts) > 2}
    code = {name for name in files if name.endswith(".py") and name.startswith(("ftspace/", "evals/"))}
    modules = {name for name in code if not name.endswith("__init__.py") and len(Path(name).parts) == 2}
    top = {name for name in files if "/" not in name and not name.startswith(".")}
    missing = (modules | top | {room for room in rooms if room.startswith(("ftspace/", "evals/"))}) - named
    assert missing == set()
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_front_matter_is_one_that_a_space_takes() -> None:
    front = yaml.safe_load(README.split("---")[1])
    assert front["sdk"] == "gradio" and front["app_file"] == "app.py"
    pins = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert front["sdk_version"] == pins["gradio"]
    assert str(front["python_version"]) == "3.12"


def test_links_and_pictures_are_there() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_lock_holds_what_is_pinned_and_no_gradio_with_known_holes() -> None:
    lock, direct = _pins("requirements.lock"), _pins("requirements.txt") | _pins("requirements-dev.txt")
    assert direct <= lock, "run: make lock"
    assert len(lock) > 2 * len(direct)
    assert tuple(int(part) for part in dict(lock)["gradio"].split(".")) >= (6, 31)


def _pins(name: str) -> set[tuple[str, str]]:
    found = re.findall(r"^([\w.-]+)(?:\[\w+\])?==([^\s;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {(package.lower().replace("_", "-"), version) for package, version in found}


def test_what_training_costs_elsewhere_is_what_the_estimator_says() -> None:
    page = (ROOT / "docs/costs.md").read_text(encoding="utf-8")
    told = page.partition("<!-- predicted -->\n")[2].partition("\n<!-- /predicted -->")[0]
    assert told == costs.predicted(), "run: python -m benchmarks.costs --write docs/costs.md"
    assert page.count("\n") > told.count("\n") + 20
