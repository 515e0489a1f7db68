"""The files of a Space: this app's own, or those of a chat demo of one pushed adapter. Knows no network.

Equal content gives equal bytes: a Space that has them already needs no commit.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from evals.errors import one_line
from ftspace.errors import ConfigError, HubError
from ftspace.hub.bundle.origins import known_origins
from ftspace.hub.bundle.published import texts_of
from ftspace.hub.push.records import PushFolder, PushRecord
from ftspace.hub.spaces.hardware import Hardware
from ftspace.runs import Run
from ftspace.sections import PROMPTED
from ftspace.settings import ASSETS, ROOT, resolve_local

SpaceKind = Literal["app", "demo"]
"""What a Space runs: the whole app, or a chat with one base and its tuned model."""
MARK = ".ftspace-space.json"
"""Says in a Space what `deploy` put there: of what kind it is, and which files are its own."""
_OF_THE_APP = ("app.py", "requirements.txt", "LICENSE", "ftspace", "evals", "assets")
_LEFT_OUT = ("assets/screenshots/",)
_OF_THE_DEMO = ("gradio", "torch", "transformers", "peft", "accelerate", "huggingface_hub", "safetensors", "tokenizers")
SCOPES = ("read-repos", "gated-repos", "contribute-repos")
"""What a visitor lets the app do in his name: read what is his or gated, and make repositories to push to."""
_NEEDED = ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file")
_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
_SHORT = 60
"""Longest `short_description` that the Hub takes."""
_APP = """\
# {title}

Fine-tune a language model with LoRA, and learn with paired tests whether it got better, by how much, and what it lost.

Sign in with your Hub account. Who may start runs here is said by the Space's variable `FTSPACE_USERS`: Hub names
between commas, or `*` for everybody; where there is none, only the Space's author may. To have it to yourself,
duplicate this Space and give the copy a graphics card.
"""
_DEMO = """\
# {title}

The same question to [{base}](https://huggingface.co/{base}) and to the same model with the adapter
[{adapter}]({url}): one copy of the weights, the adapter off and on. How both were compared, and how sure that is,
stands in the adapter's card.
"""


def app_files(hardware: Hardware | None = None) -> dict[str, bytes]:
    """What a Space with this app needs, by its place there; `hardware` is what its README suggests."""
    files = {name: (ROOT / name).read_bytes() for name in _ours()}
    front = front_matter((ROOT / "README.md").read_text(encoding="utf-8"))
    if hardware is not None and hardware.gpu:
        front["suggested_hardware"] = hardware.name
    files["README.md"] = _readme(front, _APP.format(title=front.get("title")))
    return _marked("app", files)


def demo_files(run: Run) -> dict[str, bytes]:
    """What a Space with a chat demo of a run's pushed adapter needs. Raises HubError where there can be none.

    System prompt and dataset are named only where everybody may read the dataset.
    """
    record = pushed(run)
    config = run.config
    if resolve_local(config.model.id) is not None:
        raise HubError(
            f"run {run.id}: its base is the folder {config.model.id}, which a Space does not have; a demo needs a base "
            "that is on the Hub"
        )
    if config.model.trust_code:
        raise HubError(f"run {run.id}: {config.model.id} runs only with code of its own, and a demo runs none")
    if config.lora.method in (*PROMPTED, "full"):
        raise HubError(
            f"run {run.id} was trained with {config.lora.method}; a demo switches an adapter in the base: lora, adalora"
        )
    told = why_no_texts(run) is None
    title = f"{record.repo_id.partition('/')[2]}: before and after"
    about = {
        "base": config.model.id,
        "base_revision": _base_revision(run),
        "adapter": record.repo_id,
        "adapter_revision": record.commit,
        "tokenizer_of_adapter": "tokenizer_config.json" in record.files,
        "title": title,
        "quantization": config.model.quantization,
        "system": (config.data.system or "") if told else "",
        "links": {"The adapter, and how it was measured": record.url},
    }
    dataset = config.data.id if told and resolve_local(config.data.id) is None else None
    front = {
        "title": title,
        "emoji": "⚖️",
        "colorFrom": "indigo",
        "colorTo": "green",
        "sdk": "gradio",
        "sdk_version": pins()["gradio"],
        "python_version": "3.12",
        "app_file": "app.py",
        "short_description": "The same question before and after fine-tuning",
        "models": [config.model.id, record.repo_id],
        **({"datasets": [dataset]} if dataset else {}),
        "tags": ["ftspace", "lora", "fine-tuning"],
    }
    body = _DEMO.format(title=title, base=config.model.id, adapter=record.repo_id, url=record.url)
    names = (*_OF_THE_DEMO, *(("bitsandbytes",) if config.model.quantization != "none" else ()))
    files = {
        "app.py": (ASSETS / "demo" / "app.py").read_bytes(),
        "demo.json": _json(about),
        "requirements.txt": "".join(f"{name}=={pins()[name]}\n" for name in names).encode(),
        "README.md": _readme(front, body),
    }
    return _marked("demo", files)


def pushed(run: Run) -> PushRecord:
    """The record of a run's pushed adapter. Raises HubError when there is none."""
    path = PushFolder(run.path).record
    try:
        return PushRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise HubError(f"the adapter of run {run.id} is not on the Hub yet; push it first: ftspace push") from None
    except (OSError, ValueError) as error:
        raise HubError(f"{path} cannot be read ({one_line(error)}); push the adapter again: ftspace push") from error


def why_no_texts(run: Run) -> str | None:
    """Why nothing of a run's dataset may be told to others; None where everybody may read it."""
    return texts_of(run.config, known_origins(run)).why_none


def front_matter(readme: str) -> dict[str, Any]:
    """The YAML at the head of a README. Raises ConfigError when there is none."""
    found = re.match(r"---\r?\n(.*?\n)---\r?\n", readme, re.DOTALL)
    try:
        front: Any = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError as error:
        raise ConfigError(f"README.md: its front matter is not YAML: {one_line(error)}") from error
    if not isinstance(front, Mapping):
        raise ConfigError("README.md: it has no front matter, which says what a Space runs; put it between --- lines")
    return {str(key): value for key, value in cast("Mapping[Any, Any]", front).items()}


def check_front(files: Mapping[str, bytes], kind: SpaceKind) -> dict[str, Any]:
    """The front matter of a Space's README, checked against its other files. Raises ConfigError, with every fault."""
    front = front_matter(files["README.md"].decode())
    wrong = [f"{name} is missing" for name in _NEEDED if not front.get(name)]
    pin = _pins(files["requirements.txt"].decode()).get("gradio")
    if front.get("sdk") != "gradio":
        wrong.append("sdk must be gradio")
    if front.get("sdk_version") != pin:
        wrong.append(f"sdk_version is {front.get('sdk_version')}, requirements.txt asks for {pin}")
    if front.get("app_file") not in files:
        wrong.append(f"app_file {front.get('app_file')} is not among the files")
    if not isinstance(front.get("python_version"), str):
        wrong.append("python_version must be in quotes, or YAML reads 3.10 as 3.1")
    if len(str(front.get("short_description", ""))) > _SHORT:
        wrong.append(f"short_description has more than {_SHORT} characters")
    wrong += [f"{name} must be one of {', '.join(_COLOURS)}" for name in ("colorFrom", "colorTo") if _odd(front, name)]
    if kind == "app":
        if front.get("hf_oauth") is not True:
            wrong.append("hf_oauth must be true, or nobody can sign in")
        lacking = set(SCOPES) - set(front.get("hf_oauth_scopes") or ())
        wrong += [f"hf_oauth_scopes lacks {one}" for one in sorted(lacking)]
    if wrong:
        raise ConfigError(f"README.md: {'; '.join(wrong)}")
    return front


def pins() -> dict[str, str]:
    """The versions that requirements.txt names, by package."""
    return _pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))


