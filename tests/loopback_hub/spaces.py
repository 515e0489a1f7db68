"""What a Space has besides its files: hardware, secrets, variables, volumes, and a stage that it is in.

Nothing is built: a Space runs as soon as it has its app. `settings(repo, stages=["BUILDING", "BUILD_ERROR"])` makes it
go through stages, one each time that its runtime is asked for, and stay in the last.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import Refused
from tests.loopback_hub.desk import Desk
from tests.loopback_hub.people import User
from tests.loopback_hub.storage import PRIVATE, Repo, now

CPU_BASIC, SLEEPS = "cpu-basic", 172_800
LOGGED = "2026-01-01T00:00:00.000Z"
"""When all lines of all logs were written."""
HARDWARE = {
    "cpu-basic": ("CPU Basic", "2 vCPU", "16 GB", 0.0),
    "cpu-upgrade": ("CPU Upgrade", "8 vCPU", "32 GB", 0.03),
    "zero-a10g": ("ZeroGPU", "4 vCPU", "32 GB", 0.0),
    "t4-small": ("Nvidia T4 - small", "4 vCPU", "15 GB", 0.40),
    "t4-medium": ("Nvidia T4 - medium", "8 vCPU", "30 GB", 0.60),
    "l4x1": ("1x Nvidia L4", "8 vCPU", "30 GB", 0.80),
    "l40sx1": ("1x Nvidia L40S", "8 vCPU", "62 GB", 1.80),
    "a10g-small": ("Nvidia A10G - small", "4 vCPU", "15 GB", 1.00),
    "a10g-large": ("Nvidia A10G - large", "12 vCPU", "46 GB", 1.50),
    "a100-large": ("Nvidia A100 - large", "12 vCPU", "142 GB", 2.50),
}
"""Name, processors, memory and dollars an hour of what a Space can run on."""
NAMED = {"secrets", "variables"}
"""What a Space has by name."""


def settings(repo: Repo, **given: Any) -> dict[str, Any]:
    """What is set of a Space, after setting what is given."""
    told = repo.facts().get("space", {}) | given
    if given:
        repo.tell(space=told)
    return told


def runtime(repo: Repo) -> dict[str, Any]:
    """A Space's stage and hardware."""
    told = settings(repo)
    hardware = told.get("hardware", CPU_BASIC)
    has_app = any(name in repo.head.files for name in ("app.py", "Dockerfile", "index.html"))
    stage = (told.get("stages") or ["RUNNING" if has_app else "NO_APP_FILE"])[0]
    return {
        "stage": stage,
        "hardware": {"current": hardware if stage.startswith("RUNNING") else None, "requested": hardware},
        "storage": None,
        "gcTimeout": told.get("sleep", SLEEPS if hardware == CPU_BASIC else None),
        "devMode": False,
        "volumes": told.get("volumes", []),
    }


