"""Turns one loaded model from side to side between two tokens. Knows the flags that PEFT's layers go by.

PEFT's own switching walks through all modules and sets what only training needs: tens of milliseconds, as much as a
token takes. What it leaves behind is looked at once a side, and put back from then on.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper

from evals.sides import switched

_FLAGS = ("_disable_adapters", "_active_adapter")
_Flags = list[tuple[dict[str, Any], dict[str, Any]]]
"""For each layer its attributes, and what they are to be."""


class Switch:
    """The sides of a model; not for several threads at once."""

    def __init__(self, model: Any) -> None:
        """`model` is what `evals.models.load_comparison` gave; it answers as tuned now."""
        self._model = model
        self._known: dict[str, _Flags] = {}

    @contextmanager
    def on(self, side: str) -> Generator[None]:
        """The model answers as `side` within, and as whom else outside is not said. Raises evals' ModelError."""
        if not self._is_quick():
            with switched(self._model, side):
                yield
            return
        if side not in self._known:
            self.rest()
            with switched(self._model, side):
                self._known[side] = self._look()
        _put(self._known[side])
        yield

    def rest(self) -> None:
        """Leaves the model as tuned, as everybody else expects it."""
        if self._is_quick():
            if "tuned" not in self._known:
                self._known["tuned"] = self._look()
            _put(self._known["tuned"])

    def forget(self) -> None:
        """Leaves the model as tuned; its sides are looked at anew, for its adapters are about to change."""
        self.rest()
        self._known.clear()

    def _is_quick(self) -> bool:
        configs: Any = self._model.peft_config.values() if isinstance(self._model, PeftModel) else ()
        kinds = [config.is_prompt_learning or config.is_adaption_prompt for config in configs]
        return bool(kinds) and not any(kinds)

    def _look(self) -> _Flags:
        return [
            (vars(module), {name: getattr(module, name) for name in _FLAGS})
            for module in self._model.modules()
            if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper)
        ]


def _put(flags: _Flags) -> None:
    for attributes, wanted in flags:
        attributes.update(wanted)
