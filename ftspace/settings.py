"""Where things are on this machine. The only reader of os.environ; knows nothing of runs or models.

FTSPACE_DATA      the folder that holds runs (default: `data` beside app.py, `/data/ftspace` on a Space with a volume)
FTSPACE_HOST      address the app listens on (default: 127.0.0.1)
FTSPACE_PORT      port the app listens on (default: 7860)
FTSPACE_PASSWORD  password of the app; needed with --share and on addresses that others can reach
FTSPACE_WARM      0: the app keeps no process waiting for the next run, which saves 0.5 GB and costs seconds at Start
FTSPACE_USERS     on a Space with sign-in: who may start runs, Hub names between commas, * for everybody who signed in
                  (default: the Space's author)
FTSPACE_MAX_WAITING
                  runs that one user may have waiting for the machine (default: 5)
FTSPACE_MAX_MINUTES
                  a run that is at work for longer is stopped and said to have failed (default: no limit)
FTSPACE_ORIGINS   hosts or addresses, between commas, that the app is reached under as well, such as a proxy's
FTSPACE_KEEP      a folder that outlives this machine, such as a bucket's: the app keeps an archive of each run there,
                  and brings the runs back when it starts anew (default: none)
FTSPACE_WEBHOOK   address that is told, in JSON by POST, how each run ended (default: none)
SPACES_ZERO_GPU   set to true by a Space with ZeroGPU, whose GPU is lent for a few minutes at a time
SYSTEM, SPACE_ID, SPACE_HOST, SPACE_AUTHOR_NAME, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, OAUTH_SCOPES,
OPENID_PROVIDER_URL
                  set by a Hugging Face Space; the last four where its README says hf_oauth
FTSPACE_INPUTS    folder that holds, under their own paths, files of the machine that a run was started on; a Hub job's
FTSPACE_MAX_DATASET_GB
                  largest local dataset that is read, in GB, compressed ones unpacked (default: 50)
REFERENCE_TOKEN   what the endpoint of eval.reference asks for (default: nothing is sent)
JUDGE_TOKEN, JUDGE_1_TOKEN, JUDGE_2_TOKEN, ...
                  what the endpoints of eval.judges ask for: of all of them, or of each by its place
HF_ENDPOINT       the Hub that is asked, and whose addresses can be pasted (default: https://huggingface.co)
GRADIO_TEMP_DIR   where Gradio keeps its copies of files (default: a folder of the app process's own)
"""

import atexit
import ipaddress
import itertools
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ftspace.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder: bundled names such as `assets/base` are looked up here."""
ASSETS = ROOT / "assets"
DEFAULT_CONFIG = ASSETS / "default.yaml"
MAX_DATASET_GB = 50.0
UPLOAD_MAX_BYTES = 500_000_000
"""Largest dataset that is taken as an upload; so much may come out of a compressed one, too."""
UPLOAD_MAX_ROWS = 5_000_000
"""Most rows that an upload may have: a tiny Parquet file can hold any number of equal ones."""
UPLOADS_MAX_BYTES = 5_000_000_000
"""What all uploads together may take."""
UPLOADS_MAX_FILES = 500
"""Uploads kept."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
"""What keeps a process from asking the Hub."""
_OAUTH = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")
"""Without all of them Gradio would let everybody sign in as whom they like."""
_NO_JOBS_BUSINESS = ("OAUTH_CLIENT_SECRET", "FTSPACE_PASSWORD")
_JUDGE_TOKEN = re.compile(r"JUDGE(_\d+)?_TOKEN|HF_TOKEN")
_HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")

WORKER_ENV = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Else transformers asks a service to convert weights that it may not load.
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    "MPLBACKEND": "Agg",
    # One process drives one GPU: with several in sight, transformers would wrap the model in DataParallel.
    "CUDA_VISIBLE_DEVICES": "0",
    # OpenMP threads that spin while they wait starve whatever else runs on a small machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    # glibc hands freed tensors back to the kernel at every step unless told to keep them.
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
}
"""What every job's process gets on top of its parent's environment."""


