"""What can be known to go wrong before a run is made, asked in seconds. Knows neither torch nor screens."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

from evals.errors import EvalError as TaskProblem
from evals.metrics import check_chosen
from evals.tasks import SUITES, Task, resolve_tasks
from ftspace.access import OWNER, Visitor
from ftspace.budgets import budget_of
from ftspace.checks import Check, check_rows
from ftspace.config import RunConfig
from ftspace.data.formats import Conversation
from ftspace.data.prepare import Preview, preview
from ftspace.data.review import find_review, read_review
from ftspace.data.sources import own_splits
from ftspace.errors import ConfigError, DatasetError, EvalError, ModelError
from ftspace.hub.find import commit_of, look_up
from ftspace.jobs import require_space
from ftspace.judging import judges_of
from ftspace.own_code import check_own_code
from ftspace.redact import redact
from ftspace.runs import RunStore, is_run_id
from ftspace.settings import ASSETS, ROOT, resolve_local
from ftspace.starting import check_start
from ftspace.tokenizer import NoTokenizerFile, open_tokenizer

HELDOUT = "heldout"
"""The task made of the run's own test split."""
CHECKPOINT = re.compile(r"checkpoint-(\d{1,9})")
"""How `eval.earlier` names a checkpoint of the run itself."""

ROWS = 20
"""Conversations looked at."""
OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx")
"""How files of weights end that are not loaded."""
MAX_FULL_PARAMETERS = 2_000_000_000
"""Largest model that is trained whole: it takes 16 bytes a parameter."""
_OF_THE_ROWS = ("length", "answers")
"""Checks that blame the rows, not the model."""


@dataclass(frozen=True)
class Checked:
    """What was seen before a run is made."""

    preview: Preview
    checks: list[Check]

    @property
    def warnings(self) -> list[str]:
        """What a person should know before starting, one line each."""
        return [str(check) for check in self.checks if check.level == "warning"]


def check(config: RunConfig, runs_dir: Path, visitor: Visitor = OWNER) -> Checked:
    """Raises the FtspaceError that the run would end with, as far as it shows already; returns what was seen.

    `visitor` is whose the run will be: others' runs can be asked too where they may be seen.
    """
    require_space(runs_dir)
    check_secrets(config)
    check_model(config)
    check_start(config, RunStore(runs_dir), visitor)
    check_precision(config)
    check_trackers(config)
    budget_of(config.train)
    check_asking(config, RunStore(runs_dir), visitor)
    check_review(config)
    first = preview(config.data, ROWS)
    own_splits(config.data)
    checks = [*check_tokens(config, first.conversations), *check_memory(config, first.conversations, runs_dir.parent)]
    for one in checks:
        if one.level == "stop":
            raise (DatasetError if one.what in _OF_THE_ROWS else ModelError)(str(one))
    return Checked(first, checks)


def check_secrets(config: RunConfig) -> None:
    """Raises ConfigError for a config with a token in it, since configs are written down and shown."""
    for section, fields in config.model_dump(mode="json").items():
        for name, value in fields.items():
            if redact(json.dumps(value)) != json.dumps(value):
                raise ConfigError(
                    f"{section}.{name} holds a token or a password, and a run's config is no place for one"
                )


def check_tokens(config: RunConfig, conversations: Sequence[Conversation]) -> list[Check]:
    """The checks of rows in tokens; a warning in their place where the tokenizer cannot be read without transformers.

    Raises ModelError only when the model's files are damaged.
    """
    try:
        opened = open_tokenizer(config.model)
    except NoTokenizerFile as missing:
        return [Check("warning", "tokenizer", f"nothing was checked in tokens: {missing}")]
    return check_rows(opened.tokenizer, conversations, config, opened.origin)


def check_memory(config: RunConfig, conversations: Sequence[Conversation], data_dir: Path) -> list[Check]:
    """A warning when the run is estimated to need more memory than this machine has, with what would help."""
    from ftspace.devices import this_machine
    from ftspace.training.facts import facts_of
    from ftspace.training.forecast import advise, estimated, gigabytes

    try:
        facts = facts_of(config, conversations, {"train": ROWS, "validation": ROWS, "test": ROWS})
    except ModelError:
        return []
    here = this_machine(data_dir, device=config.train.device)
    found = estimated(config, facts, here)
    if found.peak <= here.memory:
        return []
    said = f"the run is estimated to need {gigabytes(found.peak)} of memory, and {gigabytes(here.memory)} are free"
    return [Check("warning", "memory", said, "; ".join(advise(config, facts, here, found)))]


