"""What a job imports before it works, on a package of the test's own: torch takes no part."""

import gc
import importlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from ftspace.training import ready


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a package that no other test has imported."""
    name = f"seldom_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name / "part").mkdir(parents=True)
    (tmp_path / name / "__init__.py").write_text("VALUE = 7\n")
    (tmp_path / name / "part" / "__init__.py").write_text(f"from {name} import VALUE\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    for module in [one for one in sys.modules if one.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.mark.parametrize("wanted", ["VALUE", "part"])
def test_what_is_put_off_is_imported_when_something_of_it_is_asked_for(package: str, wanted: str) -> None:
    ready.put_off(package)
    module = importlib.import_module(package)
    assert find_spec(package) is not None and "VALUE" not in vars(sys.modules[package])
    if wanted == "part":
        assert importlib.import_module(f"{package}.part").VALUE == 7
    assert module.VALUE == sys.modules[package].VALUE == 7
    assert vars(sys.modules[package])["VALUE"] == 7
    with pytest.raises(AttributeError):
        module.other  # noqa: B018


def test_what_is_not_installed_is_not_put_off() -> None:
    ready.put_off("no_such_package")
    assert "no_such_package" not in sys.modules


def test_the_imports_of_a_function_are_made_before_it_is_called(package: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"def work():\n    from {package}.part import VALUE\n    return VALUE", namespace)
    frozen = gc.get_freeze_count()
    try:
        ready.import_for(namespace["work"])  # pyright: ignore[reportArgumentType]
        assert f"{package}.part" in sys.modules
        assert gc.isenabled() and gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