@dataclass(frozen=True)
class Settings:
    """One machine's settings, read once."""

    data_dir: Path
    host: str
    port: int
    password: str | None
    hub_token: bool
    """Whether this process can read what is private on the Hub."""
    space_id: str | None
    warm: bool = True
    """Whether the app has a process waiting for its next run."""
    sign_in: bool = False
    """Whether visitors sign in with their Hub account: a Space with OAuth."""
    hosts: tuple[str, ...] = ()
    """Names under which the app is reached besides its own address, with a port where they have one: a Space's."""
    users: tuple[str, ...] = ()
    """With sign-in, the Hub names that may start runs; `*` stands for everybody."""
    max_waiting: int = 5
    """Runs that one user may have waiting for the machine."""
    max_minutes: float | None = None
    """Minutes after which a run at work is stopped."""
    webhook: str | None = None
    """Address that is told how each run ended."""
    keep: Path | None = None
    """Where archives of runs are kept."""
    zero_gpu: bool = False
    """Whether this is a Space whose GPU is lent in leases."""

    @property
    def runs_dir(self) -> Path:
        """The folder with one folder a run."""
        return self.data_dir / "runs"

    @property
    def authors(self) -> tuple[str, ...]:
        """The Hub names for which room is kept on a Space: whose it is, and who may start runs before all others."""
        owner = (self.space_id or "").partition("/")[0]
        return tuple(name.casefold() for name in (owner, *self.users[:1]) if name not in ("", "*"))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address that the app listens on."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def why_not_open(self, *, share: bool) -> str | None:
        """Why an app with these settings must not be started, in a line; None when it may."""
        if self.password or (self.sign_in and not share):
            return None
        if self.space_id is not None and not share:
            return "everybody could use this Space: put hf_oauth: true into its README, or set FTSPACE_PASSWORD"
        if share or not self.is_loopback:
            return "others could open this app: set FTSPACE_PASSWORD, or drop --share and listen on 127.0.0.1"
        return None


