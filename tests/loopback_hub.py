"""A Hub on this machine: the Hugging Face Hub's HTTP API over folders, for the unmodified client.

A repository is a folder `ROOT/models/OWNER/NAME` or `ROOT/datasets/OWNER/NAME`; its commit is a hash of its files. An
empty file `.gated` beside its files makes it gated: only users with a token may read it; `.private`: only its owner.
Large and binary files go through LFS, and lie in `ROOT/lfs` until they are committed. Needs no network.
Run by hand: `python -m tests.loopback_hub ROOT [PORT]`, then set HF_ENDPOINT to the address that it prints.
"""

import base64
import hashlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

READER_TOKEN = "hf_readerOfTheLoopbackHub"
WRITER_TOKEN = "hf_writerOfTheLoopbackHub"
LIMITED_TOKEN = "hf_limitedToNothingOfTheLoopbackHub"
TOKENS = {READER_TOKEN: ("reader", "read"), WRITER_TOKEN: ("me", "write"), LIMITED_TOKEN: ("me", "fineGrained")}
"""Whose token it is, and its role."""
KINDS = {"models": "", "datasets": "datasets/"}
MARKS = (".gated", ".private")
LFS_SUFFIXES = (".parquet", ".safetensors", ".arrow", ".bin")
LFS_SIZE = 1_000_000
"""Files of more bytes go through LFS, whatever they are called."""


