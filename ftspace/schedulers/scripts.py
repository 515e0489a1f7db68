"""A job as the file that a scheduler takes: a task for SkyPilot, a batch script for Slurm, a shell script for torchrun.

All three do the same: lay the run's folder, train in it by torchrun, compare it. Each can be started again, and goes on
where it was. No token is in any of them: they are taken from the environment there. Pure.
"""

import shlex
from dataclasses import replace
from typing import Any, Literal

import yaml

from ftspace.schedulers.job import Job, local_files, moved
from ftspace.settings import OFFLINE, ROOT, WORKER_ENV, resolve_local

Scheduler = Literal["sky", "slurm", "torchrun"]
PORT = 29500
FILES = "~/ftspace-files"
"""Where a task of SkyPilot's finds what was sent along."""
GRACE_SECONDS = 120
"""From the word that time is up until the end: a training saves what it has learnt meanwhile."""
_SKY_NAMES = {"A100-40": "A100", "A100-80": "A100-80GB"}
"""What SkyPilot calls GPUs that have another name here."""
_CORES_A_GPU = 4
_ENV = {name: value for name, value in WORKER_ENV.items() if name != "CUDA_VISIBLE_DEVICES"}


def script_of(job: Job, scheduler: Scheduler, rdzv_endpoint: str | None = None) -> str:
    """The file's text; `rdzv_endpoint` is where several machines meet, for torchrun by itself."""
    match scheduler:
        case "sky":
            return sky(job)
        case "slurm":
            return slurm(job)
        case "torchrun":
            return torchrun(job, rdzv_endpoint)


def torchrun(job: Job, rdzv_endpoint: str | None = None) -> str:
    """A shell script, to be started on each machine."""
    head = ["#!/usr/bin/env bash", f"# {_what(job)}", "# Started again, it goes on from the newest checkpoint."]
    if job.nodes > 1:
        head += [
            f"# Start it on each of {job.nodes} machines, with the place where they meet, an address of one of them:",
            "#   RDZV_ENDPOINT=host:29500 bash THIS_FILE",
        ]
    meet = ["--standalone"] if job.nodes == 1 else _rendezvous(job.run_id, '"$RDZV_ENDPOINT"')
    lines = [*head, "set -euo pipefail", *_project(), *_place(), *_exports(job)]
    if job.nodes > 1:
        default = f":-{rdzv_endpoint}" if rdzv_endpoint else ":?say where the machines meet, host:port"
        lines.append(f'RDZV_ENDPOINT="${{RDZV_ENDPOINT{default}}}"')
    lines += [*_laid(job), *_trained(job, meet, before="" if job.nodes > 1 else 'flock --nonblock "$RUN/lock" ')]
    return "\n".join([*lines, *_compared(), ""])


def slurm(job: Job) -> str:
    """A batch script."""
    asked = [
        f"job-name={job.name}",
        f"nodes={job.nodes}",
        "ntasks-per-node=1",
        *([f"gpus-per-node={job.gpus}"] if job.gpus else []),
        f"cpus-per-task={_CORES_A_GPU * max(1, job.gpus)}",
        f"time={_clock(job.minutes)}",
        "output=%x-%j.out",
        "open-mode=append",
        "requeue",
        f"signal=TERM@{GRACE_SECONDS}",
    ]
    head = [
        "#!/usr/bin/env bash",
        *(f"#SBATCH --{one}" for one in asked),
        f"# {_what(job)}",
        "# Queued again, it goes on from the newest checkpoint. Partition and account are your cluster's: add them, or",
        "# give them to sbatch. FTSPACE_PROJECT and FTSPACE_DATA must lie on a disk that all machines share.",
    ]
    meet = _rendezvous('"$SLURM_JOB_ID"', '"$RDZV_ENDPOINT"') if job.nodes > 1 else ["--standalone"]
    lines = [*head, "set -euo pipefail", *_project(), *_place(), *_exports(job)]
    if job.nodes > 1:
        lines.append(f'RDZV_ENDPOINT="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):{PORT}"')
    before = 'flock --nonblock "$RUN/lock" srun --kill-on-bad-exit=1 '
    lines += [*_laid(job), *_trained(job, meet, before=before)]
    return "\n".join([*lines, *_compared(before="srun --nodes=1 --ntasks=1 "), ""])


