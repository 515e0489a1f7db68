"""The Hub's answers about what repositories hold: trees, files at any commit, commits."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.loopback_hub.answers import Refused, asks, page
from tests.loopback_hub.desk import Desk
from tests.loopback_hub.storage import KINDS, Commit, Repo, git_name

BLOCK = 1 << 18


class Reading:
    """The room of all that changes nothing."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """What it answers."""
        routes: list[Route] = []
        for kind, prefix in KINDS.items():
            api, repo = f"/api/{kind}/{{owner}}/{{name}}", f"/{prefix}{{owner}}/{{name}}"
            routes += [
                Route(f"{api}/tree/{{revision}}", self._tree),
                Route(f"{api}/tree/{{revision}}/{{path:path}}", self._tree),
                Route(f"{api}/paths-info/{{revision}}", self._paths_info, methods=["POST"]),
                Route(f"{api}/commits/{{revision}}", self._commits),
                Route(f"{api}/refs", self._refs),
                Route(f"{repo}/resolve/{{revision}}/{{path:path}}", self._file),
                Route(f"{repo}/raw/{{revision}}/{{path:path}}", self._raw),
            ]
        return routes

    async def _tree(self, request: Request) -> Response:
        repo = self._desk.repo(request)
        commit = self._desk.commit(request, repo)
        below = Path(request.path_params.get("path", ""))
        names = [Path(name) for name in commit.files]
        found = {one for name in names for one in (name, *name.parents) if below in one.parents}
        if not found and below != Path():
            raise Refused(404, "EntryNotFound", f"{below.as_posix()} does not exist on this revision")
        kept = sorted(one.as_posix() for one in found if asks(request, "recursive") or one.parent == below)
        expand = asks(request, "expand")
        return page(request, [self._entry(repo, commit, name, expand=expand) for name in kept], 1000)

    async def _paths_info(self, request: Request) -> Response:
        repo = self._desk.repo(request)
        commit = self._desk.commit(request, repo)
        form = await request.form()
        told: dict[str, Any] = {} if form else await request.json()
        asked = [str(path).strip("/") for path in (form.getlist("paths") or told.get("paths", []))]
        expand = str(form.get("expand") or told.get("expand", "")).lower() == "true"
        folders = {one.as_posix() for name in commit.files for one in Path(name).parents}
        found = [name for name in asked if name in commit.files or name in folders]
        return JSONResponse([self._entry(repo, commit, name, expand=expand) for name in found])

    def _entry(self, repo: Repo, commit: Commit, name: str, *, expand: bool) -> dict[str, Any]:
        file = commit.files.get(name)
        if file is None:
            return {"type": "directory", "path": name, "size": 0, "oid": git_name(name.encode())}
        entry: dict[str, Any] = {"type": "file", "path": name, "size": file.size, "oid": file.blob}
        if file.large:
            entry["lfs"] = {"oid": file.oid, "size": file.size, "pointerSize": len(file.pointer)}
        if expand:
            last = _last_change(repo, commit, name)
            entry["lastCommit"] = {"id": last.id, "title": last.title, "date": last.date}
        return entry

    async def _commits(self, request: Request) -> Response:
        repo = self._desk.repo(request, "gated")
        commit, commits = self._desk.commit(request, repo), repo.history()
        told = [
            {"id": one.id, "title": one.title, "message": one.message, "date": one.date, "parents": [one.parent]}
            | {"authors": [{"user": one.author}]}
            for one in commits[commits.index(commit) :]
        ]
        return page(request, told)

    async def _refs(self, request: Request) -> Response:
        main = {"name": "main", "ref": "refs/heads/main", "targetCommit": self._desk.repo(request).head.id}
        return JSONResponse({"branches": [main], "converts": [], "tags": [], "pullRequests": []})

    async def _raw(self, request: Request) -> Response:
        repo = self._desk.repo(request, "gated")
        file = self._desk.commit(request, repo).files.get(name := request.path_params["path"])
        if file is None:
            raise Refused(404, "EntryNotFound", "Entry not found")
        return Response(file.pointer if file.large else repo.path(name, file).read_bytes(), media_type="text/plain")

    async def _file(self, request: Request) -> Response:
        repo = self._desk.repo(request, "gated")
        commit, name = self._desk.commit(request, repo), request.path_params["path"]
        if name not in commit.files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        file = commit.files[name]
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"', "Accept-Ranges": "bytes"}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{file.oid}"', "X-Linked-Size": str(file.size)}
        start, end = 0, file.size
        if asked := re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", "")):
            start = int(asked[1]) if asked[1] else file.size - int(asked[2] or 0)
            end = min(int(asked[2]) + 1, file.size) if asked[1] and asked[2] else file.size
            if not 0 <= start < end:
                return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        headers["Content-Length"] = str(end - start)
        status = 206 if "Content-Range" in headers else 200
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        opened = repo.path(name, file).open("rb")  # now: what is read is of this commit whatever happens meanwhile
        return StreamingResponse(_part(opened, start, end), status, headers, "application/octet-stream")


def _last_change(repo: Repo, commit: Commit, name: str) -> Commit:
    """The commit that gave a file the content it has."""
    commits, file = repo.history(), commit.files[name]
    last = commit
    for one in commits[commits.index(commit) :]:
        if one.files.get(name) != file:
            break
        last = one
    return last


async def _part(opened: BinaryIO, start: int, end: int) -> AsyncGenerator[bytes]:
    with opened:
        opened.seek(start)
        while start < end and (block := await run_in_threadpool(opened.read, min(BLOCK, end - start))):
            start += len(block)
            yield block
