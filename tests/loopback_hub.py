"""A Hub on this machine: the reading half of the Hugging Face Hub's HTTP API over folders, for the unmodified client.

A repository is a folder `ROOT/models/OWNER/NAME` or `ROOT/datasets/OWNER/NAME`; its commit is a hash of its files. A
file `.gated` beside its files makes it gated: only READER_TOKEN may read it. Needs no network.
Run by hand: `python -m tests.loopback_hub ROOT [PORT]`, then set HF_ENDPOINT to the address that it prints.
"""

import hashlib
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

READER_TOKEN = "hf_readerOfTheLoopbackHub"
KINDS = {"models": "", "datasets": "datasets/"}


class LoopbackHub:
    """The ASGI app, and the requests that it answered."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[str] = []
        routes = [Route("/api/whoami-v2", self._whoami)]
        for kind, prefix in KINDS.items():
            api = f"/api/{kind}/{{owner}}/{{name}}"
            routes += [
                Route(f"{api}/tree/{{revision}}", self._tree, name=kind),
                Route(f"{api}/tree/{{revision}}/{{path:path}}", self._tree, name=kind),
                Route(f"{api}/paths-info/{{revision}}", self._paths_info, methods=["POST"], name=kind),
                Route(f"{api}/revision/{{revision}}", self._info, name=kind),
                Route(api, self._info, name=kind),
                Route(f"/{prefix}{{owner}}/{{name}}/resolve/{{revision}}/{{path:path}}", self._file, name=kind),
            ]
        self.app = Starlette(routes=routes)

    def _repo(self, request: Request) -> Path | Response:
        """The repository's folder, or the answer that refuses it."""
        self.requests.append(f"{request.method} {request.url.path}")
        kind = "datasets" if request.url.path.removeprefix("/api").startswith("/datasets/") else "models"
        folder = self.root / kind / request.path_params["owner"] / request.path_params["name"]
        if not folder.is_dir():
            return _error(404 if "authorization" in request.headers else 401, "RepoNotFound", "Repository not found")
        if (folder / ".gated").exists() and request.headers.get("authorization") != f"Bearer {READER_TOKEN}":
            return _error(403, "GatedRepo", "Access to this repository is restricted")
        if request.path_params.get("revision", "main") not in ("main", _commit(folder)):
            return _error(404, "RevisionNotFound", "Revision not found")
        return folder

    async def _whoami(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {READER_TOKEN}":
            return _error(401, "", "Invalid token")
        return JSONResponse({"name": "reader", "auth": {"accessToken": {"role": "read"}}})

    async def _info(self, request: Request) -> Response:
        folder = self._repo(request)
        if isinstance(folder, Response):
            return folder
        siblings = [{"rfilename": name} for name in _files(folder)]
        names = {"id": f"{folder.parent.name}/{folder.name}", "sha": _commit(folder), "siblings": siblings}
        return JSONResponse({**names, "private": False, "gated": False, "disabled": False, "tags": [], "downloads": 0})

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
        headers = {"X-Repo-Commit": _commit(folder), "ETag": f'"{_digest(folder / name)}"'}
        return FileResponse(folder / name, headers=headers)


def _files(folder: Path) -> list[str]:
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if path.name != ".gated")


def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()


def _commit(folder: Path) -> str:
    text = "\n".join(f"{name} {_digest(folder / name)}" for name in _files(folder))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _entry(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if path.is_dir():
        return {"type": "directory", "path": name, "size": 0, "oid": hashlib.sha1(name.encode()).hexdigest()}
    return {"type": "file", "path": name, "size": path.stat().st_size, "oid": _digest(path)}


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": message}, status, headers={"X-Error-Code": code, "X-Error-Message": message})


@contextmanager
def serve(hub: LoopbackHub, port: int = 0) -> Generator[str]:
    """The hub on a free port of 127.0.0.1 for as long as the context lasts; gives its address."""
    server = uvicorn.Server(uvicorn.Config(hub.app, port=port, log_level="warning"))
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