def sky(job: Job) -> str:
    """A task of SkyPilot's. What the config names on this machine is sent along."""
    files = local_files(job.config)
    there = {str(path): f"{FILES}/{place}/{path.name}" for place, path in enumerate(files)}
    away = replace(job, config=moved(job.config, there))
    meet = [
        f"--node-rank={_braced('SKYPILOT_NODE_RANK')}",
        '--master-addr="$(echo "$SKYPILOT_NODE_IPS" | head -n 1)"',
        f"--master-port={PORT}",
    ]
    before = f'flock --nonblock "$RUN/lock" timeout --kill-after={GRACE_SECONDS} {job.minutes}m '
    run = [
        "set -euo pipefail",
        *_place(),
        *_exports(job),
        *_laid(away),
        *_trained(away, meet if job.nodes > 1 else ["--standalone"], before=before),
        *_compared('[ "${SKYPILOT_NODE_RANK:-0}" != 0 ] || '),
    ]
    setup = [
        "set -euo pipefail",
        "command -v uv >/dev/null || pip install --quiet uv",
        "[ -x .venv/bin/python ] || uv venv --quiet --seed --python 3.12 .venv",
        ".venv/bin/python -m pip install --quiet \"$(grep '^torch==' requirements.txt)\"",
        ".venv/bin/python -m pip install --quiet -r requirements.txt -c requirements.lock",
    ]
    task: dict[str, Any] = {
        "name": job.name,
        "workdir": str(ROOT),
        "num_nodes": job.nodes,
        "resources": {"accelerators": f"{_sky_name(job)}:{job.gpus}"} if job.gpus else {"cpus": f"{_CORES_A_GPU}+"},
    }
    if needs_hub(job):
        task["secrets"] = {"HF_TOKEN": None}
    if there:
        task["file_mounts"] = {place: path for path, place in there.items()}
    task |= {"setup": "\n".join(setup) + "\n", "run": "\n".join(run) + "\n"}
    secret = " --secret HF_TOKEN" if needs_hub(job) else ""
    head = [
        f"# {_what(job)}",
        f"# sky launch -c {job.name}{secret} THIS_FILE",
        f"# then: rsync -a {job.name}:sky_workdir/data/runs/{job.run_id} data/runs/ and sky down {job.name}",
    ]
    return "\n".join(head) + "\n" + yaml.dump(task, Dumper=_Blocks, sort_keys=False, allow_unicode=True, width=1000)


def needs_hub(job: Job) -> bool:
    """Whether the run asks the Hub for something, so that a token may be of use."""
    config = job.config
    return not config.hub.offline and (
        config.hub.push is not None or any(resolve_local(one) is None for one in (config.model.id, config.data.id))
    )


class _Blocks(yaml.SafeDumper):
    """Writes texts of several lines as blocks."""


_Blocks.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _what(job: Job) -> str:
    on = f"{job.nodes} x {job.gpus} {job.device.name}" if job.device else f"{job.nodes} x the processor"
    how = f"about {job.estimate:.0f} min estimated on one" if job.estimate is not None else "as long as you said"
    return f"Run {job.run_id} of ftspace on {on}: at most {job.minutes} min ({how})."


def _project() -> list[str]:
    return [f"HERE={shlex.quote(str(ROOT))}", 'cd "${FTSPACE_PROJECT:-$HERE}"']


def _place() -> list[str]:
    return [
        'PYTHON="${FTSPACE_PYTHON:-$PWD/.venv/bin/python}"',
        'export FTSPACE_DATA="${FTSPACE_DATA:-$PWD/data}"',
    ]


def _exports(job: Job) -> list[str]:
    wanted = _ENV | (OFFLINE if job.config.hub.offline else {})
    return [f'export {name}="${{{name}:-{value}}}"' for name, value in wanted.items()]


def _laid(job: Job) -> list[str]:
    end = f"END_OF_{job.run_id.rpartition('-')[2]}"
    return [
        'CONFIG="$(mktemp)"',
        "trap 'rm -f \"$CONFIG\"' EXIT",
        f"cat > \"$CONFIG\" <<'{end}'",
        job.yaml.rstrip("\n"),
        end,
        f'RUN="$("$PYTHON" -m ftspace.schedulers.lay "$CONFIG" {job.run_id})"',
    ]


def _trained(job: Job, meet: list[str], before: str) -> list[str]:
    """The training: by torchrun where there are several processes, for which alone it is of use."""
    launched = f"-m torch.distributed.run --nnodes={job.nodes} --nproc-per-node={max(1, job.gpus)} {' '.join(meet)} "
    if job.nodes * max(1, job.gpus) == 1:
        launched = ""
    return [
        'case "$("$PYTHON" -m ftspace.schedulers.lay --todo "$RUN")" in *train*)',
        f'  {before}"$PYTHON" {launched}-m ftspace.training.worker "$RUN" ;;',
        "esac",
    ]


def _compared(unless: str = "", before: str = "") -> list[str]:
    """Where the adapter is, and on a shared disk by one machine only."""
    lock = 'flock --nonblock --conflict-exit-code 0 "$RUN/lock" '
    return [
        'case "$("$PYTHON" -m ftspace.schedulers.lay --todo "$RUN")" in',
        f'  evaluate) {unless}[ ! -d "$RUN/adapter" ] || {lock}{before}"$PYTHON" -m ftspace.evaluate "$RUN" ;;',
        "esac",
        'echo "the run is in $RUN"',
    ]


def _rendezvous(name: str, endpoint: str) -> list[str]:
    return [f"--rdzv-id={name}", "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}"]


def _clock(minutes: int) -> str:
    days, rest = divmod(minutes, 24 * 60)
    clock = f"{rest // 60:02d}:{rest % 60:02d}:00"
    return f"{days}-{clock}" if days else clock


def _sky_name(job: Job) -> str:
    name = job.device.name if job.device else ""
    return _SKY_NAMES.get(name, name)


def _braced(name: str) -> str:
    return f'"${{{name}}}"'
