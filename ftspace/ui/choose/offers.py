"""What a picker offers for what is typed: what is here first, then what the Hub finds. Knows no gradio and no run."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from ftspace.devices import Device
from ftspace.errors import HubError
from ftspace.hub.asker import asker
from ftspace.hub.finding import search
from ftspace.hub.finding.facts import ModelFacts, fit_of_facts, in_a_line
from ftspace.hub.finding.names import HOSTS, Kind, read_name
from ftspace.hub.finding.shortlist import Short, shortlist
from ftspace.settings import hub_hosts
from ftspace.ui.choose.choice import BEHIND, picked

SILENT_SECONDS = 60.0
"""For so long a Hub that could not be asked is not asked again."""
SHORTEST = 2
"""Letters from which on the Hub is asked."""
FOUND = 20
OFFLINE = "The Hub is not asked while offline: the lists hold what is on this machine."


@dataclass(frozen=True)
class Offers:
    """The lines of a picker's list, each with the value that it stands for."""

    choices: list[tuple[str, str]]
    trouble: str = ""
    """Why there are no more; "" where nothing is wrong."""
    offline: bool = False
    """Whether that is how the app was started, and nothing to mend."""


class Shelf:
    """One app's offers. Remembers whom the Hub did not answer, so that each waits for it once. Any thread."""

    def __init__(self, here: Callable[[], Device], clock: Callable[[], float] = time.monotonic) -> None:
        """`here` gives this machine, for what fits it."""
        self._here = here
        self._clock = clock
        self._lock = Lock()
        self._silent: dict[str, tuple[float, str]] = {}
        """Until when the Hub is not asked for an asker, and why."""

    def near(self, kind: Kind, also: Sequence[str] = (), chosen: str = "") -> list[tuple[str, str]]:
        """The list before anything is typed: the short list, and the names of `also`; asks nobody.

        What was chosen is in it by its bare name, for the field shows it so.
        """
        lines = {value: line for line, value in _local(kind, "", also, reachable=not self._silence())}
        if chosen:
            lines[chosen] = chosen
        return [(line, value) for value, line in lines.items()]

    def short(self, kind: Kind) -> list[tuple[Short, bool]]:
        """The short list, each with whether it can be had now; asks nobody."""
        reachable = not self._silence()
        return [(one, one.here or reachable) for one in shortlist(kind)]

    def matching(self, kind: Kind, text: str, also: Sequence[str] = ()) -> Offers:
        """The list for a text: waits for the Hub where that can be asked, and the text is long enough for it."""
        text = picked(text)
        try:
            named = read_name(text, (*HOSTS, *hub_hosts()))
        except ValueError as error:
            return Offers([], str(error))
        if named is not None:
            if named.kind not in (None, kind):
                return Offers([], f"{named.id} is a {named.kind} there; this is the field of the {kind}")
            return Offers([(named.id + (f" at {named.revision}" if named.revision else ""), text)])
        asks = len(text) >= SHORTEST and not text.startswith(("/", ".", "~", "\\"))
        found = self._found(kind, text) if asks else []
        why = self._silence()
        near = _local(kind, text, also, reachable=not why)
        known = {value for _, value in near}
        return Offers([*near, *(one for one in found if one[1] not in known)], why, offline=why == OFFLINE)

    def _found(self, kind: Kind, text: str) -> list[tuple[str, str]]:
        if self._silence():
            return []
        try:
            if kind == "dataset":
                return [(_line(one.id, in_a_line(one)), one.id) for one in search.search_datasets(text, FOUND)]
            here = self._here()
            return [(_line(one.id, _model_line(one, here)), one.id) for one in search.search_models(text, FOUND)]
        except HubError as error:
            now = self._clock()
            with self._lock:
                self._silent = {who: one for who, one in self._silent.items() if now < one[0]}
                self._silent[asker()] = now + SILENT_SECONDS, str(error)
            return []

    def _silence(self) -> str:
        """Why the Hub is not asked now for this asker; "" when it is."""
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            return OFFLINE
        with self._lock:
            until, why = self._silent.get(asker(), (0.0, ""))
        return why if self._clock() < until else ""


def matches(text: str, name: str) -> bool:
    """Whether every word of a text is in a name."""
    return all(word in name.casefold() for word in text.casefold().split())


def _local(kind: Kind, text: str, also: Sequence[str], *, reachable: bool) -> list[tuple[str, str]]:
    """What is known without asking: the bundled one, those used before, and the short list."""
    first, *rest = shortlist(kind)
    lines = {first.id: _said(first, reachable=True)}
    lines |= {name: "used before" for name in also if name not in lines}
    lines |= {one.id: _said(one, reachable=reachable) for one in rest if one.id not in lines}
    return [(_line(name, words), name) for name, words in lines.items() if matches(text, name)]


def _said(one: Short, *, reachable: bool) -> str:
    words = [one.size, one.license, "gated" if one.gated else "", one.why]
    words.insert(0, "" if reachable or one.here else "needs the Hub")
    return ", ".join(word for word in words if word)


def _line(name: str, words: str) -> str:
    return f"{name}{BEHIND}{words}" if words else name


def _model_line(facts: ModelFacts, here: Device) -> str:
    return in_a_line(facts, fit_of_facts(facts, here))
