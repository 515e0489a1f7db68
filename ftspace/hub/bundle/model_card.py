"""The card of what a run made: README.md with what the Hub reads in front and what people read below.

Pure text from what is known of the run: asks nobody, invents no license, and shows no figure without its interval.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evals.plain import headline
from evals.results import Results, Role, Row
from evals.table import HEADINGS, cells, sections
from evals.titles import task_title
from evals.wording import change_in_words, headlines, judge_in_words
from ftspace.config import RunConfig
from ftspace.hub.bundle.card_recipe import energy_of, recipe_of
from ftspace.hub.bundle.loading import Form, how_to_load
from ftspace.hub.bundle.origins import Origin, Origins
from ftspace.hub.bundle.published import LeftOut
from ftspace.hub.card import code, plain
from ftspace.hub.push.records import PushRequest
from ftspace.preflight import HELDOUT
from ftspace.state import RunState

_LISTED: tuple[Role, ...] = ("gain", "forgetting")
"""What the Hub's own table is told of."""
_SHOWN = 3
"""Answers side by side on a card."""
_CELL = 200


@dataclass(frozen=True)
class Told:
    """All that a card tells of."""

    run_id: str
    config: RunConfig
    """As it may be read by others."""
    origins: Origins
    state: RunState
    results: Results | None
    """With those answers only that may be shown; None where nothing was compared."""
    request: PushRequest
    scored: bool = False
    """Whether each sample's scores are there, too."""
    left_out: tuple[LeftOut, ...] = ()
    form: Form = field(default_factory=Form)
    picture: str | None = None
    """The file with the picture of the curve."""

    @property
    def whole(self) -> bool:
        """Whether it is a complete model, and no adapter."""
        return self.config.lora.method == "full" or self.request.what != "adapter"


def model_card(told: Told) -> str:
    """README.md of a pushed run. No secret and no markup of a stranger's is in it; see `redact` for the former."""
    return f"---\n{_front(told)}\n---\n\n" + "\n".join(_body(told)) + "\n"


def _front(told: Told) -> str:
    from huggingface_hub import ModelCardData

    base, data, lora = told.origins.base, told.origins.data, told.config.lora
    results = _eval_results(told)
    kind = {"lora": "lora", "adalora": "lora"}.get(lora.method, lora.method.replace("_", "-"))
    found = ModelCardData(
        base_model=base.name if base.url else None,
        base_model_relation=_relation(told) if base.url else None,
        library_name="transformers" if told.whole else "peft",
        pipeline_tag="text-generation",
        datasets=[data.name] if _can_be_named(data) else None,
        **(base.terms or {"license": "unknown"}),
        tags=[kind, "sft", "trl", "ftspace"],
        model_name=told.request.repo_id.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    return found.to_yaml(line_break="\n")


def _relation(told: Told) -> str:
    """The Hub's word for how it is made of its base."""
    return "finetune" if told.whole else "adapter"


def _eval_results(told: Told) -> list[Any]:
    """The tuned side's score on the dataset's own test rows, for the Hub's own table, with its interval.

    The Hub takes `dataset_type` for a dataset's id: tasks that have none here would be said to be somebody else's.
    """
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=told.origins.data.name,
            dataset_name=task_title(row.task),
            dataset_revision=told.origins.data.revision,
            metric_type=row.metric,
            metric_value=round(row.tuned, 4),
            metric_name=f"{row.metric}, {row.n} samples",
            metric_args={
                "base": round(row.base, 4),
                "difference": round(row.delta, 4),
                "difference_95_low": _rounded(row.ci_low),
                "difference_95_high": _rounded(row.ci_high),
                "n": row.n,
                "verdict": row.verdict,
            },
        )
        for row in _headlines(told.results)
        if row.task == HELDOUT and _can_be_named(told.origins.data)
    ]


def _headlines(results: Results | None) -> list[Row]:
    rows = [row for role in _LISTED for row in headlines(results.rows if results else (), role)]
    return [
        row for row in rows if (row.side, row.against) == ("tuned", "base") and math.isfinite(row.tuned + row.delta)
    ]


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _can_be_named(data: Origin) -> bool:
    """Whether the dataset is one of the Hub that everybody is told of."""
    return data.url is not None and data.restricted in (None, "gated")


def _body(told: Told) -> Iterator[str]:
    base, data, lora = told.origins.base, told.origins.data, told.config.lora
    what = {
        "lora": "A LoRA adapter for",
        "adalora": "A LoRA adapter (its ranks found by AdaLoRA) for",
        "prompt_tuning": "A trained prompt for",
        "prefix_tuning": "A trained prefix for",
        "full": "All weights, fine-tuned, of",
    }[lora.method]
    made = what if told.request.what == "adapter" else "A fine-tune, merged into one complete model, of"
    yield f"# {told.request.repo_id.rpartition('/')[2]}\n"
    yield f"{made} {_linked(base)}, trained on {_linked(data)} with ftspace (TRL, PEFT)."
    yield from _verdict(told)
    yield from _results(told)
    yield from _not_evaluated(told)
    yield "\n## How to load it\n"
    yield from how_to_load(told.config, told.origins, told.request, told.form)
    if told.form.parity:
        yield f"\n## Is it what was compared?\n\nAgainst base plus adapter: {plain(told.form.parity)}."
    yield from _training(told)
    yield from _data(told)
    yield from _licenses(told)
    yield "\n## What is in this repository\n"
    yield "- `ftspace.yaml`: the run's config; `training.jsonl`: its curve, an event a line"
    if told.form.parity:
        yield "- `parity.json`: how the merged model was proved to answer as base plus adapter"
    else:
        yield "- `reproduce.py` trains it again with public packages alone (`requirements.txt`)"
    if told.results:
        yield "- `results.json`: the comparison"
    if told.scored:
        yield "- `samples.parquet` and `evaluation.json`: every score that it is made of"
    yield "\nNot here:\n"
    yield from (f"- {plain(str(one))}" for one in told.left_out)