def read_settings(data_dir: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from the environment; `data_dir`, when given, wins over FTSPACE_DATA. Raises ConfigError."""
    space_id = environ.get("SPACE_ID")
    on_volume = space_id is not None and os.access("/data", os.W_OK)
    default = Path("/data/ftspace") if on_volume else ROOT / "data"
    settings = Settings(
        data_dir=Path((environ.get("FTSPACE_DATA") or default) if data_dir is None else data_dir),
        host=environ.get("FTSPACE_HOST") or ("0.0.0.0" if space_id else "127.0.0.1"),
        port=_port(environ.get("FTSPACE_PORT") or "7860"),
        password=environ.get("FTSPACE_PASSWORD") or None,
        hub_token=bool(environ.get("HF_TOKEN")),
        space_id=space_id,
        warm=_switch("FTSPACE_WARM", environ.get("FTSPACE_WARM") or "1"),
        sign_in=space_id is not None and environ.get("SYSTEM") == "spaces" and all(map(environ.get, _OAUTH)),
        hosts=_names(environ.get("SPACE_HOST") or "") + _hosts(environ.get("FTSPACE_ORIGINS") or ""),
        users=_names(environ.get("FTSPACE_USERS") or environ.get("SPACE_AUTHOR_NAME") or ""),
        max_waiting=_whole("FTSPACE_MAX_WAITING", environ.get("FTSPACE_MAX_WAITING") or "5"),
        max_minutes=_minutes(environ.get("FTSPACE_MAX_MINUTES")),
        webhook=_web_address("FTSPACE_WEBHOOK", environ.get("FTSPACE_WEBHOOK")),
        keep=Path(environ["FTSPACE_KEEP"]).absolute() if environ.get("FTSPACE_KEEP") else None,
        zero_gpu=(environ.get("SPACES_ZERO_GPU") or "").lower() in ("1", "t", "true"),
    )
    try:
        return replace(settings, data_dir=settings.data_dir.expanduser().absolute())
    except RuntimeError as error:
        raise ConfigError(f"--data-dir or FTSPACE_DATA: {settings.data_dir} is in a home folder of nobody") from error


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConfigError(f"FTSPACE_PORT is {text!r}; give a number from 1 to 65535")
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise ConfigError(f"{name} is {text!r}; give 1 or 0")
    return text == "1"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for word in text.split(",") if (name := word.strip()))


def _hosts(text: str) -> tuple[str, ...]:
    found = [re.fullmatch(r"(?:https?://)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d+)?/?", name) for name in _names(text)]
    if not all(found):
        raise ConfigError(f"FTSPACE_ORIGINS is {text!r}; give hosts such as lab.example or lab.example:8443")
    return tuple(one[1] + (one[2] or "") for one in found if one)


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise ConfigError(f"{name} is {text!r}; give a whole number from 1 on")
    return int(text)


def _minutes(text: str | None) -> float | None:
    if not text:
        return None
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < math.inf:
        raise ConfigError(f"FTSPACE_MAX_MINUTES is {text!r}; give a number of minutes, such as 240")
    return minutes


def _web_address(name: str, text: str | None) -> str | None:
    if text and not re.fullmatch(r"https?://[^\s/?#@]+([/?#]\S*)?", text):
        raise ConfigError(f"{name} is no web address; give one such as https://host/path, without user and password")
    return text or None


def reference_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """What the endpoint of a reference model asks for."""
    return environ.get("REFERENCE_TOKEN") or None


def judge_tokens(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What the endpoints of judges ask for, by the names that `evals.judge` gives them."""
    return {name: value for name, value in environ.items() if _JUDGE_TOKEN.fullmatch(name) and value}


def secret_named(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """The value of a variable of this environment that somebody named. Raises ConfigError when it is not set."""
    if not environ.get(name):
        raise ConfigError(f"--secret {name}: there is no variable {name} in your environment; set it, then try again")
    return environ[name]


def max_dataset_bytes(environ: Mapping[str, str] = os.environ) -> int:
    """How many bytes a local dataset may have. Raises ConfigError."""
    text = environ.get("FTSPACE_MAX_DATASET_GB") or str(MAX_DATASET_GB)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes <= 1_000_000:
        raise ConfigError(f"FTSPACE_MAX_DATASET_GB is {text!r}; give a number of gigabytes, such as 50")
    return int(gigabytes * 1e9)


def worker_env(*, offline: bool, token: str | None = None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a job's process: this one's, the project on the import path, and WORKER_ENV where not set.

    Of several GPUs that this process may see, a job sees the first. A `token` for the Hub wins over this process's.
    """
    env = {**WORKER_ENV, **environ}
    for name in _NO_JOBS_BUSINESS:
        env.pop(name, None)
    env["CUDA_VISIBLE_DEVICES"] = env["CUDA_VISIBLE_DEVICES"].partition(",")[0].strip()
    env["PYTHONPATH"] = os.pathsep.join(p for p in (str(ROOT), environ.get("PYTHONPATH")) if p)
    if offline:
        env |= OFFLINE
    if token:
        env["HF_TOKEN"] = token
    return env


@dataclass(frozen=True)
class Rank:
    """What torchrun tells a process of the group that it belongs to."""

    rank: int
    size: int
    """Processes of the whole group."""
    node: int
    """The number of this machine."""
    local: int
    """The process's number on this machine."""
    address: tuple[str, int]
    """Host and port of the store that the processes meet at."""
    error_file: str | None
    """Where a process leaves word of why it failed."""


_RANK_WORDS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


def take_rank(environ: MutableMapping[str, str] = os.environ) -> Rank | None:
    """The place of this process in a group that torchrun started; None where it trains alone.

    What says so is taken out of the environment, and of several GPUs only the process's own is left in sight: libraries
    would split the work in their own way if they saw them.
    """
    if int(environ.get("WORLD_SIZE") or 1) < 2:
        return None
    found = Rank(
        rank=int(environ["RANK"]),
        size=int(environ["WORLD_SIZE"]),
        node=int(environ.get("GROUP_RANK") or 0),
        local=int(environ["LOCAL_RANK"]),
        address=(environ["MASTER_ADDR"], int(environ["MASTER_PORT"])),
        error_file=environ.get("TORCHELASTIC_ERROR_FILE"),
    )
    for name in _RANK_WORDS:
        environ.pop(name, None)
    gpus = visible_gpus(environ)
    if gpus is None or found.local < len(gpus):
        environ["CUDA_VISIBLE_DEVICES"] = str(found.local) if gpus is None else gpus[found.local]
    return found


def group_env(environ: Mapping[str, str], processes: int, machines: int) -> dict[str, str]:
    """An environment for several processes that train together: the cores shared out among those of this machine.

    Where there is one machine they speak over its loopback, whatever its name resolves to.
    """
    env = dict(environ)
    env.setdefault("OMP_NUM_THREADS", str(max(1, cores() // processes)))
    if machines == 1 and sys.platform == "linux":
        env.setdefault("GLOO_SOCKET_IFNAME", "lo")
    return env


def cores() -> int:
    """The processor cores that this process may use: a container's quota counts, not the machine's size."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    return count


def visible_gpus(environ: Mapping[str, str] = os.environ) -> list[str] | None:
    """The GPUs that CUDA_VISIBLE_DEVICES names, as it names them; None where it is not set and all may be seen."""
    if "CUDA_VISIBLE_DEVICES" not in environ:
        return None
    names = [name.strip() for name in environ["CUDA_VISIBLE_DEVICES"].split(",")]
    return list(itertools.takewhile(lambda name: name and name != "-1", names))


def hub_hosts(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The host of the Hub that is asked in place of huggingface.co, with its port; nothing where there is none."""
    host = (environ.get("HF_ENDPOINT") or "").partition("://")[2].partition("/")[0].lower()
    return (host,) if host else ()


def token_of_process(environ: Mapping[str, str] = os.environ) -> str | None:
    """The Hub token that this process was started with."""
    return environ.get("HF_TOKEN") or None


def set_token(token: str | None) -> None:
    """Gives this process another Hub token than the one it was started with, or none."""
    if token:
        os.environ["HF_TOKEN"] = token
    else:
        os.environ.pop("HF_TOKEN", None)


def secrets_in_env(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Values of the environment that must never be written down: tokens, keys and passwords of 8 characters or more.

    A webhook's address is one, too: who knows it can speak in its name.
    """
    return [value for name, value in environ.items() if len(value) >= 8 and names_secret(name)]


def names_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, and not the place of one."""
    name = name.upper()
    words = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "WEBHOOK")
    places = ("_PATH", "_FILE", "_DIR")
    return (name.endswith("_KEY") or any(word in name for word in words)) and not name.endswith(places)


def stored_token(environ: Mapping[str, str] = os.environ) -> str | None:
    """The token that `hf auth login` left on this machine, which the Hub's client uses where no other is given."""
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = environ.get("HF_HOME") or f"{cache}/huggingface"
    path = environ.get("HF_TOKEN_PATH") or f"{home}/token"
    try:
        found = Path(path).expanduser()
        return _token_in(found, found.stat().st_mtime_ns)
    except (OSError, RuntimeError, ValueError):
        return None


@lru_cache(maxsize=8)
def _token_in(path: Path, changed: int) -> str | None:
    return path.read_text(encoding="utf-8").strip() or None


def resolve_local(name: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The file or folder that `name` means: as given, else inside the project; None when it can only be a Hub id.

    What FTSPACE_INPUTS holds of another machine comes last.
    """
    try:
        places = [Path(name).expanduser(), ROOT / name]
        if inputs := environ.get("FTSPACE_INPUTS"):
            places.append(Path(inputs) / name.lstrip("/"))
        return next((path.resolve() for path in places if path.exists()), None)
    except (OSError, RuntimeError, ValueError):  # too long for a path, an unknown ~user, a NUL: no file's name
        return None


def anchored(name: str) -> str:
    """`name` as an absolute path when it is a file or folder relative to here; what only the project holds stays."""
    path = resolve_local(name)
    return name if path is None or path == (ROOT / name).resolve() else str(path)


def give_up_hub_token() -> None:
    """Takes the machine's own Hub token from this process and its children: visitors read with theirs.

    The Hub's client reads where its token lies when it is imported: call it before.
    """
    for name in _HUB_TOKENS:
        os.environ.pop(name, None)
    os.environ["HF_TOKEN_PATH"] = os.devnull


def own_gradio_folder() -> None:
    """Has Gradio keep its copies of files where no other user of the machine looks, and not beyond this process.

    Gradio reads the folder's name when it is imported: call it before. One that was named before stays.
    """
    if not os.environ.get("GRADIO_TEMP_DIR"):
        folder = tempfile.mkdtemp(prefix="ftspace-gradio-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["GRADIO_TEMP_DIR"] = folder


def see_only(gpu: str) -> None:
    """Keeps this process to one GPU, as CUDA_VISIBLE_DEVICES names it. Torch reads it as it begins: call it before."""
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu


def go_offline() -> None:
    """Keeps this process from asking the Hub. The Hub's client reads these when it is imported: call it before."""
    os.environ.update(OFFLINE)
