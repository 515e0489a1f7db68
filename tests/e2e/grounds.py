"""Where the whole way is walked: the embedded default, offline; a loopback Hub with a gated base and private rows."""

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ftspace.settings import ASSETS
from tests.e2e.conftest import App, end
from tests.loopback_hub import WRITER_TOKEN, LoopbackHub, serve

PEOPLE = ASSETS / "datasets" / "people.jsonl"


@dataclass(frozen=True)
class Ground:
    """An app, and what is said in it."""

    app: App
    picks: tuple[tuple[str, str, str], ...]
    """Fields, what is typed into each, and the name that is taken from its list."""
    known: tuple[tuple[str, str], ...]
    """What is known of what was picked: cards and words on them."""
    mapping: dict[str, str]
    """How the rows are read there, once that was said."""
    title: str
    """What a run of it is called."""
    hub: LoopbackHub | None = None

    @property
    def data(self) -> str:
        """The dataset as a page's title names it."""
        return self.title.rpartition(" ")[2]


@contextmanager
def embedded(folder: Path) -> Generator[Ground]:
    """The bundled model and dataset, offline."""
    app = App(folder / "data")
    app.start()
    picks = (
        ("Dataset", "people_alp", "assets/datasets/people_alpaca.jsonl"),
        ("Dataset", "people.js", "assets/datasets/people.jsonl"),
        ("Model", "assets/b", "assets/base"),
    )
    known = (("#card-dataset", "apache-2.0"), ("#card-model", "parameters"))
    yield Ground(app, picks, known, {"messages": "messages"}, "base on people")
    end(app)


@contextmanager
def on_a_hub(folder: Path) -> Generator[Ground]:
    """The same model, gated, and the same rows, private and to be read in two ways, under ids of a Hub."""
    hub = LoopbackHub(folder / "hub")
    base, rows = hub.root / "models" / "me" / "base", hub.root / "datasets" / "me" / "people"
    shutil.copytree(ASSETS / "base", base)
    (base / ".gated").touch()
    rows.mkdir(parents=True)
    (rows / ".private").touch()
    (rows / "train.jsonl").write_text("".join(_in_two_ways(line) for line in PEOPLE.read_text().splitlines()))
    (rows / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    with serve(hub) as address:
        app = App(
            folder / "data",
            HF_ENDPOINT=address,
            HF_TOKEN=WRITER_TOKEN,
            HF_HOME=str(folder / "hf"),
            HF_HUB_DISABLE_XET="1",
            HF_HUB_DISABLE_TELEMETRY="1",
            HF_HUB_OFFLINE="0",
            FTSPACE_WARM="1",
        )
        app.start()
        picks = (("Dataset", "me/peo", "me/people"), ("Model", "me/ba", "me/base"))
        known = (("#card-dataset", "cc-by-4.0"), ("#card-model", "apache-2.0"))
        yield Ground(app, picks, known, {"prompt": "question", "completion": "answer"}, "me/base on me/people", hub)
        end(app)


def _in_two_ways(line: str) -> str:
    """A row with two pairs of columns, of which a reader is asked which one is meant."""
    asked, answered = (turn["content"] for turn in json.loads(line)["messages"])
    row = {"question": asked, "answer": answered, "prompt": f"Ticket: {asked}", "response": "We will see to it."}
    return json.dumps(row) + "\n"