class LoopbackHub:
    """The ASGI app, the requests that it answered, and the statuses that it shall answer instead."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[str] = []
        self.refuse: dict[str, int] = {}
        """Part of a path -> the status that requests to such paths get."""
        routes = [
            Route("/api/whoami-v2", self._whoami),
            Route("/api/repos/create", self._create, methods=["POST"]),
            Route("/api/validate-yaml", self._validate_yaml, methods=["POST"]),
            Route("/lfs/{oid}", self._upload, methods=["PUT"]),
            Route("/lfs/{oid}/verify", self._verify, methods=["POST"]),
        ]
        for kind, prefix in KINDS.items():
            api = f"/api/{kind}/{{owner}}/{{name}}"
            repo = f"/{prefix}{{owner}}/{{name}}"
            routes += [
                Route(f"{api}/tree/{{revision}}", self._tree),
                Route(f"{api}/tree/{{revision}}/{{path:path}}", self._tree),
                Route(f"{api}/paths-info/{{revision}}", self._paths_info, methods=["POST"]),
                Route(f"{api}/revision/{{revision}}", self._info),
                Route(f"{api}/preupload/{{revision}}", self._preupload, methods=["POST"]),
                Route(f"{api}/commit/{{revision}}", self._commit, methods=["POST"]),
                Route(api, self._info),
                Route(f"{repo}/resolve/{{revision}}/{{path:path}}", self._file),
                Route(f"{repo}.git/info/lfs/objects/batch", self._batch, methods=["POST"]),
            ]
        self._routes = Starlette(routes=routes)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        status = next((status for part, status in self.refuse.items() if part in scope.get("path", "")), None)
        answer = self._routes if status is None else _error(status, "", f"refused with {status}")
        await answer(scope, receive, send)

    def _repo(self, request: Request, *, write: bool = False) -> Path | Response:
        """The repository's folder, or the answer that refuses it."""
        self.requests.append(f"{request.method} {request.url.path}")
        kind = "datasets" if request.url.path.removeprefix("/api").startswith("/datasets/") else "models"
        owner, name = request.path_params["owner"], request.path_params["name"]
        folder = self.root / kind / owner / name
        user, role = _who(request)
        if not folder.is_dir() or ((folder / ".private").exists() and user != owner):
            return _error(404 if user else 401, "RepoNotFound", "Repository not found")
        if (folder / ".gated").exists() and not user:
            return _error(403, "GatedRepo", "Access to this repository is restricted")
        if write and (user != owner or role != "write"):
            return _error(403, "", "You don't have the rights to write here")
        if request.path_params.get("revision", "main") not in ("main", _head(folder)):
            return _error(404, "RevisionNotFound", "Revision not found")
        return folder

    async def _whoami(self, request: Request) -> Response:
        user, role = _who(request)
        if not user:
            return _error(401, "", "Invalid credentials in Authorization header")
        return JSONResponse({"name": user, "auth": {"accessToken": {"role": role}}, "orgs": []})

    async def _info(self, request: Request) -> Response:
        folder = self._repo(request)
        if isinstance(folder, Response):
            return folder
        card = folder / "README.md"
        info: dict[str, Any] = {"id": f"{folder.parent.name}/{folder.name}", "sha": _head(folder), "tags": []}
        info["siblings"] = [{"rfilename": name} for name in _files(folder)]
        info |= {"private": (folder / ".private").exists(), "gated": "auto" if (folder / ".gated").exists() else False}
        info["cardData"] = _front_matter(card.read_text(encoding="utf-8")) if card.exists() else None
        return JSONResponse({**info, "disabled": False, "downloads": 0})

    async def _tree(self, request: Request) -> Response:
        folder = self._repo(request)
        if isinstance(folder, Response):
            return folder
        below = Path(request.path_params.get("path", ""))
        whole = request.query_params.get("recursive", "").lower() in ("true", "1")
        names = [Path(name) for name in _files(folder)]
        found = {one for name in names for one in (name, *name.parents) if below in one.parents}
        found = sorted(str(one) for one in found if whole or one.parent == below)
        return JSONResponse([_entry(folder, name) for name in found])

    async def _paths_info(self, request: Request) -> Response:
        folder = self._repo(request)
        if isinstance(folder, Response):
            return folder
        form = await request.form()
        asked = form.getlist("paths") or (await request.json()).get("paths", [])
        return JSONResponse([_entry(folder, name) for name in _files(folder) if name in asked])

    async def _file(self, request: Request) -> Response:
        folder = self._repo(request)
        if isinstance(folder, Response):
            return folder
        name = request.path_params["path"]
        if name not in _files(folder):
            return _error(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": _head(folder), "ETag": f'"{_etag(folder / name)}"'}
        return FileResponse(folder / name, headers=headers)

    async def _create(self, request: Request) -> Response:
        asked = await request.json()
        user, role = _who(request)
        owner = asked.get("organization") or user
        if not user:
            return _error(401, "", "Invalid credentials in Authorization header")
        if role != "write" or owner != user:
            return _error(403, "", f"You don't have the rights to create a repository under {owner}")
        kind = f"{asked.get('type', 'model')}s"
        folder = self.root / kind / owner / asked["name"]
        url = f"{request.base_url}{KINDS[kind]}{owner}/{asked['name']}"
        if folder.exists():
            return JSONResponse({"error": "You already created this repository", "url": url}, 409)
        folder.mkdir(parents=True)
        (folder / ".gitattributes").write_text("".join(f"*{one} filter=lfs\n" for one in LFS_SUFFIXES))
        if asked.get("visibility") == "private":
            (folder / ".private").touch()
        return JSONResponse({"url": url})

    async def _validate_yaml(self, request: Request) -> Response:
        try:
            _front_matter((await request.json())["content"])
        except yaml.YAMLError as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    async def _preupload(self, request: Request) -> Response:
        folder = self._repo(request, write=True)
        if isinstance(folder, Response):
            return folder
        answers: list[dict[str, Any]] = []
        for file in (await request.json())["files"]:
            mode = "lfs" if _large(file["path"], file["size"]) else "regular"
            oid = _etag(folder / file["path"]) if file["path"] in _files(folder) else None
            answers.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return JSONResponse({"files": answers})

    async def _batch(self, request: Request) -> Response:
        folder = self._repo(request, write=True)
        if isinstance(folder, Response):
            return folder
        objects: list[dict[str, Any]] = []
        for asked in (await request.json())["objects"]:
            href = f"{request.base_url}lfs/{asked['oid']}"
            actions = {"upload": {"href": href}, "verify": {"href": f"{href}/verify"}}
            there = (self.root / "lfs" / asked["oid"]).exists()
            objects.append(asked | ({} if there else {"actions": actions}))
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def _upload(self, request: Request) -> Response:
        content, oid = await request.body(), request.path_params["oid"]
        if hashlib.sha256(content).hexdigest() != oid:
            return _error(400, "", "The content is not that of the oid")
        (self.root / "lfs").mkdir(exist_ok=True)
        (self.root / "lfs" / oid).write_bytes(content)
        return Response()

    async def _verify(self, request: Request) -> Response:
        asked, path = await request.json(), self.root / "lfs" / request.path_params["oid"]
        if not path.exists() or asked["oid"] != path.name or asked["size"] != path.stat().st_size:
            return _error(422, "", "The object is not there, or not of that size")
        return Response()

    async def _commit(self, request: Request) -> Response:
        folder = self._repo(request, write=True)
        if isinstance(folder, Response):
            return folder
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        parent = next(line["value"].get("parentCommit") for line in lines if line["key"] == "header")
        if parent not in (None, _head(folder)):
            return _error(412, "", "A commit has happened since. Please refresh and try again.")
        for line in lines:
            key, value = line["key"], line["value"]
            target = folder / value.get("path", "")
            target.parent.mkdir(parents=True, exist_ok=True)
            if key == "file":
                target.write_bytes(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                source = self.root / "lfs" / value["oid"]
                if not source.exists() or source.stat().st_size != value["size"]:
                    return _error(400, "", f"{value['path']}: its content was not uploaded")
                shutil.copyfile(source, target)
            elif key == "deletedFile":
                target.unlink()
            elif key == "deletedFolder":
                shutil.rmtree(target)
        head = _head(folder)
        url = f"{request.base_url}{request.url.path.removeprefix('/api/').removeprefix('models/')}"
        return JSONResponse({"success": True, "commitOid": head, "commitUrl": f"{url.rpartition('/')[0]}/{head}"})


def _who(request: Request) -> tuple[str, str]:
    """The user whose token came with the request, and its role; empty without a known one."""
    return TOKENS.get(request.headers.get("authorization", "").removeprefix("Bearer "), ("", ""))


def _front_matter(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1]) if card.startswith("---\n") else None


def _files(folder: Path) -> list[str]:
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if path.name not in MARKS)


