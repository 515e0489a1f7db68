"""The Hub's answers about what a repository is, and its search."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import asks, page
from tests.loopback_hub.desk import Desk
from tests.loopback_hub.facts import Facts
from tests.loopback_hub.spaces import runtime
from tests.loopback_hub.storage import KINDS, Commit, Repo

ALWAYS = ("_id", "id")
BRIEF = (
    *("_id", "id", "modelId", "likes", "trendingScore", "private", "downloads", "tags", "pipeline_tag"),
    *("library_name", "createdAt", "sdk"),
)
"""What a list says of each when it is not asked for more."""
FULL = ("author", "sha", "lastModified", "gated", "disabled", "siblings", "subdomain", "description", "citation")
SORTS = ("downloads", "likes", "trendingScore", "createdAt", "lastModified", "mainSize")
UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


class Finding:
    """The room of info and search."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._facts = Facts()

    def routes(self) -> list[Route]:
        """What it answers."""
        routes: list[Route] = []
        for kind in KINDS:
            api = f"/api/{kind}/{{owner}}/{{name}}"
            routes += [
                Route(f"/api/{kind}", self._search),
                Route(f"{api}/revision/{{revision}}", self._info),
                Route(api, self._info),
            ]
        return routes

    async def _info(self, request: Request) -> Response:
        repo = self._desk.repo(request)
        facts = self._of(repo, self._desk.commit(request, repo), blobs=asks(request, "blobs"))
        wanted = _expanded(request)
        return JSONResponse({name: value for name, value in facts.items() if not wanted or name in (*ALWAYS, *wanted)})

    async def _search(self, request: Request) -> Response:
        token, kind = self._desk.token(request), request.url.path.split("/")[2]
        seen = (repo for repo in self._desk.store.repos(kind) if not repo.private or self._desk.may(token, "see", repo))
        found = [facts for repo in seen if _fits(request, facts := self._of(repo, repo.head))]
        sort = request.query_params.get("sort", "trendingScore")
        if sort in SORTS:
            backwards = request.query_params.get("direction", "-1") != "1"
            found.sort(key=lambda facts: facts.get(sort) or 0, reverse=backwards)
        wanted = {*ALWAYS, *(_expanded(request) or BRIEF)}
        wanted |= {*FULL} if asks(request, "full") else set()
        wanted |= {name for name in ("cardData", "config") if asks(request, name)}
        wanted |= {"cardData"} if asks(request, "full") and kind != "models" else set()
        return page(request, [{name: value for name, value in one.items() if name in wanted} for one in found], 1000)

    def _of(self, repo: Repo, commit: Commit, *, blobs: bool = False) -> dict[str, Any]:
        facts = self._facts.of(repo, commit, blobs=blobs)
        return facts | {"runtime": runtime(repo)} if repo.kind == "spaces" else facts


def _expanded(request: Request) -> list[str]:
    return [*request.query_params.getlist("expand"), *request.query_params.getlist("expand[]")]


def _fits(request: Request, facts: dict[str, Any]) -> bool:
    """Whether a repository is what a search looks for."""
    query = request.query_params
    words = [word for search in query.getlist("search") for word in search.lower().split()]
    filters = [one for said in query.getlist("filter") for one in said.split(",") if one]
    linked = [(one, said) for one in ("models", "datasets") for said in query.getlist(one)]
    parameters = (facts.get("safetensors") or {}).get("total")
    return (
        all(word in facts["id"].lower() for word in words)
        and query.get("author", facts["author"]).lower() == facts["author"].lower()
        and {*filters} <= {*facts["tags"]}
        and ("gated" not in query or asks(request, "gated") == bool(facts["gated"]))
        and query.get("pipeline_tag", facts.get("pipeline_tag")) == facts.get("pipeline_tag")
        and all(said in facts.get(one, ()) for one, said in linked)
        and ("num_parameters" not in query or _within(query["num_parameters"], parameters))
    )


def _within(asked: str, parameters: int | None) -> bool:
    """Whether a number of parameters is in a range such as `min:1B,max:3B`."""
    bounds = {
        side: float(number) * UNITS[unit] for side, number, unit in re.findall(r"(min|max):([\d.]+)([KMBT]?)", asked)
    }
    return parameters is not None and bounds.get("min", 0.0) <= parameters <= bounds.get("max", float("inf"))
