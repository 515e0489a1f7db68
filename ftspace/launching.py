"""The section of a RunConfig that says where jobs run, and in how many processes. Helps are as those of sections.py."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ftspace.sections import LoraConfig, ModelConfig, Section

Launcher = Literal["local", "hf-jobs", "zerogpu"]


class LaunchConfig(Section):
    """Where the run's jobs run, and how many processes train together."""

    launcher: Launcher = "local"
    """Where jobs run: here (local), as a job of the Hub (hf-jobs), or in leases of a Space's shared GPU (zerogpu)."""
    processes: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Processes that train together on each machine; by itself one for each GPU."""
    shard: bool | None = None
    """Whether the base's frozen weights are divided over the processes; by itself where they do not fit one device and
    several processes train."""
    nnodes: int = Field(default=1, ge=1, le=1024)
    """Machines that train together; each starts this same run, with the same rdzv_endpoint."""
    rdzv_endpoint: str | None = Field(default=None, pattern=r"^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$")
    """Where the machines meet, `host:port` of one of them."""
    flavor: str | None = Field(default=None, pattern=r"^[\w.-]+$")
    """Hardware of a Hub job, such as `a10g-small`; `ftspace flavors` lists them with their prices."""
    timeout_minutes: float | None = Field(default=None, gt=0)
    """A Hub job is ended after so many minutes; by itself three times the estimate, and never under half an hour."""

    lease_seconds: int = Field(default=120, ge=5, le=3600)
    """With zerogpu, for how many seconds the GPU is asked for at once; longer ones wait longer and waste less."""

    @model_validator(mode="after")
    def _they_agree(self) -> Self:
        if self.nnodes > 1 and self.rdzv_endpoint is None:
            raise ValueError("nnodes above 1 needs rdzv_endpoint, the host:port of one machine where they all meet")
        if self.launcher != "local" and (self.nnodes > 1 or self.rdzv_endpoint):
            raise ValueError(f"nnodes and rdzv_endpoint are for launcher local, not for {self.launcher}")
        if self.launcher != "hf-jobs" and (self.flavor or self.timeout_minutes):
            raise ValueError("flavor and timeout_minutes are for launcher hf-jobs; set launch.launcher to hf-jobs")
        if self.launcher == "zerogpu" and (self.processes or 1) > 1:
            raise ValueError("processes above 1 are not for zerogpu: a lease is one process, which may start no other")
        if self.shard and self.launcher != "local":
            raise ValueError(f"shard is for launcher local, whose processes train together, not for {self.launcher}")
        if self.shard and self.processes == 1 and self.nnodes == 1:
            raise ValueError("shard divides the base over several processes, and processes is 1; choose one of them")
        return self


def why_whole(model: ModelConfig, lora: LoraConfig) -> str:
    """Why each process holds the whole base of such a run, as a setting and what it does; "" where it need not.

    What nobody has tried is counted to it.
    """
    if lora.method == "full":
        return "lora.method full trains the base's weights"
    if lora.method != "lora":
        return f"lora.method is {lora.method}"
    if model.quantization != "none":
        return f"model.quantization {model.quantization} packs the base's weights"
    if lora.dora:
        return "lora.dora reads the base's weights beside its layers"
    return f"lora.init {lora.init} starts from the base's weights" if lora.init != "default" else ""
