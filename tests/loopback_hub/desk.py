"""What all rooms of the Hub share: its repositories, and who may do what with them."""

import re
from pathlib import Path
from typing import Any

from starlette.requests import Request

from tests.loopback_hub.answers import Refused
from tests.loopback_hub.people import NOBODY, TOKENS, Token, given
from tests.loopback_hub.storage import KINDS, Commit, Repo, Store

NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?(?<!\.git)", re.ASCII)
"""Names that users and repositories can have."""
BAD_TOKEN = "Invalid credentials in Authorization header"


class Desk:
    """Takes a request and says which repository it means and whether it may be done. Raises Refused otherwise."""

    def __init__(self, root: Path) -> None:
        """The Hub's folder; it need not be there yet."""
        self.root = root
        self.store = Store(root)
        self.tokens: dict[str, Token] = dict(TOKENS)
        """Every token that the Hub knows."""

    def who(self, request: Request) -> Token:
        """Whose token came with a request; NOBODY's without one."""
        return self.tokens.get(given(request), NOBODY)

    def user(self, request: Request) -> Token:
        """As `who`, for what nobody can do without a token."""
        token = self.who(request)
        if not token.user:
            raise Refused(401, "", BAD_TOKEN)
        return token

    def repo(self, request: Request, *, write: bool = False) -> Repo:
        """The repository of a request's path, for one who may read it, or write to it."""
        kind = request.url.path.removeprefix("/api").split("/")[1]
        owner, name = request.path_params["owner"], request.path_params["name"]
        return self.named(request, kind if kind in KINDS else "models", owner, name, write=write)

    def named(self, request: Request, kind: str, owner: str, name: str, *, write: bool = False) -> Repo:
        """As `repo`, by its name."""
        token = self.who(request)
        repo = self.store.repo(kind, owner, name)
        known = NAME.fullmatch(owner) and NAME.fullmatch(name) and repo.folder.is_dir()
        if not known or (repo.private and token.user != owner):
            raise Refused(404 if token.user else 401, "RepoNotFound", "Repository not found")
        if repo.gated and not token.user:
            raise Refused(403, "GatedRepo", "Access to this repository is restricted")
        if write:
            self.check_writes(token, owner)
        return repo

    def check_writes(self, token: Token, owner: str) -> None:
        """Whether a token may make and change repositories of an owner."""
        if token.user != owner or token.role != "write":
            raise Refused(403, "", f"You don't have the rights to write under the namespace {owner}")

    def commit(self, request: Request, repo: Repo) -> Commit:
        """The commit of a request's path."""
        found = repo.at(request.path_params.get("revision", "main"))
        if found is None:
            raise Refused(404, "RevisionNotFound", "Revision not found")
        return found

    def address(self, request: Request, repo: Repo) -> str:
        """The repository's own page."""
        return f"{request.base_url}{KINDS[repo.kind]}{repo.id}"


def front_matter(card: str) -> Any:
    """The metadata of a card; None where it has none. Raises yaml.YAMLError."""
    import yaml

    return yaml.safe_load(card.split("---\n")[1]) if card.startswith("---\n") else None