def find_model(config: RunConfig) -> Path | None:
    """The folder of a local base, None for one that the Hub has. Raises ModelError, or HubError."""
    path = resolve_local(config.model.id)
    if path is None:
        commit_of("model", config.model.id, config.model.revision)
    return path


def check_model(config: RunConfig) -> None:
    """Raises ModelError when the base is not there or is no model that can be loaded, ConfigError for code's leave."""
    name = config.model.id
    path = resolve_local(name)
    if path is None:
        found = look_up("model", name, config.model.revision)
        if found is not None:
            _check_files(name, found.files)
    elif not path.is_dir():
        raise ModelError(f"model.id: {path} is a file; give the folder that holds config.json and the weights")
    else:
        _check_files(str(path), [file.name for file in path.iterdir()])
    check_own_code(config.model)
    if config.model.trust_code and config.lora.method == "full":
        raise ConfigError(
            f"lora.method full would make a new model of the code of {name}, which no commit names then; use lora"
        )
    if path is not None and config.lora.method == "full":
        check_full(sum(_parameters(file) for file in path.glob("*.safetensors")))


def _check_files(where: str, files: Sequence[str]) -> None:
    """Raises ModelError when what lies in a folder or a repository is no model in safetensors."""
    if "adapter_config.json" in files:
        raise ModelError(f"model.id: {where} holds an adapter, not a model; give the model that it was trained on")
    if "config.json" not in files:
        raise ModelError(f"model.id: {where} holds no model: config.json is missing")
    if not any(name.endswith(".safetensors") for name in files):
        other = [name for name in files if name.endswith(OTHER_WEIGHTS)]
        has = f"its weights only as {other[0]}" if other else "no .safetensors weights"
        raise ModelError(
            f"model.id: {where} has {has}; other formats can run code when they are read, and are not loaded: convert "
            "them to safetensors at https://huggingface.co/spaces/safetensors/convert, or take another copy"
        )


def check_precision(config: RunConfig) -> None:
    """Raises ConfigError for an adapter in float16: small gradients would be 0 there, as nothing scales them."""
    if config.model.dtype == "float16" and config.lora.method != "full":
        raise ConfigError(
            "model.dtype float16 rounds the small gradients of a training to 0; set it to bfloat16, float32 or auto "
            "(model.quantization nf4 saves more memory)"
        )


def check_full(parameters: int) -> None:
    """Raises ModelError when a model is too large to be trained whole."""
    if parameters > MAX_FULL_PARAMETERS:
        raise ModelError(
            f"lora.method full trains all {parameters / 1e9:.1f} billion weights, in {16 * parameters / 1e9:.0f} GB of "
            f"memory; it is for models of up to {MAX_FULL_PARAMETERS / 1e9:.0f} billion: use lora"
        )


