"""What somebody with a browser sees: repositories with their files and commits, a form that asks for access, tokens.

`?user=NAME` in the address is who looks, as if signed in.
"""

import html

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.loopback_hub.answers import Refused
from tests.loopback_hub.desk import NAME, NOT_FOUND, Desk
from tests.loopback_hub.people import User
from tests.loopback_hub.storage import KINDS, Repo

ASK = (
    '<form method="post" action="{address}/ask-access"><label>Ask for access as '
    '<input name="user" value="{user}" required></label> <button>Agree and send</button></form>'
)
WHO = '<form><label>Look as <input name="user" value="{user}"></label></form>'


class Pages:
    """The room of pages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """What it answers."""
        routes = [Route("/", self._front), Route("/settings/tokens", self._tokens)]
        for prefix in KINDS.values():
            repo = f"/{prefix}{{owner}}/{{name}}"
            paths = (repo, f"{repo}/tree/{{revision}}", f"{repo}/commit/{{revision}}")
            routes += [Route(path, self._repo) for path in paths]
        return routes

    def _sees(self, request: Request, repo: Repo) -> bool:
        user = request.query_params.get("user", "")
        return not repo.private or self._desk.users.get(user, User()).may("see", user, repo.owner)

    def _link(self, request: Request, repo: Repo, text: str, below: str = "") -> str:
        address = f"{self._desk.address(request, repo)}{below}?{request.query_params}".rstrip("?")
        return f'<a href="{html.escape(address)}">{html.escape(text)}</a>'

    async def _front(self, request: Request) -> Response:
        repos = [repo for kind in KINDS for repo in self._desk.store.repos(kind) if self._sees(request, repo)]
        items = "".join(f"<li>{repo.kind[:-1]} {self._link(request, repo, repo.id)}</li>" for repo in repos)
        who = WHO.format(user=html.escape(request.query_params.get("user", "")))
        return _page("Loopback Hub", f'{who}<ul>{items}</ul><p><a href="/settings/tokens">Tokens</a></p>')

    async def _tokens(self, request: Request) -> Response:
        rows = "".join(
            f"<tr><td>{html.escape(token.user)}<td>{token.role}{' (expired)' if token.expired else ''}"
            f"<td><code>{html.escape(word)}</code>"
            for word, token in self._desk.tokens.items()
        )
        return _page("Tokens of this Hub", f"<table><tr><th>User<th>Role<th>Token{rows}</table>")

    async def _repo(self, request: Request) -> Response:
        owner, name = request.path_params["owner"], request.path_params["name"]
        kind = request.url.path.split("/")[1]
        repo = self._desk.store.repo(kind if kind in KINDS else "models", owner, name)
        known = NAME.fullmatch(owner) and NAME.fullmatch(name) and repo.folder.is_dir()
        if not known or not self._sees(request, repo):
            raise Refused(404, "RepoNotFound", NOT_FOUND)
        commit, address = self._desk.commit(request, repo), self._desk.address(request, repo)
        files = "".join(
            f"<li>{self._link(request, repo, name, f'/resolve/{commit.id}/{name}')} {file.size:,} bytes</li>"
            for name, file in commit.files.items()
        )
        commits = "".join(
            f"<li>{self._link(request, repo, one.title, f'/tree/{one.id}')} {html.escape(one.author)} {one.date}</li>"
            for one in repo.history()
        )
        card = commit.files.get("README.md")
        text = repo.path("README.md", card).read_text(encoding="utf-8", errors="replace") if card else ""
        user = html.escape(request.query_params.get("user", ""))
        body = f"<p>{'private' if repo.private else 'public'}, commit {commit.id}</p>"
        body += ASK.format(address=address, user=user) if repo.gated else ""
        return _page(repo.id, f"{body}<ul>{files}</ul><h2>Commits</h2><ul>{commits}</ul><pre>{html.escape(text)}</pre>")


def _page(title: str, body: str) -> Response:
    return HTMLResponse(f"<!doctype html><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>{body}")
