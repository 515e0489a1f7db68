"""The card of a prepared dataset: README.md with what the Hub reads in front and what people read below.

Pure text from what is known of source and rows: asks nobody, and invents no license.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from ftspace.data.prepare import SPLITS, Manifest, Split
from ftspace.redact import redact
from ftspace.sections import DataConfig

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


@dataclass(frozen=True)
class Source:
    """Where rows come from, as far as a card may tell."""

    name: str
    """A Hub id, or the bare name of a local file or folder: where it lies is nobody's business."""
    revision: str | None = None
    url: str | None = None
    terms: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The source's own words on its license; empty when it has none."""
    restricted: Literal["private", "gated"] | None = None
    """Why not everybody may read it."""


def card(
    config: DataConfig,
    source: Source,
    manifest: Manifest,
    files: Mapping[Split, str],
    *,
    repo_id: str | None = None,
    features: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """README.md of a prepared dataset; no secret is in it.

    Args:
        config: what the rows were read with.
        source: where they come from.
        manifest: what became of them.
        files: the file of each split that has rows.
        repo_id: where the dataset will be, if it is pushed.
        features: its columns' types as `datasets` writes them, where it could not tell them from the rows.
    """
    front: dict[str, Any] = {
        **(source.terms or {"license": "unknown"}),
        "task_categories": ["text-generation"],
        "size_categories": [_size(sum(manifest.rows.values()))],
        **({"source_datasets": [source.name]} if source.url else {}),
        "tags": ["conversational", "sft", "ftspace"],
        "configs": [
            {"config_name": "default", "data_files": [{"split": s, "path": name} for s, name in files.items()]}
        ],
        **({"dataset_info": {"config_name": "default", "features": list(features)}} if features else {}),
    }
    body = "\n".join(_body(config, source, manifest, files, repo_id, tools=features is not None))
    return redact(f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{body}\n")


def _body(
    config: DataConfig,
    source: Source,
    manifest: Manifest,
    files: Mapping[Split, str],
    repo_id: str | None,
    *,
    tools: bool,
) -> Iterator[str]:
    name = repo_id or "FOLDER"
    yield f"# {(repo_id or source.name).rpartition('/')[2]}\n"
    yield "Conversations for fine-tuning, prepared with ftspace. A row is one conversation: `messages` is its turns,"
    yield "each with `role` and `content`" + ("; `tools`, as JSON text, is what may be called." if tools else ".")
    yield "\n## Where the rows come from\n"
    if source.url:
        at = f", commit [`{source.revision}`]({source.url}/tree/{source.revision})" if source.revision else ""
        yield f"- Source: [{source.name}]({source.url}){at}"
    else:
        yield f"- Source: {code(source.name)}"
    if source.terms:
        yield f"- License: {code(source.terms['license'])}, as the source says"
    else:
        yield "- License: unknown, since the source names none; ask who made it before you share the rows"
    if source.restricted:
        yield f"- The source is {source.restricted}: not everybody may read it"
    mapping = ", ".join(f"{role} = {code(column)}" for role, column in manifest.mapping.items())
    yield f"- Read as {code(manifest.format)}" + (f": {mapping}" if mapping else "")
    yield from (f"- Note: {plain(warning)}" for warning in manifest.warnings)
    yield "\n## Splits\n\n| split | rows | from | file |\n| --- | ---: | --- | --- |"
    for split in SPLITS:
        origin = plain(manifest.splits.get(split, ""))
        yield f"| {split} | {manifest.rows[split]} | {origin} | {code(files[split]) if split in files else 'none'} |"
    if manifest.overlap:
        yield f"\n{manifest.overlap} test rows are repeated by training rows, whole or in part."
    yield "\n## Rows left out\n"
    left_out = {**manifest.dropped, **manifest.removed}
    if manifest.unused:
        left_out[f"training rows beyond a fraction of {config.fraction:g}"] = manifest.unused
    yield from (f"- {count}: {plain(reason)}" for reason, count in left_out.items())
    if not left_out:
        yield "None."
    yield "\n## How it was made\n"
    yield "ftspace makes the same rows of the same source with these settings.\n"
    given = config.model_dump(mode="json") | {"id": source.name, "revision": source.revision}
    given["review"] = Path(config.review).name if config.review else None
    yield f"```yaml\n{yaml.safe_dump({'data': given}, sort_keys=False, allow_unicode=True)}```\n"
    yield f"SHA-256 of the prepared rows: `{manifest.content_hash}`"
    yield "\n## How to load it\n"
    yield f'```python\nfrom datasets import load_dataset\n\nrows = load_dataset("{name}", split="train")\n```\n'
    flags = " --data.mapping messages=messages --data.mapping tools=tools" if tools else ""
    yield f"```sh\npython -m ftspace run --dataset {name}{flags}\n```"


def code(text: object) -> str:
    """Text as Markdown's code, whatever is in it."""
    flat = " ".join(str(text).split()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", flat)), default=0))
    return f"{fence} {flat} {fence}" if "`" in flat else f"`{flat}`"


def plain(text: str) -> str:
    """Text that may quote a dataset's cells, with nothing left that Markdown or a browser would act on."""
    flat = " ".join(text.split())
    for character in "\\`*_[]<>|":
        flat = flat.replace(character, "\\" + character)
    return flat


def _size(rows: int) -> str:
    return next((words for limit, words in SIZES if rows < limit), "n>10M")
