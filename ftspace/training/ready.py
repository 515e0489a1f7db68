"""Imports what a job's work will import, before or when it begins. Knows nothing of the work."""

import dis
import gc
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def import_for(work: Callable[..., Any]) -> None:
    """Imports the modules that `work` names in its body, read from its code so that the two cannot drift apart.

    About a million objects are made and hardly any is garbage: the collector rests meanwhile, and leaves them alone for
    good.
    """
    gc.disable()
    try:
        for step in dis.get_instructions(work):
            if step.opname == "IMPORT_NAME":
                import_module(step.argval)
    finally:
        gc.freeze()
        gc.enable()


def put_off(name: str) -> None:
    """Lets `import name` cost nothing until something of the package is asked for; it is then imported as always."""
    if name not in sys.modules and find_spec(name) is not None:
        sys.modules[name] = _Later(name)


class _Later(ModuleType):
    """Stands for a package until the first look at anything but what finding it says."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = find_spec(name)
        self.__file__ = self.__spec__.origin if self.__spec__ else None

    def __getattr__(self, attribute: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), attribute)
