"""Licenses side by side: shown, and warned of where one asks for something."""

from pathlib import Path
from typing import Any

import pytest

from ftspace.hub.licenses import beside, family_of, local_terms


@pytest.mark.parametrize(
    ("terms", "family"),
    [
        ({"license": "apache-2.0"}, "open"),
        ({"license": "cc-by-4.0"}, "open"),
        ({"license": "cc-by-sa-4.0"}, "share-alike"),
        ({"license": "gpl-3.0"}, "share-alike"),
        ({"license": "cc-by-nc-sa-4.0"}, "non-commercial"),
        ({"license": "cc-by-nd-4.0"}, "no derivatives"),
        ({"license": ["mit", "cc-by-nc-4.0"]}, "non-commercial"),
        ({"license": "llama3.1"}, "own terms"),
        ({"license": "gemma"}, "own terms"),
        ({"license": "other", "license_name": "town-research-non-commercial"}, "non-commercial"),
        ({"license": "other", "license_name": "town-research-license"}, "non-commercial"),
        ({"license": "intel-research"}, "non-commercial"),
        ({"license": "other", "license_name": "bsl-1.1"}, "own terms"),
        ({"license": "bsl-1.0"}, "open"),
        ({"license": "other", "license_name": "mitigated"}, "own terms"),
        ({"license": "other", "license_name": "publicly-shown"}, "own terms"),
        ({"license": "other", "license_name": "gplv3"}, "share-alike"),
        ({"license": "bsd-3-clause-clear"}, "open"),
        ({"license": "other"}, "unknown"),
        ({"license": "unknown"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_a_license_is_known_by_its_name(terms: dict[str, Any], family: str) -> None:
    assert family_of(terms) == family


@pytest.mark.parametrize(
    ("base", "data", "level", "said"),
    [
        ("apache-2.0", "mit", "ok", "base apache-2.0, dataset mit"),
        ("llama3.1", "mit", "ok", "the base has terms of its own"),
        ("apache-2.0", "cc-by-nc-4.0", "warning", "the dataset asks for non-commercial use"),
        ("apache-2.0", "", "warning", "the dataset does not say what may be done with it"),
        ("gpl-3.0", "cc-by-sa-4.0", "warning", "under its own terms"),
        ("gpl-3.0", "gpl-3.0", "ok", "gpl-3.0"),
    ],
)
def test_two_licenses_go_together_as_far_as_they_say(base: str, data: str, level: str, said: str) -> None:
    found = beside({"license": base}, {"license": data} if data else {}, base_here=False, data_here=False)
    assert found.level == level and said in found.detail and bool(found.fix) == (level == "warning")


def test_a_folder_of_ones_own_may_say_nothing(tmp_path: Path) -> None:
    assert local_terms(tmp_path) == {}
    assert beside({}, {}, base_here=True, data_here=True).level == "ok"
    (tmp_path / "README.md").write_text("---\nlicense: mit\ntags: [a]\n---\n# A model\n")
    assert local_terms(tmp_path) == {"license": "mit"}
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n")
    assert local_terms(tmp_path) == {}
