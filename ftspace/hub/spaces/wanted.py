"""What somebody wants to have deployed, and what of that is refused before the Hub is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ftspace.errors import ConfigError
from ftspace.hub.spaces.files import SpaceKind
from ftspace.hub.spaces.hardware import Hardware
from ftspace.redact import redact
from ftspace.settings import names_secret

MOUNT = "/kept"
"""Where a Space has its bucket. No run is at work there: a bucket's files are written whole, and know no lock."""


@dataclass(frozen=True)
class Wanted:
    """What somebody wants to have deployed."""

    repo_id: str
    kind: SpaceKind
    hardware: Hardware | None = None
    """None: what it has; the free one for a new Space."""
    private: bool | None = None
    """None: as it is; a new one everybody can see, but for a demo of what not everybody may read."""
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    sleep_minutes: int | None = None
    """Without a visitor, until it sleeps; None: as it is, and on paid hardware never for a new one."""
    storage: bool = False
    """Mount a bucket for archives of the runs, which lie on the Space's own disk."""

    @property
    def bucket(self) -> str:
        """The bucket of that Space."""
        return f"{self.repo_id}-data"

    def on(self, hardware: Hardware) -> "Wanted":
        """The same, on that hardware."""
        return replace(self, hardware=hardware)


def check_variables(variables: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Raises ConfigError for a variable, which everybody can read, that holds a secret, or is named as one."""
    for name, value in variables.items():
        if name in secrets:
            raise ConfigError(f"{name} is given as --secret and as --variable; keep one")
        if redact(value) != value or names_secret(name):
            raise ConfigError(f"--variable {name}: everybody can read a Space's variables; give it as --secret {name}")
