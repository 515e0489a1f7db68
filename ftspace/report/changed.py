"""Did tuning change anything: three plain sentences from what was measured. Knows records only, no screen."""

import math
from dataclasses import dataclass

from evals.results import Change, Results
from ftspace.words import Tone

_NOTHING = ("adapter not applied", "adapter did nothing")
_APART = ((1e-3, "practically alike"), (0.05, "slightly apart"), (0.5, "clearly apart"), (math.inf, "far apart"))
"""Up to how many nats a token the predictions count as what."""


@dataclass(frozen=True)
class Changed:
    """What tuning did to the model's own behaviour, whatever that is worth."""

    headline: str
    sentences: tuple[str, ...]
    tone: Tone


def changed(results: Results) -> Changed:
    """What is known of it."""
    told = next((one for one in results.findings if one.kind in _NOTHING), None)
    found = results.change
    sentences = tuple(one for one in (_answers(found), _predictions(found), _weights(found)) if one) if found else ()
    if told is not None:
        return Changed("The adapter changes nothing.", (told.message,), "bad")
    if found is None or not sentences:
        return Changed("Whether anything changed was not measured.", (), "idle")
    if found.answers and found.identical == 1:
        return Changed("Hardly: every answer is the same, though the weights differ.", sentences, "warn")
    return Changed("Yes, tuning changed what the model says.", sentences, "good")


def _answers(found: Change) -> str:
    if not found.answers or math.isnan(found.identical):
        return ""
    same = round(found.identical * found.answers)
    if same == 0:
        return f"None of {found.answers:,} answers is the same text as before."
    if same == found.answers:
        return f"All {found.answers:,} answers are the same text as before."
    share = 100 * found.identical
    return f"{same:,} of {found.answers:,} answers ({share:.0f} %) are the same text as before; the others differ."


def _predictions(found: Change) -> str:
    if not found.kl_tokens or math.isnan(found.kl):
        return ""
    words = next(words for most, words in _APART if found.kl < most or most == math.inf)
    return (
        f"In guessing the next word the two are {words}: {found.kl:.2g} nats a token (KL divergence), where 0 is one "
        "and the same model."
    )


def _weights(found: Change) -> str:
    if math.isnan(found.update_norm):
        return ""
    if found.update_norm == 0:
        return "The adapter moves the weights by nothing: it was not trained, or is not the one that was."
    kinds = {name: norm for name, norm in found.updates.items() if math.isfinite(norm)}
    most = max(kinds, key=lambda name: kinds[name], default="")
    where = f", most of all {most} (by {100 * kinds[most]:.2g} %)" if most else ""
    return f"The adapter moves the weights by {100 * found.update_norm:.2g} % of their size{where}."