def _large(name: str, size: int) -> bool:
    return name.endswith(LFS_SUFFIXES) or size > LFS_SIZE


def _blob(content: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _etag(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest() if _large(path.name, len(content)) else _blob(content)


def _head(folder: Path) -> str:
    return _blob("\n".join(f"{name} {_etag(folder / name)}" for name in _files(folder)).encode())


def _entry(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if path.is_dir():
        return {"type": "directory", "path": name, "size": 0, "oid": _blob(name.encode())}
    size, oid = path.stat().st_size, _etag(path)
    entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": oid}
    if _large(name, size):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()
        entry |= {"oid": _blob(pointer), "lfs": {"oid": oid, "size": size, "pointerSize": len(pointer)}}
    return entry


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": message}, status, headers={"X-Error-Code": code, "X-Error-Message": message})


class Served(Protocol):
    """What can be served."""

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        ...


@contextmanager
def serve(hub: Served, port: int = 0) -> Generator[str]:
    """The hub, or another such app, on a free port of 127.0.0.1 for as long as the context lasts; gives its address."""
    server = uvicorn.Server(uvicorn.Config(hub.app, port=port, interface="asgi3", lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


if __name__ == "__main__":
    with serve(LoopbackHub(Path(sys.argv[1])), int((sys.argv[2:] or ["0"])[0])) as address:
        sys.stdout.write(f"HF_ENDPOINT={address}\n")
        sys.stdout.flush()
        threading.Event().wait()
