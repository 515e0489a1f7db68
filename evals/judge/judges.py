"""Who judges: a model behind an endpoint, one of the Hub's Inference Providers, or one that is loaded here.

Knows how each is named and reached; loads nothing until it is asked.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from evals.endpoint import Result
from evals.errors import ModelError
from evals.providers import Endpoint, Providers, Target

Way = Literal["pairwise", "rubric"]
WAYS: tuple[Way, ...] = ("pairwise", "rubric")


@dataclass(frozen=True)
class RemoteJudge:
    """A judge behind an endpoint: it writes its verdict."""

    target: Target
    name: str = ""
    """As it is called in rows; made of the model's name where empty."""

    @property
    def model(self) -> str:
        """The model's name."""
        return self.target.model

    @property
    def place(self) -> str:
        """Where it is."""
        return self.target.place

    @property
    def identity(self) -> str:
        """What its replies are kept under."""
        return f"{self.target.url or self.target.place}#{self.target.model}"


class Local(Protocol):
    """A loaded model that says which of two answers it finds better."""

    def choose(
        self, prompts: Sequence[str], should_stop: Callable[[], bool] | None = None
    ) -> Generator[tuple[int, Result]]:
        """Give, for each prompt, its place and the log-probabilities of A and B as JSON."""
        ...


@dataclass(frozen=True)
class LocalJudge:
    """A judge on this machine: the log-probabilities of the letters A and B are its verdict. It rates nothing."""

    model: str
    """A folder or a Hub id."""
    revision: str | None = None
    """Its revision on the Hub."""
    device: str = "auto"
    dtype: str = "auto"
    name: str = ""
    place: str = "here"

    @property
    def identity(self) -> str:
        """What its replies are kept under: a folder's weights, or a Hub id and its revision."""
        from evals.judge.local import identity

        return f"local:{identity(self.model, self.revision)}:{self.dtype}"

    def load(self) -> Local:
        """The loaded model. Raises ModelError."""
        from evals.judge.local import LocalModel

        return LocalModel(self.model, revision=self.revision, device=self.device, dtype=self.dtype)


Judge = RemoteJudge | LocalJudge


def parse_judge(text: str, token: str | None = None) -> Judge:
    """The judge that a person named.

    Args:
        text: `http://host:8000/v1#model`, `hub:owner/model`, or a folder or Hub id of a model to load here.
        token: for the endpoint or the Hub; a model that is loaded here needs none.

    Raises:
        ModelError: it is none of these.
    """
    text = text.strip()
    if text.startswith(("http://", "https://")):
        url, _, model = text.partition("#")
        return RemoteJudge(Endpoint(url, model, token))
    if text.startswith("hub:"):
        model = text.removeprefix("hub:")
        if not re.fullmatch(r"[\w.-]+/[\w.:-]+", model):
            raise ModelError(f"{text}: not a judge; write it like hub:owner/model")
        return RemoteJudge(Providers(model, token))
    if not text or "://" in text:
        raise ModelError(f"{text!r}: not a judge; write http://host:8000/v1#model, hub:owner/model, or a folder")
    return LocalJudge(text)


def parse_judges(texts: Sequence[str], environment: Mapping[str, str]) -> list[Judge]:
    """The judges that a person named, each with its own token from the environment.

    The token of the n-th is `JUDGE_n_TOKEN`, else `JUDGE_TOKEN`, which is refused when it would go to several hosts.
    Judges of the Hub take `HF_TOKEN`.

    Raises:
        ModelError: a judge can't be understood, or it is not clear whose token `JUDGE_TOKEN` is.
    """
    hosts = {urlsplit(text).netloc for text in texts if text.startswith(("http://", "https://"))}
    judges: list[Judge] = []
    for number, text in enumerate(texts, 1):
        token = environment.get(f"JUDGE_{number}_TOKEN")
        if text.startswith("hub:"):
            token = token or environment.get("HF_TOKEN")
        elif text.startswith("http") and token is None and "JUDGE_TOKEN" in environment:
            if len(hosts) > 1:
                raise ModelError(
                    f"JUDGE_TOKEN would be sent to {len(hosts)} hosts; set JUDGE_1_TOKEN, JUDGE_2_TOKEN, ... instead"
                )
            token = environment["JUDGE_TOKEN"]
        judges.append(parse_judge(text, token or None))
    return judges


def named(judges: Sequence[Judge]) -> list[Judge]:
    """The judges, each with a name of its own: the model's, and its place where two are of one name."""
    short = [judge.name or Path(judge.model).name for judge in judges]
    names: list[str] = []
    for judge, name in zip(judges, short, strict=True):
        full = name if short.count(name) == 1 else f"{name} at {judge.place}"
        again = sum(other == full or other.startswith(f"{full} (") for other in names)
        names.append(full if not again else f"{full} ({again + 1})")
    return [replace(judge, name=name) for judge, name in zip(judges, names, strict=True)]
