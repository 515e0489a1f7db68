"""What the Hub finds in a card: its metadata, and what it would not take."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_LICENSES = (
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 "
    "bigcode-openrail-m afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear c-uda cc "
    "cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 "
    "cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 "
    "cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 "
    "eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc h-research intel-research "
    "lppl-1.3c ms-pl apple-ascl apple-amlr mpl-2.0 odc-by odbl openmdw-1.0 openrail++ osl-3.0 postgresql "
    "ofl-1.1 ncsa unlicense zlib pddl lgpl-lr deepfloyd-if-license fair-noncommercial-research-license llama2 "
    "llama3 llama3.1 llama3.2 llama3.3 llama4 grok2-community gemma unknown other "
)
LICENSES = frozenset(_LICENSES.split())
COLORS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
SDKS = ("gradio", "streamlit", "docker", "static")
REPO = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
SHORT = 60
"""Most characters of a Space's short description."""


def front_matter(card: str) -> Any:
    """The metadata of a card; None where it has none. Raises yaml.YAMLError."""
    found = re.match(r"---\r?\n(.*?)^---\s*$", card, re.DOTALL | re.MULTILINE)
    return yaml.safe_load(found[1]) if found else None


def problems(card: str, repo_type: str) -> tuple[list[str], list[str]]:
    """What is wrong with a card so that it is not taken, and what is missing in it."""
    try:
        data = front_matter(card)
    except yaml.YAMLError as error:
        return [f"bad indentation or syntax in the YAML: {' '.join(str(error).split())}"], []
    if data is None:
        return [], ["empty or missing yaml metadata in repo card"]
    if not isinstance(data, Mapping):
        return ["the metadata must be an object"], []
    return [*_wrong(dict(data), repo_type)], []


def _wrong(data: dict[str, Any], repo_type: str) -> Iterator[str]:
    if not LICENSES.issuperset(map(str, as_list(data.get("license")))):
        yield f'"license" must be one of [{", ".join(sorted(LICENSES))}]'
    for field, kind in (("base_model", "model"), ("datasets", "dataset"), ("models", "model")):
        for name in as_list(data.get(field)):
            if not isinstance(name, str) or not REPO.fullmatch(name):
                yield f'"{field}" with value "{name}" is not valid. Use a {kind} id from https://hf.co/{kind}s.'
    for field in ("tags", "language"):
        if not all(isinstance(one, str) for one in as_list(data.get(field))):
            yield f'"{field}" must be a string or a list of strings'
    for field in ("pipeline_tag", "library_name", "base_model_relation"):
        if not isinstance(data.get(field, ""), str):
            yield f'"{field}" must be a string'
    for entry in as_list(data.get("model-index")):
        if not isinstance(entry, Mapping) or not isinstance(dict(entry).get("results"), list):
            yield '"model-index[0].results" is required'
    if repo_type == "space":
        yield from _wrong_with_space(data)


def _wrong_with_space(data: dict[str, Any]) -> Iterator[str]:
    if data.get("sdk") not in SDKS:
        yield f'"sdk" must be one of [{", ".join(SDKS)}]'
    for field in ("colorFrom", "colorTo"):
        if data.get(field, "red") not in COLORS:
            yield f'"{field}" must be one of [{", ".join(COLORS)}]'
    if len(str(data.get("short_description", ""))) > SHORT:
        yield f'"short_description" length must be less than or equal to {SHORT} characters long'


def as_list(value: Any) -> list[Any]:
    """A field that may hold one or several."""
    return [] if value is None else value if isinstance(value, list) else [value]
