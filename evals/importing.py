"""Reads what LightEval and lm-eval leave of an evaluation, sample by sample, into logs that can be compared.

LightEval's details (`details_TASK|SHOTS_DATE.parquet`, written with --save-details) and lm-eval's samples
(`samples_TASK_DATE.jsonl`, written with --log_samples) hold a score for each sample, so two such files of one task
allow paired tests that their own tables do not make. Knows the two formats; nothing of models or statistics.

What the files do not say (dtype, device, seeds) stands as "unknown" in the log's spec: that the two evaluations were
run alike is then the word of who ran them. What they do say must be equal: the samples, and the prompts as the model
got them.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.errors import LogError, one_line
from evals.log import EvalLog, EvalSpec, Sample
from evals.metrics import UNDIRECTED

_LIGHTEVAL = re.compile(r"details_(?P<task>.+?)(\|(?P<shots>\d+))?_\d{4}-\d\d-\d\dT[\d.:-]+\.parquet")
_LM_EVAL = re.compile(r"samples_(?P<task>.+)_\d{4}-\d\d-\d\dT[\d.:-]+\.jsonl")
_GOOD_WHEN_HIGH = re.compile(r"(^|_)(acc|accuracy|p?q?em|f1|mc[12]|match|rouge[^_]*|bleu|chrf|pass@\d+)($|[_,:(@])")
_UNKNOWN = "unknown"


def import_log(path: Path, which: str = "base") -> EvalLog:
    """Read one file of another harness as the log of a side.

    Args:
        path: LightEval's details in parquet, or lm-eval's samples in JSONL.
        which: the side's name, such as base or tuned.

    Raises:
        LogError: it is missing, is neither, or holds no sample with a score.
    """
    if not path.is_file():
        raise LogError(f"{path}: there is no such file")
    try:
        if match := _LIGHTEVAL.fullmatch(path.name):
            shots, samples, prompts = int(match["shots"] or 0), *_lighteval(path)
            model, harness = path.parent.parent.name, "lighteval"
        elif match := _LM_EVAL.fullmatch(path.name):
            shots, samples, prompts = 0, *_lm_eval(path)
            model, harness = path.parent.name, "lm-eval"
        else:
            raise LogError(
                f"{path}: neither LightEval's details_TASK|SHOTS_DATE.parquet nor lm-eval's samples_TASK_DATE.jsonl; "
                "keep the name that the harness gave the file"
            )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise LogError(f"{path}: can't be read as what its name says: {one_line(error)}") from error
    if not any(sample.scores for sample in samples):
        raise LogError(f"{path}: no sample has a score that is a number")
    items = [sample.item_hash for sample in samples]
    spec = EvalSpec(
        base=f"imported from {harness}",
        task=re.sub(r"[^A-Za-z0-9._-]", "_", match["task"]),
        task_hash=_hash([sample.id for sample in samples], items),
        kind="choice" if any(sample.logprobs for sample in samples) else "generation",
        n=len(samples),
        dtype=_UNKNOWN,
        device=_UNKNOWN,
        tokenizer_hash=_UNKNOWN,
        template_hash=_hash(prompts),
        max_new_tokens=0,
        end_ids=(),
        batch_tokens=0,
        few_shot=shots,
        seed=0,
        versions={},
    )
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return EvalLog(spec=spec, which=which, model=model, started=changed, seconds=math.nan, samples=tuple(samples))


def _lighteval(path: Path) -> tuple[list[Sample], list[str]]:
    from pyarrow import ArrowException, parquet

    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise ValueError(one_line(error)) from error
    found: list[tuple[Sample, str]] = []
    for row in rows:
        doc, response = row["doc"], row["model_response"]
        choices = [str(choice) for choice in doc["choices"] or []]
        gold = doc["gold_index"]
        golds = [gold] if isinstance(gold, int) else list(gold or [])
        expected = tuple(choices[place] for place in golds if 0 <= place < len(choices))
        logprobs = tuple(float(one) for one in response["logprobs"] or [])
        texts = response["text_post_processed"] or response["text"] or []
        best = choices[logprobs.index(max(logprobs))] if len(logprobs) == len(choices) > 0 else ""
        sent = response["input"]
        prompt = sent if isinstance(sent, str) and sent else str(doc["query"])
        sample = Sample(
            id=str(doc["id"]),
            prompt=prompt,
            expected=expected,
            output=str(texts[0]) if texts else best,
            choices=tuple(choices) if logprobs else (),
            logprobs=logprobs,
            scores=_scores(row["metric"]),
            item_hash=_hash([str(doc["query"])], choices, [str(one) for one in golds]),
        )
        found.append((sample, prompt))
    return _in_order(found)


def _lm_eval(path: Path) -> tuple[list[Sample], list[str]]:
    found: dict[str, tuple[Sample, str]] = {}
    for line in _lines(path):
        prompt = next(_texts(line["arguments"]), "")
        answers = list(_texts(line["filtered_resps"]))
        way = line.get("filter", "none")
        end = "" if way == "none" else f",{way}"
        scores = _scores({f"{name}{end}": line[name] for name in line.get("metrics") or _numbers(line)})
        sample = Sample(
            id=str(line["doc_id"]),
            prompt=prompt,
            expected=(str(line["target"]),),
            output=answers[0] if answers else "",
            scores=scores,
            item_hash=_hash([str(line.get("doc_hash") or json.dumps(line["doc"], sort_keys=True))]),
        )
        if sample.id in found:  # another way of reading the same answer
            first = found[sample.id][0]
            sample = first.model_copy(update={"scores": first.scores | sample.scores})
        found[sample.id] = (sample, str(line.get("prompt_hash") or prompt))
    return _in_order(list(found.values()))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            value = json.loads(line)
            if not isinstance(value, dict) or "doc_id" not in value:
                raise ValueError(f"line {number} is no sample of lm-eval")
            yield value


def _numbers(line: Mapping[str, Any]) -> list[str]:
    """The metrics of a line of an older version, which does not name them."""
    return [name for name, value in line.items() if name != "doc_id" and isinstance(value, int | float)]


def _texts(value: Any) -> Iterator[str]:
    """The texts in nested lists and mappings, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _texts(one)


def _scores(measured: Mapping[str, Any]) -> dict[str, float]:
    """The scores that are numbers; some metrics leave lists or texts for the whole set, which pair nothing.

    The files don't say which way a metric is good: of those that are not known to be good when high no verdict is said.
    """
    return {
        name if _GOOD_WHEN_HIGH.search(name) else name + UNDIRECTED: float(value)
        for name, value in measured.items()
        if isinstance(value, int | float)
    }


def _in_order(found: list[tuple[Sample, str]]) -> tuple[list[Sample], list[str]]:
    if doubled := [one for one, times in Counter(sample.id for sample, _ in found).items() if times > 1]:
        raise ValueError(f"sample {doubled[0]} is there twice")
    found.sort(key=lambda one: (not one[0].id.isdigit(), int(one[0].id) if one[0].id.isdigit() else 0, one[0].id))
    return [sample for sample, _ in found], [prompt for _, prompt in found]


def _hash(*texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(texts, ensure_ascii=True).encode()).hexdigest()[:16]
