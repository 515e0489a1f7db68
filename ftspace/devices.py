"""What the devices that a run may have can do and cost, and what this machine can. Knows no model and no torch.

Memory, dense tensor throughput without sparsity, memory bandwidth and power are those of NVIDIA's data sheets: T4
(2018), L4 (2023), A10 and A10G (2021; the A10G has 70 TFLOPS in half precision), A100 (2020, SXM), H100 (2022, SXM) and
H200 (2023). Prices are the hourly list prices of Hugging Face Spaces (huggingface.co/docs/hub/spaces-gpus) as of
PRICED; they change, and what Spaces do not list has none. What a device reaches of its data sheet in such work is
UTILIZATION.

This machine is measured: by torch in a worker once, kept in the data folder by the name of its processor; until then a
product of numpy's says it roughly.
"""

import json
import platform
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ftspace.errors import ConfigError

PRICED = "November 2026"
UTILIZATION = 0.4
"""Of the tensor cores' throughput: LoRA steps of models from 1 to 8 billion parameters reach 35 to 50 %."""
CPU_UTILIZATION = 0.83
"""Of what one core of a processor was measured to reach on one product alone: those of a step have other sizes."""
CPU_LAUNCH = 1.5
"""Of what a tensor operation was measured to cost in a bare loop: in a model, Python stands around it."""
BANDWIDTH = 0.75
"""Of the memory's."""
LAUNCH_SECONDS = 6e-6
"""What PyTorch takes to start one operation on a GPU."""
USABLE = 0.95
"""Of a device's memory: its driver keeps some."""


_SHARE = 0.6
"""Of numpy's throughput on a product that lies in the cache, what larger products in torch reach."""


@dataclass(frozen=True)
class Device:
    """What one device reaches in practice."""

    name: str
    kind: str
    """cpu or cuda."""
    memory: int
    """Bytes that a run can use."""
    half: float
    """Operations a second in bfloat16, or in float16 where it has no bfloat16."""
    single: float
    """Operations a second in float32."""
    bandwidth: float
    """Bytes a second."""
    launch_seconds: float
    """What an operation costs however small it is."""
    dollars_an_hour: float | None = None
    bfloat16: bool = True
    cores: int = 1
    """Of a processor; its throughput and bandwidth are those of all of them."""
    measured: bool = True
    """False when the throughput of this machine is only a rough guess."""
    watts: float | None = None
    """Its highest power by the data sheet; None for a processor."""

    def flops(self, dtype: str) -> float:
        """Operations a second in a number format."""
        if dtype == "float32" or (dtype == "bfloat16" and not self.bfloat16):
            return self.single
        return self.half


@dataclass(frozen=True)
class Speed:
    """What one core of this machine was measured to reach."""

    half: float
    single: float
    bandwidth: float
    launch_seconds: float


def _gpu(
    name: str,
    gigabytes: float,
    half: float,
    single: float,
    moved: float,
    price: float | None,
    watts: float,
    *,
    bf16: bool = True,
) -> Device:
    return Device(
        name=name,
        kind="cuda",
        memory=int(gigabytes * USABLE * 2**30),
        half=half * 1e12 * UTILIZATION,
        single=single * 1e12 * 0.7,
        bandwidth=moved * 1e9 * BANDWIDTH,
        launch_seconds=LAUNCH_SECONDS,
        dollars_an_hour=price,
        bfloat16=bf16,
        watts=watts,
    )


TABLE: tuple[Device, ...] = (
    _gpu("T4", 15, 65, 8.1, 320, 0.40, 70, bf16=False),
    _gpu("L4", 22.5, 121, 30.3, 300, 0.80, 72),
    _gpu("A10G", 22.5, 70, 31.2, 600, 1.00, 300),
    _gpu("A100-40", 40, 312, 19.5, 1555, None, 400),
    _gpu("A100-80", 80, 312, 19.5, 2039, 2.50, 400),
    _gpu("H100", 80, 989, 67, 3350, None, 700),
    _gpu("H200", 141 / 1.0737, 989, 67, 4800, None, 700),
)
"""Cards, smallest first; memory in GiB as the driver reports it."""
ZERO_GPU = replace(
    _gpu("ZeroGPU", 74_625_056_768 / 2**30, 989 * 60 / 132, 67 * 60 / 132, 4800 / 2, None, 700), dollars_an_hour=0.0
)
"""What ZeroGPU lends: by its `spaces` package (0.51.3) a slice of an H200 with 60 of its 132 multiprocessors, and so
half of its memory's paths. It may lend other cards, too."""
HERE = "this machine"


def device_named(name: str, here: Device) -> Device:
    """A device of the table, or this machine. Raises ConfigError."""
    for one in (here, *TABLE):
        if one.name.lower() == name.lower():
            return one
    raise ConfigError(f"--device {name}: known are {HERE}, {', '.join(one.name for one in TABLE)}")


