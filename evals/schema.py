"""Writes down what the files of an evaluation hold, from the docstrings of its records: `python -m evals schema`.

docs/evaluation.md is what this prints; a test compares the two.
"""

from pydantic import BaseModel

from evals import log, results

_FILES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("<task>/<side>.json", log.EvalLog),
    ("evaluation.json", results.Asked),
    (results.RESULTS_FILE, results.Results),
)
_PARTS: tuple[type[BaseModel], ...] = (
    log.EvalSpec,
    log.Sample,
    results.Row,
    results.Finding,
    results.Change,
    results.JudgeSummary,
    results.SideBySide,
)


def to_markdown() -> str:
    """The whole document."""
    lines = [
        "# What an evaluation leaves",
        "",
        "JSON files in the folder that was named. Each is written beside its place and renamed into it, so a file that",
        'is there is whole. Not-a-number and infinities are the texts "NaN" and "Infinity". Beside them lie `table.md`',
        "and `table.csv`; the latter has a row of `results.json` a line.",
    ]
    for name, model in _FILES:
        lines += ["", f"## {name}", "", *_described(model)]
    lines += ["", "## Their parts"]
    for model in _PARTS:
        lines += ["", f"### {model.__name__}", "", *_described(model)]
    return "\n".join(lines) + "\n"


def _described(model: type[BaseModel]) -> list[str]:
    said = " ".join((model.__doc__ or "").split())
    rows = [
        f"| `{name}` | {_type(field.annotation)} | {' '.join((field.description or '').split())} |"
        for name, field in model.model_fields.items()
    ]
    return [said, "", "| field | type | what it is |", "| --- | --- | --- |", *rows]


def _type(annotation: object) -> str:
    """A type as a reader of JSON names it."""
    text = (
        annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else str(annotation)
    )
    for long, short in (("typing.", ""), ("evals.log.", ""), ("evals.results.", ""), ("NoneType", "None")):
        text = text.replace(long, short)
    return f"`{text}`".replace("|", "\\|")
