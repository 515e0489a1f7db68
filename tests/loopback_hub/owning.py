"""What an owner does with whole repositories: make, change, copy and remove them."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import Refused
from tests.loopback_hub.cards import SDKS
from tests.loopback_hub.desk import NAME, Desk
from tests.loopback_hub.people import Token
from tests.loopback_hub.spaces import Spaces, settings
from tests.loopback_hub.storage import GATED, GIVEN, KINDS, LFS_SUFFIXES, PRIVATE, Repo, git_name

ATTRIBUTES = "".join(f"*{one} filter=lfs\n" for one in LFS_SUFFIXES).encode()


class Owning:
    """The room of repositories as wholes."""

    def __init__(self, desk: Desk, spaces: Spaces) -> None:
        self._desk = desk
        self._spaces = spaces

    def routes(self) -> list[Route]:
        """What it answers."""
        routes = [
            Route("/api/repos/create", self._create, methods=["POST"]),
            Route("/api/repos/delete", self._delete, methods=["DELETE"]),
        ]
        for kind in KINDS:
            api = f"/api/{kind}/{{owner}}/{{name}}"
            routes += [
                Route(f"{api}/settings", self._settings, methods=["PUT"]),
                Route(f"{api}/duplicate", self._duplicate, methods=["POST"]),
            ]
        return routes

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        kind, owner, name = _named(asked, self._desk.user(request).user)
        repo, token = self._new(request, kind, owner, name)
        if kind == "spaces" and asked.get("sdk") not in SDKS:
            raise Refused(400, "", f"Invalid sdk; must be one of {', '.join(SDKS)}")
        self._begin(repo, asked, token, {GIVEN: ATTRIBUTES})
        told = {"url": self._desk.address(request, repo), "name": repo.id, "id": git_name(repo.id.encode())[:24]}
        return JSONResponse(told)

    async def _duplicate(self, request: Request) -> Response:
        source, asked = self._desk.repo(request, "gated"), await request.json()
        repo, token = self._new(request, source.kind, *asked["repository"].split("/"))
        files = {name: source.path(name, file).read_bytes() for name, file in source.head.files.items()}
        self._begin(repo, {"visibility": "private", **asked}, token, files)
        if source.kind == "spaces":  # variables are copied, secrets are not
            settings(repo, variables=settings(source).get("variables", {}) | settings(repo).get("variables", {}))
        return JSONResponse({"url": self._desk.address(request, repo), "filesCopyPending": False})

    def _new(self, request: Request, kind: str, owner: str, name: str) -> tuple[Repo, Token]:
        """A repository that may be made, and who makes it."""
        repo = self._desk.store.repo(kind, owner, name)
        token = self._desk.check_writes(request, repo, "create")
        if not NAME.fullmatch(name):
            raise Refused(400, "", f"Invalid repo name: {owner}/{name} - use letters, digits, - _ and .")
        if repo.folder.exists():
            url = self._desk.address(request, repo)
            raise Refused(409, "", f"You already created this {kind[:-1]} repo: {repo.id}", url=url)
        return repo, token

    def _begin(self, repo: Repo, asked: Mapping[str, Any], token: Token, files: Mapping[str, bytes]) -> None:
        repo.create(token.user, files, madeBy=token.app)
        if asked.get("visibility") == "private":
            repo.mark(PRIVATE, "")
        if repo.kind == "spaces":
            self._spaces.set_up(repo, dict(asked), token.user)

    async def _delete(self, request: Request) -> Response:
        kind, owner, name = _named(await request.json(), self._desk.user(request).user)
        self._desk.named(request, kind, owner, name, "manage").delete()
        self._desk.secrets.pop(f"{owner}/{name}", None)
        return JSONResponse({})

    async def _settings(self, request: Request) -> Response:
        repo, asked = self._desk.repo(request, "manage"), await request.json()
        if "visibility" in asked:
            repo.mark(PRIVATE, "" if asked["visibility"] == "private" else None)
        if "gated" in asked:
            repo.mark(GATED, asked["gated"] or None)
        return JSONResponse(asked)


def _named(asked: Mapping[str, Any], user: str) -> tuple[str, str, str]:
    """Kind, owner and name of a repository that a body names."""
    kind = f"{asked.get('type') or 'model'}s"
    if kind not in KINDS:
        raise Refused(400, "", f"There are no {kind} here")
    return kind, asked.get("organization") or user, asked["name"]
