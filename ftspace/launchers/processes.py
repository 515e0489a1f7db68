"""How many processes train a run together on this machine, and whether it has a device for each. Knows no torch."""

from ftspace.config import RunConfig
from ftspace.errors import ConfigError
from ftspace.settings import cores
from ftspace.slots import gpus_here


def processes_of(config: RunConfig) -> int:
    """The processes that train on this machine: as many as the config says, else one for each GPU."""
    launch = config.launch
    if launch.launcher != "local":
        return 1
    if launch.processes is not None:
        return launch.processes
    return max(1, len(_gpus(config)))


def together(config: RunConfig) -> bool:
    """Whether several processes train the run, here or on several machines."""
    return config.launch.launcher == "local" and (processes_of(config) > 1 or config.launch.nnodes > 1)


def gpus_of(config: RunConfig) -> int:
    """The GPUs that a run takes for itself here; 0 where it trains on the processor."""
    return processes_of(config) if _gpus(config) else 0


def check_processes(config: RunConfig) -> None:
    """Raises ConfigError when this machine has fewer devices than the run is to have processes here."""
    if config.launch.launcher != "local":
        return
    wanted, gpus = processes_of(config), len(_gpus(config))
    if config.launch.shard and not together(config):
        raise ConfigError(
            "launch.shard divides the base over several processes, and one trains here; set launch.processes, or leave "
            "shard out"
        )
    if config.train.device == "mps" and wanted > 1:
        raise ConfigError("launch.processes: Apple's GPU is one device, which one process has; set it to 1")
    if gpus and wanted > gpus:
        raise ConfigError(
            f"launch.processes is {wanted} and this machine has {_count(gpus, 'GPU')}, one for each process; set it to "
            f"{gpus} or less"
        )
    if not gpus and wanted > cores():
        raise ConfigError(
            f"launch.processes is {wanted} and this machine has no GPU for them and {_count(cores(), 'core')}, one for "
            f"each process; set it to {cores()} or less"
        )


def _gpus(config: RunConfig) -> list[str]:
    return gpus_here() if config.train.device in ("auto", "cuda") else []


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)
