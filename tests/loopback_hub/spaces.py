"""What a Space has besides its files: hardware, secrets, variables, volumes, and a stage that it is in."""

from typing import Any

from tests.loopback_hub.storage import Repo

CPU_BASIC = "cpu-basic"


def runtime(repo: Repo) -> dict[str, Any]:
    """A Space's stage and hardware. Nothing is built here: it runs as soon as it has its app."""
    told = repo.facts().get("space", {})
    hardware = told.get("hardware", CPU_BASIC)
    has_app = any(name in repo.head.files for name in ("app.py", "Dockerfile", "index.html"))
    stage = told.get("stage") or ("RUNNING" if has_app else "NO_APP_FILE")
    return {
        "stage": stage,
        "hardware": {"current": hardware if stage == "RUNNING" else None, "requested": hardware},
        "storage": None,
        "gcTimeout": told.get("sleep", 172_800 if hardware == CPU_BASIC else None),
        "devMode": False,
        "volumes": told.get("volumes", []),
    }
