"""What changes the files of a repository: uploads and commits."""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import Refused, asks
from tests.loopback_hub.cards import problems
from tests.loopback_hub.desk import Desk
from tests.loopback_hub.storage import (
    GATED,
    KINDS,
    PRIVATE,
    Commit,
    File,
    Repo,
    git_name,
    is_large,
)

FULL = "Private repository storage limit reached, please upgrade your plan to increase your private storage limit."
STALE = "A commit has happened since. Please refresh and try again."


class Writing:
    """The room of uploads, cards and commits."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """What it answers."""
        routes = [
            Route("/api/validate-yaml", self._validate_yaml, methods=["POST"]),
            Route("/lfs/{oid}", self._upload, methods=["PUT"]),
            Route("/lfs/{oid}/verify", self._verify, methods=["POST"]),
        ]
        for kind, prefix in KINDS.items():
            api = f"/api/{kind}/{{owner}}/{{name}}"
            routes += [
                Route(f"{api}/preupload/{{revision}}", self._preupload, methods=["POST"]),
                Route(f"{api}/commit/{{revision}}", self._commit, methods=["POST"]),
                Route(f"/{prefix}{{owner}}/{{name}}.git/info/lfs/objects/batch", self._batch, methods=["POST"]),
            ]
        return routes

    async def _validate_yaml(self, request: Request) -> Response:
        asked = await request.json()
        errors, warnings = problems(asked["content"], asked.get("repoType", "model"))
        told = {"errors": [{"message": one} for one in errors], "warnings": [{"message": one} for one in warnings]}
        return JSONResponse(told, 400 if errors else 200)

    async def _preupload(self, request: Request) -> Response:
        repo = self._desk.repo(request, "write")
        files, answers = self._desk.commit(request, repo).files, list[dict[str, Any]]()
        for asked in (await request.json())["files"]:
            mode = "lfs" if is_large(asked["path"], asked["size"]) else "regular"
            there = files.get(asked["path"])
            oid = there.oid if there else None
            answers.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return JSONResponse({"files": answers})

    async def _batch(self, request: Request) -> Response:
        self._desk.repo(request, "write")
        objects: list[dict[str, Any]] = []
        for asked in (await request.json())["objects"]:
            href = f"{request.base_url}lfs/{asked['oid']}"
            actions = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            there = self._desk.store.content(_large(asked)).exists()
            objects.append(asked | ({} if there else {"actions": actions}))
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def _upload(self, request: Request) -> Response:
        oid, digest = request.path_params["oid"], hashlib.sha256()
        place = self._desk.root / "lfs"
        place.mkdir(parents=True, exist_ok=True)
        beside = self._desk.root / f"{secrets.token_hex(8)}.part"
        try:
            with beside.open("wb") as opened:
                async for block in request.stream():
                    digest.update(block)
                    opened.write(block)
            if digest.hexdigest() != oid:
                raise Refused(400, "", "The content is not that of the oid")
            beside.replace(place / oid)
        finally:
            beside.unlink(missing_ok=True)
        return Response()

    async def _verify(self, request: Request) -> Response:
        asked, path = await request.json(), self._desk.root / "lfs" / request.path_params["oid"]
        if not path.exists() or asked["oid"] != path.name or asked["size"] != path.stat().st_size:
            raise Refused(422, "", "The object is not there, or not of that size")
        return Response()

    async def _commit(self, request: Request) -> Response:
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        repo = self._desk.repo(request, "write")
        if request.path_params["revision"] != "main" or asks(request, "create_pr"):
            raise Refused(400, "", "Only main can be committed to here")
        made = self._committed(repo, lines, self._desk.user(request).user)
        url = f"{self._desk.address(request, repo)}/commit/{made.id}"
        return JSONResponse({"success": True, "commitOid": made.id, "commitUrl": url, "hookOutput": ""})

    def _committed(self, repo: Repo, lines: list[dict[str, Any]], author: str) -> Commit:
        """All of a commit or nothing: first everything is looked at, then the contents are kept, then main moves."""
        header = next((line["value"] for line in lines if line["key"] == "header"), None)
        if header is None:
            raise Refused(400, "", "The commit has no header")
        before = repo.head
        if header.get("parentCommit") not in (None, before.id):
            raise Refused(412, "", STALE)
        changes: dict[str, File | None] = {}
        contents: dict[str, tuple[bytes, File]] = {}
        for key, value in ((line["key"], line["value"]) for line in lines if line["key"] != "header"):
            path = _path(value)
            if key == "file":
                content = base64.b64decode(value["content"])
                contents[path] = content, File(git_name(content), len(content), large=False)
                changes[path] = contents[path][1]
            elif key == "lfsFile":
                changes[path] = self._uploaded(path, value)
            else:
                gone = [
                    name for name in before.files if name == path or PurePosixPath(path) in PurePosixPath(name).parents
                ]
                if not gone or (key == "deletedFile" and gone != [path]):
                    raise Refused(404, "EntryNotFound", f"A file with this name doesn't exist: {path}")
                changes |= dict.fromkeys(gone)
        left = self._desk.room_left(repo.owner) if repo.private else None
        if left is not None and repo.used(changes.values()) - repo.used() > left:
            raise Refused(403, "", FULL)
        for content, file in contents.values():
            self._desk.store.keep(content, file)
        return repo.commit(changes, header.get("summary", ""), header.get("description", ""), author)

    def _uploaded(self, path: str, value: Mapping[str, Any]) -> File:
        source = self._desk.store.content(_large(value))
        if not source.exists() or source.stat().st_size != value.get("size", source.stat().st_size):
            raise Refused(400, "", f"{path}: its content was not uploaded")
        return File(value["oid"], source.stat().st_size, large=True)


def _large(asked: Mapping[str, Any]) -> File:
    if len(asked["oid"]) != 64 or not asked["oid"].isalnum():
        raise Refused(422, "", "That is no SHA-256")
    return File(asked["oid"], asked.get("size", 0), large=True)


def _path(value: Mapping[str, Any]) -> str:
    """A path inside a repository."""
    path = str(value["path"]).rstrip("/")
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or {".", "..", ".git", PRIVATE, GATED} & {*parts, *path.split("/")}:
        raise Refused(400, "", f"{path!r} is no path inside a repository")
    return path
