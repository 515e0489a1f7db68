"""Which files a dataset's card says hold its rows. Looked at before `datasets` looks for them.

`datasets` searches this machine for what a card names with an absolute path, and other servers for an address, and
only then finds that a dataset of the Hub may not have them; how it says so tells whether they are there.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from evals.errors import one_line
from ftspace.errors import DatasetError
from ftspace.hub.asker import hub_token

_CARDS = ("README.md", ".huggingface.yaml")
"""Where `datasets` reads it, the second over the first."""
_ELSEWHERE = re.compile(r"^[/\\~]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|://|::")


def check_card(repo_id: str, commit: str) -> None:
    """Raises DatasetError when a card names files that are not its repository's, or cannot be read."""
    from httpx2 import HTTPError
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    for name in _CARDS:
        try:
            path = hf_hub_download(repo_id, name, repo_type="dataset", revision=commit, token=hub_token())
            text = Path(path).read_text(encoding="utf-8", errors="replace")
            found: Any = yaml.safe_load(_front(text) if name == _CARDS[0] else text)
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, HTTPError, OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise DatasetError(f"cannot read the card of the dataset {repo_id}: {one_line(error)}") from error
        configs: Any = cast("Mapping[str, Any]", found).get("configs") if isinstance(found, Mapping) else None
        if any(_ELSEWHERE.search(one) for one in _named(configs)):
            raise DatasetError(
                f"the card of the dataset {repo_id} names files that are not in its repository, and they are not "
                "looked for; choose another dataset"
            )


def _front(card: str) -> str:
    """The YAML at the head of a card, as the Hub's client finds it."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    found = REGEX_YAML_BLOCK.search(card)
    return found.group(2) if found else ""


def _named(value: Any, *, said: bool = False) -> Iterator[str]:
    """The texts below `data_files` and `data_dir`, however they are nested."""
    if isinstance(value, str):
        if said:
            yield value
    elif isinstance(value, Mapping):
        for key, inner in cast("Mapping[Any, Any]", value).items():
            yield from _named(inner, said=said or key in ("data_files", "data_dir"))
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            yield from _named(inner, said=said)
