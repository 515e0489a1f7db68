"""What a judge is asked to look for: a file that a person can edit. Knows nothing of models, answers or replies."""

import hashlib
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from evals.errors import TaskError, one_line

DEFAULT = Path(__file__).with_name("rubric.yaml")
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Rating = Annotated[int, Field(ge=1, le=10)]


class Rubric(BaseModel):
    """Criteria and the meaning of ratings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pairwise: Words
    """The first words when two answers are compared."""
    single: Words
    """The first words when one answer is rated."""
    criteria: tuple[Words, ...] = Field(min_length=1)
    """What counts, most important first."""
    levels: dict[Rating, Words] = Field(min_length=1)
    """What some of the ratings from 1 to 10 mean."""

    @property
    def version(self) -> str:
        """Twelve hex digits over all of its words."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def load_rubric(path: Path | None = None) -> Rubric:
    """Read a rubric from YAML or JSON, or the default one. Raises TaskError in one line for a file that is none."""
    where = path or DEFAULT
    try:
        return Rubric.model_validate(yaml.safe_load(where.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{where}: the rubric can't be read: {one_line(error)}") from error
    except yaml.YAMLError as error:
        raise TaskError(f"{where}: the rubric is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TaskError(f"{where}: not a rubric: {at}: {first['msg']}; {DEFAULT} is one to start from") from error