def _pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)$", text, re.MULTILINE))


def _odd(front: Mapping[str, Any], name: str) -> bool:
    return bool(front.get(name)) and front[name] not in _COLOURS


def _ours() -> list[str]:
    """The app's files: those that git tracks where this is a checkout, else all that are no hidden or compiled ones."""
    names = _git()
    if names is None:
        found = [path for one in _OF_THE_APP for path in (ROOT / one, *(ROOT / one).rglob("*"))]
        names = [str(path.relative_to(ROOT)) for path in found]
    return sorted(
        name
        for name in set(names)
        if (ROOT / name).is_file() and not name.startswith(_LEFT_OUT)
        if not any(part.startswith(".") or part == "__pycache__" for part in Path(name).parts)
    )


def _git(*options: str) -> list[str] | None:
    """What git lists of the app's files; None where this is no checkout. Raises ConfigError when git cannot tell."""
    if not (ROOT / ".git").exists():
        return None
    words = ["git", "ls-files", "-z", *options, "--", *_OF_THE_APP]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise ConfigError(
            f"git cannot say which files of {ROOT} are the project's ({' '.join(why.split())}); mend that, or deploy "
            "from a copy that is no checkout"
        ) from error
    return done.stdout.decode().rstrip("\0").split("\0")


def left_out() -> list[str]:
    """Files that lie among the app's, that git neither tracks nor ignores: they are not sent."""
    return [name for name in _git("--others", "--exclude-standard") or () if name]


def _base_revision(run: Run) -> str | None:
    """The commit of the base that the adapter which was pushed names, if it names one."""
    for folder in (PushFolder(run.path).bundle, run.adapter):
        try:
            found = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("revision")
        except (OSError, ValueError):
            continue
        if found:
            return str(found)
    return run.config.model.revision


def _readme(front: Mapping[str, Any], body: str) -> bytes:
    head = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{head}---\n\n{body}".encode()


def _marked(kind: SpaceKind, files: dict[str, bytes]) -> dict[str, bytes]:
    """The files with the mark that names them."""
    mark = {"made_by": "ftspace deploy", "kind": kind, "files": sorted(files)}
    return {**files, MARK: _json(mark)}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
