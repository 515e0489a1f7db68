"""The section of a RunConfig that says where jobs run, and in how many processes. Helps are as those of sections.py."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ftspace.sections import Section

Launcher = Literal["local", "hf-jobs", "zerogpu"]


class LaunchConfig(Section):
    """Where the run's jobs run, and how many processes train together."""

    launcher: Launcher = "local"
    """Where jobs run: here (local), as a job of the Hub (hf-jobs), or in leases of a Space's shared GPU (zerogpu)."""
    processes: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Processes that train together on each machine; by itself one for each GPU."""
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
        return self
