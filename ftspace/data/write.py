"""The settled rows to the files of a prepared split, and to the list of what was left out."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspace.data.formats import Conversation
from ftspace.data.gather import Gathered
from ftspace.data.quality import redact_personal
from ftspace.data.review import Decision, conversation_id
from ftspace.data.settle import Settled
from ftspace.data.sift import bit
from ftspace.data.split import SPLITS, Split
from ftspace.sections import FINDINGS, Finding

REMOVED = "removed.jsonl"
REVIEWED = "dropped in the review"
_OF_THE_WHOLE: tuple[Finding, ...] = ("duplicate", "near_duplicate", "other_language", "overlap")
"""What only a look at all rows finds."""
_EXCERPT = 120


@dataclass
class Written:
    """What the files hold."""

    rows: Counter[Split] = field(default_factory=Counter[Split])
    removed: Counter[str] = field(default_factory=Counter[str])
    """Rows left out by a filter or the review, by reason."""
    unused: int = 0
    overlap: int = 0
    """Test rows marked as repeated by training rows."""
    content: Any = field(default_factory=hashlib.sha256)


def write_splits(
    out_dir: Path, gathered: Gathered, settled: Settled, review: Mapping[str, Decision], system: str | None
) -> Written:
    """Writes a file for each split and `removed.jsonl`, and tallies what only a look at all rows found.

    `system` is the system prompt that was put before rows without one: decisions about a row do not depend on it.
    """
    done = Written()
    whole: list[tuple[Finding, int]] = [(finding, bit(finding)) for finding in _OF_THE_WHOLE]
    told = zip(
        gathered.table["source"].tolist(),
        gathered.table["row"].tolist(),
        settled.where.tolist(),
        settled.found.tolist(),
        settled.removed.tolist(),
        settled.unused.tolist(),
        settled.repeated.tolist(),
        strict=True,
    )
    with ExitStack() as stack:
        files = [stack.enter_context((out_dir / f"{split}.jsonl").open("wb")) for split in SPLITS]
        removed = stack.enter_context((out_dir / REMOVED).open("wb"))
        shutil.copyfileobj(stack.enter_context(gathered.left_out.open("rb")), removed)
        lines = stack.enter_context(gathered.lines.open("rb"))
        for line, (source, row, where, found, unwanted, unused, repeated) in zip(lines, told, strict=True):
            marked: list[Finding] = [finding for finding, mark in whole if found & mark]
            reasons = [finding for finding in FINDINGS if unwanted & bit(finding)] if unwanted else []
            if review and _dropped(line, review, system):
                reasons.append(REVIEWED)
            excerpt = _excerpt(line) if marked or reasons else ""
            for finding in marked:
                gathered.tally.mark(row, finding, excerpt)
            if reasons:
                done.removed[reasons[0]] += 1
                told_of = {"split": gathered.names[source], "row": row}
                what = {**told_of, "reason": ", ".join(reasons), "excerpt": excerpt}
                removed.write(json.dumps(what, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            elif unused:
                done.unused += 1
            else:
                if repeated:
                    done.overlap += 1
                    line = line.rstrip()[:-1] + b', "overlap": true}\n'
                done.rows[SPLITS[where]] += 1
                done.content.update(SPLITS[where].encode() + b"\t" + line)
                files[where].write(line)
    return done


def _dropped(line: bytes, review: Mapping[str, Decision], system: str | None) -> bool:
    decision = review.get(conversation_id(json.loads(line)["messages"], system))
    return decision is not None and not decision.keep


def _excerpt(line: bytes) -> str:
    """The beginning of the first question, without what is personal."""
    conversation: Conversation = json.loads(line)["messages"]
    asked = next((turn["content"] for turn in conversation if turn["role"] == "user"), "")
    short = redact_personal(" ".join(asked.split()))
    return short if len(short) <= _EXCERPT else short[: _EXCERPT - 1] + "…"
