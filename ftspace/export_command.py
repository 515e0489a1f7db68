"""The command `export`: what a run made, or the run itself for a scheduler, as a file. Parses, calls, prints."""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from ftspace.config import RunConfig, load_config
from ftspace.console import stderr, stdout
from ftspace.errors import ConfigError, DiskError
from ftspace.exporting import KINDS, write_export
from ftspace.merging import merge
from ftspace.runs import RunStore, is_run_id
from ftspace.schedulers.scripts import Scheduler, script_of
from ftspace.settings import Settings


def add_export(parsers: Any, where: argparse.ArgumentParser) -> None:
    """Adds the parser of `export`."""
    parser = parsers.add_parser(
        "export",
        help="what a run made, to take along; or a run as a job of another scheduler",
        usage="%(prog)s RUN --what adapter|merged|config|answers|report|chats --out PATH [--json]\n"
        "       %(prog)s RUN|CONFIG.yaml --as sky|slurm|torchrun [-o FILE] [--nodes N] [--gpus N] [--device NAME] "
        "[--minutes M]",
        description="With --what: writes what a run made where other programs find it: the adapter's folder as a zip, "
        "the complete model in a folder (as ftspace merge does), the config as YAML, all answers as Parquet, the "
        "report as one HTML file, what was asked of its models on Compare, by ask and chat, as JSON Lines. There is no "
        "GGUF: llama.cpp's convert_hf_to_gguf.py makes it of the merged model. With --as: writes the run, or that of a "
        "config, as a task of SkyPilot's, a batch script of Slurm's, or a shell script that calls torchrun, with the "
        "time by the estimate and the config inside, no token with it.",
        allow_abbrev=False,
        parents=[where],
    )
    parser.add_argument("run", metavar="RUN", help="a run's id; with --as also a config's YAML file")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--what", choices=KINDS, help="what to take")
    way.add_argument("--as", dest="scheduler", choices=get_args(Scheduler), help="for which scheduler")
    parser.add_argument(
        "-o",
        "--out",
        metavar="PATH",
        help="a new file, or a new folder for the merged model (default with --as: stdout)",
    )
    parser.add_argument("--nodes", type=int, metavar="N", help="with --as: machines (default: launch.nnodes)")
    parser.add_argument(
        "--gpus", type=int, metavar="N", help="with --as: GPUs on each machine, 0 for none (default: launch.processes)"
    )
    parser.add_argument(
        "--device", metavar="NAME", help="with --as: kind of GPU (default: the smallest that the run fits on)"
    )
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="with --as: most minutes (default: three times the estimate)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")


def export(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace export`: status 0 when the file, or the model's folder, is there."""
    if parsed.scheduler:
        return _job(parsed, settings)
    if odd := next((name for name in ("nodes", "gpus", "device", "minutes") if getattr(parsed, name) is not None), ""):
        raise ConfigError(f"--{odd} is for a scheduler; name it with --as, or leave --{odd} out")
    if not parsed.out:
        raise ConfigError(f"where is the {parsed.what} to go? Name a new file with --out")
    if parsed.what == "merged":
        return merge(argparse.Namespace(**vars(parsed), dtype="auto", keep_anyway=False), settings)
    run = RunStore(settings.runs_dir).get(parsed.run)
    out = Path(parsed.out)
    size = write_export(run, parsed.what, out)
    if parsed.json:
        stdout.file.write(json.dumps({"run_id": run.id, "what": parsed.what, "path": str(out), "bytes": size}) + "\n")
    stderr.print(f"{out}: {size:,} bytes", markup=False, highlight=False, soft_wrap=True)
    return 0


def _job(parsed: argparse.Namespace, settings: Settings) -> int:
    """`ftspace export --as`: the run as a scheduler's file."""
    from ftspace.schedulers.job import Wanted, job_of

    store = RunStore(settings.runs_dir)
    config = _config(parsed.run, store)
    wanted = Wanted(parsed.nodes, parsed.gpus, parsed.device, parsed.minutes)
    job = job_of(config, wanted, store)
    text = script_of(job, parsed.scheduler, config.launch.rdzv_endpoint)
    if parsed.out:
        _write(Path(parsed.out), text)
    if parsed.json:
        device = job.device.name if job.device else None
        told = {"run_id": job.run_id, "as": parsed.scheduler, "path": parsed.out, "device": device}
        told |= {"nodes": job.nodes, "gpus": job.gpus, "minutes": job.minutes, "text": text}
        stdout.file.write(json.dumps(told, indent=2) + "\n")
    elif not parsed.out:
        stdout.file.write(text)
    if parsed.out:
        stderr.print(f"{parsed.out}: run {job.run_id}, at most {job.minutes} min", markup=False, highlight=False)
    return 0


def _config(name: str, store: RunStore) -> RunConfig:
    """The config of a run, or of a YAML file."""
    if is_run_id(name):
        return store.get(name).config
    if not Path(name).is_file():
        raise ConfigError(f"{name} is neither a run's id nor a config's YAML file; see: ftspace runs list")
    return load_config(name)


def _write(path: Path, text: str) -> None:
    """Writes a new file. Raises ConfigError when something is there already, DiskError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already and is not overwritten; name a new file") from error
    except OSError as error:
        raise DiskError(f"{path} cannot be written: {error.strerror}; name another place") from error