def _parameters(file: Path) -> int:
    """How many a safetensors file holds, by its header; none when it is damaged, which its loading will say."""
    with file.open("rb") as opened, suppress(ValueError):
        header: dict[str, Any] = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        return sum(prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    return 0


def check_trackers(config: RunConfig) -> None:
    """Raises ConfigError when a tracker of `train.report_to` is not installed."""
    missing = [name for name in config.train.report_to if find_spec(name) is None]
    if missing:
        raise ConfigError(f"train.report_to: {missing[0]} is not installed; pip install {' '.join(missing)}")


def check_review(config: RunConfig) -> None:
    """Raises DatasetError when the decisions that the config names are not there or cannot be read."""
    if path := find_review(config.data.review):
        read_review(path)


def check_asking(config: RunConfig, store: RunStore, visitor: Visitor) -> None:
    """Raises the FtspaceError for a task, metric, model or run that an evaluation names and cannot ask."""
    check_tasks(config)
    try:
        check_chosen(config.eval.metrics, embedding=config.eval.embedding_model is not None)
    except TaskProblem as error:
        raise EvalError(f"eval.metrics: {error}") from error
    judges_of(config.eval)
    if config.eval.embedding_model and (path := resolve_local(config.eval.embedding_model)) and not path.is_dir():
        raise EvalError(f"eval.embedding_model: {path} is a file; give the folder of a model, or a Hub id")
    for name in config.eval.earlier:
        path = resolve_local(name)
        if is_run_id(name):
            store.visible(name, visitor)
        elif path is not None and not (path / "adapter_config.json").is_file():
            raise EvalError(f"eval.earlier: {path} holds no adapter (adapter_config.json is missing)")
        elif path is None and not CHECKPOINT.fullmatch(name) and name.count("/") != 1:
            raise EvalError(
                f"eval.earlier: {name} is neither a checkpoint of this run (checkpoint-40) nor a run's id, nor an "
                "adapter's folder or Hub id"
            )


def check_tasks(config: RunConfig) -> None:
    """Raises EvalError for a task that there is not, whose file is none, or named twice; fetches no dataset."""
    known: dict[object, str] = {}
    for field, name in _asked(config):
        if not _is_own(name) and (wrong := _no_task(name)):
            raise EvalError(f"eval.{field}: {wrong}")
        if (other := known.setdefault(_meant(name), name)) != name:
            raise EvalError(f"eval.{field}: {other} and {name} are one task by name; give it once")
        if _is_file(name):
            _resolved(field, name, online=False)


def tasks_of(config: RunConfig, say: Callable[[str], None]) -> list[Task]:
    """The tasks that the config names, each with its role; `heldout` is none of them.

    Datasets of LightEval's tasks are fetched, unless the Hub is not to be asked; `say` is told of one that cannot be
    had. Raises EvalError for a file that cannot be read.
    """
    found: list[Task] = []
    for field, name in _asked(config):
        try:
            found.append(_resolved(field, name, online=not config.hub.offline))
        except EvalError as error:
            if _is_own(name) or name.endswith((".jsonl", ".json")):
                raise
            say(f"{name} is not asked: {error}")
    return found


def _asked(config: RunConfig) -> list[tuple[str, str]]:
    named = [("tasks", name) for name in config.eval.tasks]
    named += [("forgetting", name) for name in config.eval.forgetting]
    return [one for one in named if one[1] != HELDOUT]


def _resolved(field: str, name: str, *, online: bool) -> Task:
    role = "gain" if field == "tasks" else "forgetting"
    try:
        return resolve_tasks([str(resolve_local(name)) if _is_file(name) else name], role=role, online=online)[0]
    except TaskProblem as error:
        raise EvalError(f"eval.{field}: {error}") from error


def _is_file(name: str) -> bool:
    path = resolve_local(name)
    return path is not None and path.is_file()


def _is_own(name: str) -> bool:
    """Whether a name is a file's or a bundled suite's; others may be LightEval's."""
    return name in SUITES or _is_file(name)


def _meant(name: str) -> object:
    """What two names of one task have in common."""
    from evals.lighteval.names import parse_name

    return Path(name).stem if _is_own(name) else parse_name(name)


def _no_task(name: str) -> str:
    """Why a name that is no file's is no task's either; "" where LightEval may have it: its files are only read."""
    from evals.lighteval.names import modules_of, parse_name, unknown

    bundled = [str(one.relative_to(ROOT)) for one in sorted((ASSETS / "tasks").glob("*.jsonl"))]
    near = _near(name, [HELDOUT, *SUITES, *bundled])
    if near or name.endswith((".jsonl", ".json")) or "/" in name:
        return f"there is no task {name}{near}; give the path of a JSONL file, {HELDOUT} or {' or '.join(SUITES)}"
    try:
        asked, _ = parse_name(name)
    except TaskProblem as error:
        return str(error)
    return "" if modules_of(asked) else str(unknown(asked))


def _near(name: str, there_are: Iterable[str]) -> str:
    """A question after the name that was meant, where one of those there are is like it."""
    stems = {Path(one).stem: one for one in there_are}
    found = get_close_matches(Path(name).stem, stems, n=1, cutoff=0.7)
    return f" (did you mean {stems[found[0]]}?)" if found else ""
