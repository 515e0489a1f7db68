"""The Hub's answers about people: who a token belongs to, and who may read what is gated."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import Refused, page
from tests.loopback_hub.desk import BAD_TOKEN, Desk
from tests.loopback_hub.people import User
from tests.loopback_hub.storage import KINDS, Repo, git_name, now

STATES = ("accepted", "pending", "rejected")


class Accounts:
    """The room of tokens, users and requests for access."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """What it answers."""
        routes = [Route("/api/whoami-v2", self._whoami), Route("/api/users/{user}/overview", self._overview)]
        for kind, prefix in KINDS.items():
            api = f"/api/{kind}/{{owner}}/{{name}}"
            routes += [
                Route(f"{api}/auth-check", self._auth_check),
                Route(f"{api}/auth-check/write", self._auth_check_write),
                Route(f"{api}/user-access-request/handle", self._handle, methods=["POST"]),
                Route(f"{api}/user-access-request/grant", self._grant, methods=["POST"]),
                Route(f"{api}/user-access-request/{{state}}", self._requests),
                Route(f"/{prefix}{{owner}}/{{name}}/ask-access", self._ask, methods=["POST"]),
            ]
        return routes

    async def _whoami(self, request: Request) -> Response:
        token = self._desk.user(request)
        user = self._desk.users.get(token.user, User())
        return JSONResponse(user.told(token.user) | {"auth": token.told()})

    async def _overview(self, request: Request) -> Response:
        name = request.path_params["user"]
        repos = {kind: [one for one in self._desk.store.repos(kind) if one.owner == name] for kind in KINDS}
        known = {token.user for token in self._desk.tokens.values()} | {*self._desk.users}
        if name not in known and not any(repos.values()):
            raise Refused(404, "", "User not found")
        told: dict[str, Any] = {"user": name, "fullname": name.title(), "avatarUrl": "", "type": "user"}
        counted = {f"num{kind.title()}": sum(not one.private for one in found) for kind, found in repos.items()}
        return JSONResponse(told | counted | {"isPro": self._desk.users.get(name, User()).pro})

    async def _auth_check(self, request: Request) -> Response:
        self._desk.repo(request, "gated")
        return JSONResponse({})

    async def _auth_check_write(self, request: Request) -> Response:
        self._desk.repo(request, "write")
        return JSONResponse({})

    async def _ask(self, request: Request) -> Response:
        repo = self._desk.repo(request)
        user = self._desk.token(request).user or str((await request.form()).get("user", ""))
        if not user:
            raise Refused(401, "", BAD_TOKEN)
        if not repo.gated:
            raise Refused(400, "", "This repository is not gated")
        repo.let_in(user, repo.access().get(user, "accepted" if repo.gated == "auto" else "pending"))
        return JSONResponse({"status": repo.access()[user]})

    async def _grant(self, request: Request) -> Response:
        repo = self._desk.repo(request, "manage")
        user = (await request.json())["user"]
        if repo.access().get(user) == "accepted":
            raise Refused(400, "", f"{user} has access already")
        repo.let_in(user, "accepted")
        return JSONResponse({})

    async def _handle(self, request: Request) -> Response:
        repo, asked = self._desk.repo(request, "manage"), await request.json()
        named = asked.get("user") or next(
            (user for user in repo.access() if _request_id(repo, user) == asked.get("requestId")), ""
        )
        if named not in repo.access() or asked["status"] not in STATES:
            raise Refused(404, "", f"There is no request of {named or 'that id'}")
        repo.let_in(named, asked["status"])
        return JSONResponse({})

    async def _requests(self, request: Request) -> Response:
        repo, state = self._desk.repo(request, "manage"), request.path_params["state"]
        users = [user for user, said in repo.access().items() if said == state]
        return page(
            request,
            [
                {"requestId": _request_id(repo, user), "status": state, "timestamp": now()}
                | {"user": {"user": user, "fullname": user.title(), "email": f"{user}@hub.invalid"}}
                for user in users
            ],
        )


def _request_id(repo: Repo, user: str) -> str:
    return git_name(f"{repo.id} {user}".encode())[:24]