def this_machine(data_dir: Path, *, device: str = "auto") -> Device:
    """This machine as a run would use it: its GPU when it has one and the run may take it, else its processor."""
    gpu = None if device == "cpu" else _gpu_here()
    if gpu is not None:
        return gpu
    import psutil

    speed = known_speed(data_dir)
    cores = psutil.cpu_count(logical=False) or 1
    one = speed or _rough()
    return Device(
        name=HERE,
        kind="cpu",
        memory=psutil.virtual_memory().available,
        half=one.half * cores * CPU_UTILIZATION,
        single=one.single * cores * CPU_UTILIZATION,
        bandwidth=one.bandwidth * cores * BANDWIDTH,
        launch_seconds=one.launch_seconds * CPU_LAUNCH,
        dollars_an_hour=0.0,
        cores=cores,
        measured=speed is not None,
    )


def device_of_run(launcher: str, data_dir: Path, *, device: str = "auto") -> Device:
    """What a run will have: what its launcher lends it, else this machine."""
    return ZERO_GPU if launcher == "zerogpu" else this_machine(data_dir, device=device)


def price_here(*, device: str = "auto") -> float | None:
    """The list price of an hour of this machine, in dollars; None for a processor, and for a GPU that none is known of.

    A GPU is known by its name.
    """
    found = None if device in ("cpu", "mps") else _gpu_known()
    return found[1].dollars_an_hour if found and found[1] else None


def named_gpu(name: str) -> Device | None:
    """The table's device that a driver's name such as `NVIDIA A100-SXM4-80GB` means; None for any other."""
    words = name.replace("-", " ").split()
    known = [one for one in TABLE if one.name.partition("-")[0] in words]
    return known[-1] if known else None


def known_speed(data_dir: Path) -> Speed | None:
    """What was measured of this machine's processor; None when nothing was."""
    try:
        return Speed(**json.loads(_kept(data_dir).read_text(encoding="utf-8"))[processor()])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_speed(data_dir: Path, speed: Speed) -> None:
    """Keeps what was measured."""
    path = _kept(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_suffix(".new")
    building.write_text(json.dumps({processor(): asdict(speed)}, indent=2) + "\n", encoding="utf-8")
    building.replace(path)


def processor() -> str:
    """The processor's name with what it can do in half precision: machines of one name may differ in it."""
    facts = _cpu_facts()
    able = [flag for flag in ("avx512_bf16", "amx_bf16") if flag in facts.get("flags", "").split()]
    return " ".join([processor_name(), f"{facts.get('cpu family', '')}.{facts.get('model', '')}", *able])


def processor_name() -> str:
    """What the processor's maker calls it."""
    return _cpu_facts().get("model name") or platform.processor() or platform.machine()


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 by instructions of its own, which is faster than float32.

    By its flags and not by a measurement: a run that goes on, or is made again, must choose the same.
    """
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_cpu_facts().get("flags", "").split())


def _kept(data_dir: Path) -> Path:
    return data_dir / "cache" / "machine.json"


def _cpu_facts() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _rough() -> Speed:
    """One core's speed by a product of numpy's that is too small to be spread over several, by this thread's time."""
    import numpy as np

    rows, columns, times = 48, 256, 50
    left, right = np.ones((rows, columns), dtype=np.float32), np.ones((columns, rows), dtype=np.float32)
    best = 1.0
    for _ in range(20):
        began = time.thread_time()
        for _ in range(times):
            np.matmul(left, right)
        best = min(best, time.thread_time() - began)
    single = _SHARE * 2 * rows * rows * columns * times / max(best, 1e-9)
    flags = _cpu_facts().get("flags", "").split()
    faster = 4.0 if "amx_bf16" in flags else 2.0 if "avx512_bf16" in flags else 0.5
    return Speed(half=single * faster, single=single, bandwidth=1e10, launch_seconds=8e-6)


def _gpu_here() -> Device | None:
    """The GPU that nvidia-smi names, with the table's throughput when the table has it, else that of an L4."""
    found = _gpu_known()
    if found is None:
        return None
    memory, known = found
    like = known or next(one for one in TABLE if one.name == "L4")
    return replace(like, name=HERE, memory=memory, dollars_an_hour=0.0, measured=known is not None)


def _gpu_known() -> tuple[int, Device | None] | None:
    """The usable bytes of the GPU that nvidia-smi names, and what the table has of it."""
    nvidia_smi = shutil.which("nvidia-smi")
    if nvidia_smi is None:
        return None
    asked = [nvidia_smi, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    name, _, mebibytes = (answer.stdout.splitlines() or [""])[0].rpartition(",")
    if answer.returncode or not mebibytes.strip().isdecimal():
        return None
    return int(int(mebibytes) * 2**20 * USABLE), named_gpu(name)
