"""Imports what a job's work will import, before or when it begins. Knows nothing of the work."""

import dis
import gc
from collections.abc import Callable
from importlib import import_module
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
