"""What a run's evaluation scored, as a push carries it: one parquet file of samples, and the logs' heads as JSON.

Together they are the logs again (`read_scores`), without the texts that may not be shown. Knows logs, no runs.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from evals.log import EvalLog, Sample
from evals.plan import TUNED
from evals.results import Results
from ftspace.errors import EvalError

SAMPLES = "samples.parquet"
LOGS = "evaluation.json"
"""The heads of the logs: all but the samples."""
_NAMED = r"(?:(?: [^\s/\\;,.]+){1,4}\.[A-Za-z]\w{0,9}\b)?"
"""The rest of a file's name that has blanks in it, up to its ending."""
_PLACE = re.compile(
    r"https?://[^\s;,)]+"
    rf"|(?<![\w.:/~])(?:~[\w-]*)?/(?=\S)(?:[^/;,\n]+/)+[^\s/;,]+{_NAMED}"
    rf"|(?<!\w)(?:[A-Za-z]:[\\/]|\\\\)(?:[^\\/;,\n]+[\\/])*[^\s\\/;,]+{_NAMED}"
    r"|\[[0-9A-Fa-f:]*:[0-9A-Fa-f:]*\](?::\d+)?"
    r"|(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.-]*\w)"
    r"|(?<![\w.-])(?:localhost\b(?::\d+)?|\w[\w-]*(?:\.[\w-]+)+:\d{2,5}\b)"
)
"""An address, or a path of more than one part, of this machine or another."""
_NO_PLACE = ("here", "Inference Providers")
"""What is said of a judge's place where it has no address."""


def told(log: EvalLog, base: str, *, texts: bool) -> EvalLog:
    """The log without this machine's places, and without its texts where they may not be shown."""
    samples = tuple(_placeless(sample) if texts else _bare(sample) for sample in log.samples)
    adapter = log.adapter and ("adapter" if log.which == TUNED else log.which)
    spec = log.spec.model_copy(update={"base": base})
    return log.model_copy(update={"spec": spec, "adapter": adapter, "samples": samples})


def _placeless(sample: Sample) -> Sample:
    if sample.unscored is None:
        return sample
    return sample.model_copy(update={"unscored": _without_places(sample.unscored, {})})


def _bare(sample: Sample) -> Sample:
    bare: dict[str, Any] = {"prompt": "", "expected": (), "output": "", "choices": (), "group": None}
    if sample.unscored is not None:
        bare["unscored"] = "the reason is not told"
    return sample.model_copy(update=bare)


def shown_results(results: Results, tasks: frozenset[str]) -> Results:
    """The comparison with the answers to these tasks only, and without addresses and paths of this machine."""
    samples = tuple(one for one in results.samples if one.task in tasks)
    known: dict[str, str] = {}
    for one in results.judges:  # two judges of one name are told apart by where they are asked
        place = re.sub(r" \(\d+\)$", "", one.judge).rpartition(" at ")[2]
        if place != one.judge and place not in _NO_PLACE:
            known.setdefault(place, f"(address {len(known) + 1})")
    told = json.loads(results.model_dump_json(exclude={"samples"}))
    bare = Results.model_validate(_without_places(told, known))
    return bare.model_copy(update={"samples": samples})


def _without_places(told: Any, known: dict[str, str]) -> Any:
    """Whatever JSON holds, each address and path in its texts as a number, the same for the same place."""
    if isinstance(told, str):
        for place, number in known.items():
            told = told.replace(f" at {place}", f" at {number}")
        return _PLACE.sub(lambda found: known.setdefault(found[0], f"(address {len(known) + 1})"), told)
    if isinstance(told, list):
        return [_without_places(one, known) for one in cast("list[Any]", told)]
    if isinstance(told, dict):
        return {name: _without_places(one, known) for name, one in cast("dict[str, Any]", told).items()}
    return told


def write_scores(folder: Path, logs: Iterable[EvalLog]) -> None:
    """Writes both files; the same logs give the same bytes. Raises OSError."""
    import pyarrow as pa
    from pyarrow import parquet

    kept = list(logs)
    heads = [{**json.loads(log.model_dump_json(exclude={"samples"})), "scores": _scores(log)} for log in kept]
    (folder / LOGS).write_text(json.dumps(heads, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    rows = [row for log in kept for row in _rows(log)]
    scored = list(dict.fromkeys(name for row in rows for name in row if name.startswith("score.")))
    text, number = pa.string(), pa.float64()
    kinds: dict[str, Any] = dict.fromkeys(
        ("task", "side", *(one for one in Sample.model_fields if one != "scores")), text
    )
    kinds |= {
        "overlap": pa.bool_(),
        "expected": pa.list_(text),
        "choices": pa.list_(text),
        "logprobs": pa.list_(number),
    }
    schema = pa.schema([*kinds.items(), *((name, number) for name in scored)])
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), folder / SAMPLES)


def read_scores(folder: Path) -> list[EvalLog]:
    """The logs that two such files hold. Raises EvalError when they are not what `write_scores` wrote."""
    from pyarrow import ArrowException, parquet

    try:
        heads: list[dict[str, Any]] = json.loads((folder / LOGS).read_text(encoding="utf-8"))
        samples: dict[tuple[str, str], list[Sample]] = {}
        for row in parquet.read_table(folder / SAMPLES).to_pylist():
            samples.setdefault((row.pop("task"), row.pop("side")), []).append(_sample(row))
        made: list[EvalLog] = []
        for head in heads:
            order, found = head.pop("scores"), samples.get((head["spec"]["task"], head["which"]), [])
            ordered = [one.model_copy(update={"scores": _ordered(one.scores, order)}) for one in found]
            made.append(EvalLog.model_validate(head | {"samples": ordered}))
    except (OSError, ValueError, LookupError, TypeError, ArrowException) as error:
        raise EvalError(f"{folder}: the scores of an evaluation cannot be read: {error}") from error
    return made


def _scores(log: EvalLog) -> list[str]:
    """The names of its scores, in the order in which its samples have them: the first one counts."""
    return list(dict.fromkeys(name for sample in log.samples for name in sample.scores))


def _ordered(scores: Mapping[str, float], order: Iterable[str]) -> dict[str, float]:
    return {name: scores[name] for name in order if name in scores}


def _rows(log: EvalLog) -> Iterator[dict[str, Any]]:
    for sample in log.samples:
        held = sample.model_dump(exclude={"scores"})
        yield {
            "task": log.spec.task,
            "side": log.which,
            **held,
            "stats": json.dumps(held["stats"]) if held["stats"] else None,
            **{f"score.{name}": value for name, value in sample.scores.items()},
        }


def _sample(row: Mapping[str, Any]) -> Sample:
    held = {name: value for name, value in row.items() if not name.startswith("score.") and value is not None}
    scores = {name.removeprefix("score."): value for name, value in row.items() if name.startswith("score.")}
    held["stats"] = json.loads(held.get("stats", "{}"))
    return Sample.model_validate(
        held | {"scores": {name: value for name, value in scores.items() if value is not None}}
    )