def _linked(origin: Origin) -> str:
    if origin.url is None or not re.fullmatch(r"[\w./-]+", origin.name):
        return code(origin.name)
    at = f" at commit [`{origin.revision[:12]}`]({origin.link})" if origin.revision else ", at an unknown commit"
    return f"[{origin.name}]({origin.url}){at}"


def _verdict(told: Told) -> Iterator[str]:
    yield "\n## Is it better than its base?\n"
    if told.results is None:
        yield "Nobody looked: base and tuned model were not compared. Compare them before you rely on it."
        return
    yield plain(headline(told.results)[0])
    if told.results.rows:
        yield f"\nIn figures: {plain(told.results.verdict)}."
    if told.results.findings:
        yield ""
    yield from (f"- **{one.tone}: {one.kind}.** {plain(one.message)}" for one in told.results.findings)
    yield "\nThe verdict holds for these tasks, these samples and greedy answers only. Base and tuned were asked the"
    yield "same samples in the same batches; intervals are those of the paired difference, 95 %."


def _results(told: Told) -> Iterator[str]:
    if told.results is None:
        return
    yield "\n## Results"
    for section in sections(told.results.rows):
        heads = [{"base": section.first, "tuned": section.second}.get(one, one) for one in HEADINGS]
        yield f"\n### {section.title}\n"
        yield _line(heads)
        yield _line([":---"] * 2 + ["---:"] * 6 + [":---"])
        yield from (_line([plain(cell) for cell in _titled(row)]) for row in section.rows)
    yield "\nScores ± standard error, in points of 100 where they are shares."
    if told.results.change:
        yield f"\nDid anything change: {plain(change_in_words(told.results.change))}."
    yield from (f"\nJudge: {plain(judge_in_words(one))}." for one in told.results.judges)
    if told.results.samples:
        yield "\n### Some answers, not chosen by their outcome\n"
        yield _line(["task", "question", "expected", "base", "tuned"])
        yield _line([":---"] * 5)
        for one in told.results.samples[:_SHOWN]:
            yield _line(
                [plain(_cut(text)) for text in (task_title(one.task), one.prompt, one.expected, one.base, one.tuned)]
            )


def _titled(row: Row) -> tuple[str, ...]:
    """A row's cells, with the task's title."""
    task, *rest = cells(row)
    return (task.replace(row.task, task_title(row.task), 1), *rest)


def _line(parts: list[str]) -> str:
    return f"| {' | '.join(parts)} |"


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def _not_evaluated(told: Told) -> Iterator[str]:
    yield "\n## What was not evaluated\n"
    roles = {row.role for row in told.results.rows} if told.results else set[str]()
    if "forgetting" not in roles:
        yield "- What tuning lost: nothing was asked that the base could do before (`eval.forgetting`)"
    if "prompting" not in roles:
        yield "- Whether a good prompt does as well: the base was not asked with examples (`eval.shots`)"
    if "noise" not in roles:
        yield "- How far the base differs from itself (`eval.noise`)"
    if "judge" not in roles:
        yield "- What a judge or a person would say of the answers' quality"
    yield "- Safety, bias, truthfulness, other languages, long contexts and sampled answers"


def _training(told: Told) -> Iterator[str]:
    yield "\n## Training\n"
    if told.picture:
        yield f"![Loss by step, in training and in validation]({told.picture})\n"
    yield _line(["what", "value"])
    yield _line([":---"] * 2)
    yield from (
        _line([what, code(value)]) for what, value in recipe_of(told.config, told.state) if value not in (None, "")
    )
    yield ""
    yield energy_of(told.state)


def _data(told: Told) -> Iterator[str]:
    data, prepared = told.origins.data, told.state.prepared
    yield "\n## Data\n"
    yield f"- {_linked(data)}, split {code(told.config.data.split)}"
    if data.restricted in ("private", "gated"):
        yield f"- The dataset is {data.restricted}: not everybody may read it, and none of its rows is here"
    if prepared:
        rows = ", ".join(f"{count:,} for {split}" for split, count in prepared.rows.items())
        yield f"- Rows: {rows}; read as {code(prepared.format)}"
        yield from (f"- Left out: {count:,}, {plain(reason)}" for reason, count in prepared.dropped.items())


def _licenses(told: Told) -> Iterator[str]:
    yield "\n## License\n"
    for what, origin in (("base", told.origins.base), ("dataset", told.origins.data)):
        if origin.terms:
            named = origin.terms.get("license_name") or origin.terms["license"]
            yield f"- The {what} {code(origin.name)} says: {code(named)}"
        else:
            yield f"- The {what} {code(origin.name)} names no license that is known here; ask who made it"
    yield "\nThis model inherits its base's license; the dataset's may ask for more."