class Spaces:
    """The room of all that only Spaces have."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """What it answers."""
        api = "/api/spaces/{owner}/{name}"
        return [
            Route("/api/spaces/hardware", self._hardware_list),
            Route("/api/spaces/templates", self._templates),
            *(Route(f"{api}/{what}", self._named, methods=["GET", "POST", "DELETE"]) for what in sorted(NAMED)),
            Route(f"{api}/runtime", self._runtime),
            Route(f"{api}/hardware", self._hardware, methods=["POST"]),
            Route(f"{api}/sleeptime", self._sleep, methods=["POST"]),
            Route(f"{api}/pause", self._pause, methods=["POST"]),
            Route(f"{api}/restart", self._restart, methods=["POST"]),
            Route(f"{api}/volumes", self._volumes, methods=["PUT", "DELETE"]),
            Route(f"{api}/logs/{{which}}", self._logs),
        ]

    def set_up(self, repo: Repo, asked: dict[str, Any], user: str) -> None:
        """Gives a new Space what was asked for when it was made."""
        given: dict[str, Any] = {"volumes": asked.get("volumes", [])}
        if "hardware" in asked:
            self._check_paid(asked["hardware"], user)
            given["hardware"] = asked["hardware"]
        if "sleepTimeSeconds" in asked:
            given["sleep"] = asked["sleepTimeSeconds"]
        settings(repo, **given)
        if "sdk" in asked:
            repo.tell(sdk=asked["sdk"])
        for what in NAMED:
            for one in asked.get(what, []):
                self._put(repo, what, one)

    def _put(self, repo: Repo, what: str, one: dict[str, Any]) -> None:
        told: dict[str, Any] = {"description": one.get("description"), "updatedAt": now()}
        if what == "secrets":
            self._desk.secrets.setdefault(repo.id, {})[one["key"]] = one["value"]
        else:
            told["value"] = one["value"]
        settings(repo, **{what: settings(repo).get(what, {}) | {one["key"]: told}})

    def _check_paid(self, hardware: str, user: str) -> None:
        if hardware not in HARDWARE:
            raise Refused(400, "", f"Invalid hardware: {hardware}; must be one of {', '.join(HARDWARE)}")
        if HARDWARE[hardware][3] and not self._desk.users.get(user, User()).pays:
            raise Refused(402, "", "Payment required: add a payment method to use paid hardware")

    async def _hardware_list(self, request: Request) -> Response:
        told = [
            {"name": name, "prettyName": pretty, "cpu": cpu, "ram": ram, "accelerator": None}
            | {"unitCostMicroUSD": round(price / 60 * 1e6), "unitCostUSD": price / 60, "unitLabel": "minute"}
            for name, (pretty, cpu, ram, price) in HARDWARE.items()
        ]
        return JSONResponse(told)

    async def _templates(self, request: Request) -> Response:
        return JSONResponse({"templates": []})

    async def _named(self, request: Request) -> Response:
        repo, what = self._desk.repo(request, "manage"), request.url.path.rpartition("/")[2]
        if request.method == "POST":
            self._put(repo, what, await request.json())
        elif request.method == "DELETE":
            key = (await request.json())["key"]
            kept = settings(repo).get(what, {})
            settings(repo, **{what: {name: said for name, said in kept.items() if name != key}})
            if what == "secrets":
                self._desk.secrets.get(repo.id, {}).pop(key, None)
        return JSONResponse(settings(repo).get(what, {}))

    async def _runtime(self, request: Request) -> Response:
        repo = self._desk.repo(request)
        told, stages = runtime(repo), settings(repo).get("stages", [])
        if len(stages) > 1:
            settings(repo, stages=stages[1:])
        return JSONResponse(told)

    async def _hardware(self, request: Request) -> Response:
        repo, asked = self._desk.repo(request, "manage"), await request.json()
        self._check_paid(asked["flavor"], self._desk.user(request).user)
        given = {"hardware": asked["flavor"]}
        settings(repo, **given | ({"sleep": asked["sleepTimeSeconds"]} if "sleepTimeSeconds" in asked else {}))
        return JSONResponse(runtime(repo))

    async def _sleep(self, request: Request) -> Response:
        repo = self._desk.repo(request, "manage")
        settings(repo, sleep=(await request.json())["seconds"])
        return JSONResponse(runtime(repo))

    async def _pause(self, request: Request) -> Response:
        repo = self._desk.repo(request, "manage")
        settings(repo, stages=["PAUSED"])
        return JSONResponse(runtime(repo))

    async def _restart(self, request: Request) -> Response:
        repo = self._desk.repo(request, "manage")
        settings(repo, stages=[])
        return JSONResponse(runtime(repo))

    async def _volumes(self, request: Request) -> Response:
        repo = self._desk.repo(request, "manage")
        volumes = (await request.json())["volumes"] if request.method == "PUT" else []
        for one in volumes:
            self._desk.named(request, f"{one['type']}s", *one["source"].split("/"))
            if not one["mountPath"].startswith("/"):
                raise Refused(400, "", f"{one['mountPath']} is no place to mount a volume at")
        settings(repo, volumes=volumes)
        return JSONResponse(runtime(repo))

    async def _logs(self, request: Request) -> Response:
        repo = self._desk.repo(request, "write")
        lines = settings(repo).get("logs", {}).get(request.path_params["which"], [])
        # The client leaves out what is newer than the answer's Date, which the server writes only once a second.
        events = [json.dumps({"data": line, "timestamp": LOGGED}) for line in lines]
        return Response("".join(f"data: {event}\n\n" for event in events), media_type="text/event-stream")


class Buckets:
    """The room of storage buckets, of which only the outside is here: files travel by another protocol."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """What it answers."""
        return [
            Route("/api/buckets/{owner}", self._list),
            Route("/api/buckets/{owner}/{name}/tree", self._tree),
            Route("/api/buckets/{owner}/{name}", self._create, methods=["POST"]),
            Route("/api/buckets/{owner}/{name}", self._delete, methods=["DELETE"]),
            Route("/api/buckets/{owner}/{name}", self._info),
        ]

    def _owner(self, request: Request) -> str:
        owner = request.path_params["owner"]
        return self._desk.user(request).user if owner == "me" else owner

    def _bucket(self, request: Request, right: Any = "see") -> Repo:
        return self._desk.named(request, "buckets", self._owner(request), request.path_params["name"], right)

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        bucket = self._desk.store.repo("buckets", self._owner(request), request.path_params["name"])
        self._desk.check_writes(request, bucket, "create")
        url = f"{request.base_url}buckets/{bucket.id}"
        if bucket.folder.exists():
            raise Refused(409, "", f"You already created this bucket: {bucket.id}", url=url)
        bucket.folder.mkdir(parents=True)
        bucket.tell(createdAt=now())
        if asked.get("visibility") == "private":
            bucket.mark(PRIVATE, "")
        return JSONResponse({"url": url, "name": bucket.name, "id": bucket.id})

    async def _info(self, request: Request) -> Response:
        return JSONResponse(_told(self._bucket(request)))

    async def _list(self, request: Request) -> Response:
        token, owner = self._desk.token(request), self._owner(request)
        own = [one for one in self._desk.store.repos("buckets") if one.owner == owner]
        return JSONResponse([_told(one) for one in own if not one.private or self._desk.may(token, "see", one)])

    async def _tree(self, request: Request) -> Response:
        files = (one for one in sorted(self._bucket(request).folder.iterdir()) if one.name != PRIVATE)
        return JSONResponse(
            [{"type": "file", "path": one.name, "size": one.stat().st_size, "xetHash": ""} for one in files]
        )

    async def _delete(self, request: Request) -> Response:
        self._bucket(request, "manage").delete()
        return JSONResponse({})


def _told(bucket: Repo) -> dict[str, Any]:
    told = {"id": bucket.id, "private": bucket.private, "createdAt": bucket.facts()["createdAt"]}
    return told | {"size": 0, "totalFiles": 0}
