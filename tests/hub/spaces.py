"""A Hub on this machine whose Spaces have what surrounds their files: settings, hardware, buckets and logs."""

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback_hub import LoopbackHub
from tests.loopback_hub.answers import Refused

HARDWARE = [("cpu-basic", "CPU Basic", 0.0), ("t4-small", "Nvidia T4 - small", 0.01), ("zero-a10g", "ZeroGPU", 0.0)]
"""Names, titles, and dollars a minute."""


class SpacesHub(LoopbackHub):
    """The Hub, and what its Spaces were told."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.spaces: dict[str, dict[str, Any]] = {}
        self.buckets: dict[str, str] = {}
        self.stages: list[str] = []
        """The stages that are still to come, one for each look; afterwards a Space runs."""
        self.subscribed = True
        """Whether a Space may be made on free hardware."""
        routes = self._routes.router.routes
        self._made: Any = next(one for one in routes if isinstance(one, Route) and one.path == "/api/repos/create")
        space = "/api/spaces/{owner}/{name}"
        routes[:0] = [
            Route("/api/repos/create", self._create, methods=["POST"]),
            Route("/api/spaces/hardware", self._hardware),
            Route("/api/buckets/{owner}/{name}", self._bucket, methods=["POST"]),
            Route(f"{space}/runtime", self._runtime),
            Route(f"{space}/logs/{{which}}", self._logs),
            *(Route(f"{space}/{what}", self._listed) for what in ("variables", "secrets")),
            *(Route(f"{space}/{what}", self._add, methods=["POST"]) for what in ("variables", "secrets")),
            Route(f"{space}/volumes", self._volumes, methods=["PUT"]),
            Route(f"{space}/hardware", self._request, methods=["POST"]),
            Route(f"{space}/sleeptime", self._sleep, methods=["POST"]),
        ]

    def _space(self, request: Request, *, write: bool = False) -> dict[str, Any]:
        repo = self.repo(request, write=write)
        return self.spaces.setdefault(repo.id, {"variables": {}, "secrets": {}, "volumes": None, "hardware": None})

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        if asked["type"] == "space" and not self.subscribed and not asked.get("hardware"):
            raise Refused(402, "", "Subscribe to PRO to host this Space on cpu-basic")
        answer = await self._made.endpoint(request)
        if asked["type"] == "space" and answer.status_code == 200:
            self.spaces[f"{asked['organization']}/{asked['name']}"] = {
                "variables": {one["key"]: one["value"] for one in asked.get("variables", [])},
                "secrets": {one["key"]: one["value"] for one in asked.get("secrets", [])},
                "volumes": asked.get("volumes"),
                "hardware": asked.get("hardware"),
            }
        return answer

    async def _hardware(self, request: Request) -> Response:
        return JSONResponse(
            [
                {
                    "name": name,
                    "prettyName": title,
                    "cpu": "4 vCPU",
                    "ram": "15 GB",
                    "unitCostMicroUSD": int(cost * 1e6),
                    "unitCostUSD": cost,
                    "unitLabel": "minute",
                }
                for name, title, cost in HARDWARE
            ]
        )

    async def _bucket(self, request: Request) -> Response:
        owner, name = request.path_params["owner"], request.path_params["name"]
        self.check_writes(self.user(request), owner)
        url = f"{request.base_url}buckets/{owner}/{name}"
        if f"{owner}/{name}" in self.buckets:
            raise Refused(409, "", "There is such a bucket", url=url)
        self.buckets[f"{owner}/{name}"] = (await request.json()).get("visibility", "public")
        return JSONResponse({"url": url})

    async def _runtime(self, request: Request) -> Response:
        return JSONResponse(self._state(request, self.stages.pop(0) if self.stages else "RUNNING"))

    def _state(self, request: Request, stage: str) -> dict[str, Any]:
        held, repo = self._space(request), self.repo(request)
        head = repo.at("main")
        state: dict[str, Any] = {"stage": stage, "hardware": {"current": None, "requested": held["hardware"]}}
        state |= {"storage": None, "gcTimeout": held.get("sleep"), "sha": head.id if head else None}
        return state | ({"volumes": held["volumes"]} if held["volumes"] else {})

    async def _logs(self, request: Request) -> Response:
        self.repo(request)
        lines = [f"{request.path_params['which']} line {place}\n" for place in range(3)]
        events = "".join(
            f"data: {json.dumps({'data': line, 'timestamp': '2026-01-01T00:00:00.000Z'})}\n\n" for line in lines
        )
        return Response(events, media_type="text/event-stream")

    async def _listed(self, request: Request) -> Response:
        what = request.url.path.rpartition("/")[2]
        held = self._space(request)[what]
        return JSONResponse({key: {"value": value} if what == "variables" else {} for key, value in held.items()})

    async def _add(self, request: Request) -> Response:
        asked, what = await request.json(), request.url.path.rpartition("/")[2]
        self._space(request, write=True)[what][asked["key"]] = asked["value"]
        return await self._listed(request)

    async def _volumes(self, request: Request) -> Response:
        self._space(request, write=True)["volumes"] = (await request.json())["volumes"]
        return JSONResponse({})

    async def _request(self, request: Request) -> Response:
        asked, held = await request.json(), self._space(request, write=True)
        held |= {"hardware": asked["flavor"], "sleep": asked.get("sleepTimeSeconds")}
        return JSONResponse(self._state(request, "BUILDING"))

    async def _sleep(self, request: Request) -> Response:
        self._space(request, write=True)["sleep"] = (await request.json())["seconds"]
        return JSONResponse(self._state(request, "RUNNING"))
