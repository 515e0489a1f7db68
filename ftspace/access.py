"""Who a visitor is, whose a run is, and who may do what with it. Knows no screen and no process.

A local app and the command line have one owner. On a Space with sign-in a run belongs to the Hub user who started it;
others see it once it is made public.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ftspace.errors import FtspaceError

LOCAL = "@local"
"""The owner where nobody signs in; no Hub user can be called so."""


class NotAllowedError(FtspaceError):
    """Something that a visitor may not do here."""


class Access(BaseModel):
    """Whose a run is, and whether all may see it; `access.json` in its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = LOCAL
    public: bool = False


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks for something: a name, and whether runs may be started under it."""

    name: str
    """Hub user, LOCAL where nobody signs in, empty for somebody who has not signed in where others have."""
    may_start: bool

    @property
    def folder(self) -> str:
        """The name of the folder for what the visitor keeps here; that of somebody without a name stays empty."""
        return self.name or "@nobody"

    def may_see(self, access: Access) -> bool:
        """Whether the run and all that belongs to it may be shown."""
        return access.public or self.may_change(access)

    def may_change(self, access: Access) -> bool:
        """Whether the run may be stopped, resumed, moved, shown to others and deleted."""
        return bool(self.name) and self.name == access.owner


OWNER = Visitor(LOCAL, may_start=True)
"""The one who owns the machine."""
NOBODY = Visitor("", may_start=False)
"""A visitor of a Space who has not signed in."""
