"""What judging leaves on disk: one line for each time a judge was asked, in `judgements.jsonl`. Only the shapes."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from evals.errors import LogError
from evals.files import write_text
from evals.judge.judges import Way

FILE = "judgements.jsonl"


class Judgement(BaseModel):
    """What one judge said of one sample, once."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    task: str
    """The task's name."""
    id: str
    """The sample's id."""
    judge: str
    """The judge's name."""
    way: Way
    """Asked which of two answers is better, or how good one is."""
    side: str
    """The side that is compared with `against`, or whose answer is rated."""
    against: str | None = None
    """The other side; None for a rating."""
    first: str | None = None
    """The side whose answer stood first; None for a rating."""
    answers: str = ""
    """A hash over question and answers, as a vote has it; empty for a rating."""
    verdict: str | None = None
    """The side that was called better, or tie; None for a rating, and when there is none."""
    score: float = float("nan")
    """Of a comparison 1, 0.5 or 0 for `side`, or how likely a local judge finds it better; of a rating 1 to 10."""
    missing: str | None = None
    """Why there is no verdict."""
    same: bool = False
    """Both answers are the same text: a tie, without asking."""
    cached: bool = False
    """The reply was known from before."""
    calls: int = 0
    """Tries that it took, those of a reply that was known left out."""
    tokens: int = 0
    """Of question and reply; of all tries, where they were made now."""
    reply: str = ""
    """The end of the reply, at most 500 letters."""
    reply_hash: str = ""
    """Sixteen hex digits over the whole reply."""
    prompt_version: str = ""
    """A hash over the rubric and the words around it."""


def write_judgements(folder: Path, judgements: tuple[Judgement, ...]) -> None:
    """Write them, one JSON object a line. Raises LogError if the disk refuses."""
    write_text(folder / FILE, "".join(one.model_dump_json() + "\n" for one in judgements))


def read_judgements(folder: Path) -> list[Judgement]:
    """All that judges said of a folder's answers; nothing where none was asked. Raises LogError for a damaged file."""
    path = folder / FILE
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise LogError(f"{path}: can't be read: {error.strerror or error}") from error
    found: list[Judgement] = []
    for number, line in enumerate(lines, start=1):
        try:
            found += [Judgement.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            raise LogError(f"{path}:{number}: not a judgement: {error.errors()[0]['msg']}") from error
    return found
