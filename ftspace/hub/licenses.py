"""What a base and a dataset say of their licenses, side by side. Shows and warns; it is no legal advice.

Knows the names that the Hub lists and what their families have in common, and nothing of what a court would say.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from ftspace.checks import Check
from ftspace.hub.finding.find import terms_of

Family = Literal["open", "share-alike", "no derivatives", "non-commercial", "own terms", "unknown"]
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---", re.DOTALL)
_END = r"(?!(?!v\d)[a-z])"
"""Behind a name: no more of the word, but a version such as v3."""
_FAMILIES: tuple[tuple[Family, re.Pattern[str]], ...] = (
    ("non-commercial", re.compile(r"\bnc\b|non-?commercial|\bresearch\b")),
    ("no derivatives", re.compile(r"\bnd\b|no-?deriv")),
    ("share-alike", re.compile(rf"^(a?gpl|lgpl|odbl|mpl|eupl|osl|cecill){_END}|\bsa\b|sharing")),
    (
        "open",
        re.compile(
            r"^(apache|mit|0?bsd|cc0|cc-by-\d|cc-by$|unlicense|isc|zlib|odc-by|pddl|cdla-permissive|wtfpl|afl|artistic"
            rf"|bsl-1\.0|ecl|ms-pl|ncsa|postgresql|cc$|pd|public-domain){_END}"
        ),
    ),
)
_STRICTEST: tuple[Family, ...] = (
    "non-commercial",
    "no derivatives",
    "unknown",
    "own terms",
    "share-alike",
    "open",
)


def local_terms(folder: Path) -> dict[str, Any]:
    """What the card in a local folder says of its license; nothing where there is none, or it cannot be read."""
    try:
        found = _FRONT.match((folder / "README.md").read_text(encoding="utf-8"))
        said: Any = yaml.safe_load(found[1]) if found else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return terms_of(said) if isinstance(said, dict) else {}


def name_of(terms: Mapping[str, Any]) -> str:
    """The license's name; "" where none is said."""
    given = terms.get("license")
    names = [str(one) for one in given] if isinstance(given, list) else [str(given)] if given else []
    return ", ".join(str(terms.get("license_name") or one) if one == "other" else one for one in names)


def family_of(terms: Mapping[str, Any]) -> Family:
    """What is known of a license by its name; the strictest where there are several."""
    name = name_of(terms).casefold()
    if not name or name in ("unknown", "other"):
        return "unknown"
    found = {next((family for family, look in _FAMILIES if look.search(one)), "own terms") for one in name.split(", ")}
    return next(one for one in _STRICTEST if one in found)


def beside(base: Mapping[str, Any], data: Mapping[str, Any], *, base_here: bool, data_here: bool) -> Check:
    """Both licenses in one line, and whether they go together as far as they say.

    Args:
        base: what the base says of its own.
        data: the dataset's.
        base_here: whether the base is a local folder, whose owner may know more than it says.
        data_here: the same of the dataset.
    """
    families: dict[str, Family] = {"base": family_of(base), "dataset": family_of(data)}
    here = {"base": base_here, "dataset": data_here}
    names = {"base": name_of(base), "dataset": name_of(data)}
    shown = ", ".join(f"{which} {name or ('not said' if here[which] else 'unknown')}" for which, name in names.items())
    said: list[str] = []
    for which, family in families.items():
        if family == "unknown" and not here[which]:
            said.append(f"the {which} does not say what may be done with it")
        elif family == "non-commercial":
            said.append(f"the {which} asks for non-commercial use")
        elif family == "no derivatives":
            said.append(f"the {which} asks that nothing made from it is shared")
    if families["base"] == families["dataset"] == "share-alike" and names["base"] != names["dataset"]:
        said.append("each asks that what is made from it is shared under its own terms")
    links = [str(terms["license_link"]) for terms in (base, data) if terms.get("license_link")]
    if said:
        fix = "read both" + (f" ({', '.join(links)})" if links else "") + " and decide whether it is yours to do"
        return Check("warning", "license", f"{shown}: {' and '.join(said)}", f"{fix}; what is pushed names them")
    own = [which for which, family in families.items() if family == "own terms"]
    after = f"; the {' and the '.join(own)} has terms of its own" if own else ""
    return Check("ok", "license", f"{shown}{after}{' at ' + ', '.join(links) if links and own else ''}")
