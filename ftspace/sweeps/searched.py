"""A search's trials beside each other, by what their validations measured, and what can be said of the best. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ftspace.sweeps.standing import Outcome


@dataclass(frozen=True)
class Searched:
    """A search's table, and what it says."""

    trials: tuple[Outcome, ...]
    """The lowest validation loss first; those without one last."""
    best: str | None
    """The one that was chosen."""
    words: tuple[str, ...]


def searched(
    outcomes: Sequence[Outcome], best: str | None, verdict: str = "", why_not: str = "", *, by_score: bool = False
) -> Searched:
    """Order the trials.

    Args:
        outcomes: one a trial.
        best: the name of the one that was chosen by its validations.
        verdict: what its comparison with the base came to, in a sentence.
        why_not: why there is none.
        by_score: whether it was chosen by its answers to the sample questions, and not by its loss.
    """
    done = [one for one in outcomes if one.status == "finished" and math.isfinite(one.loss)]
    done.sort(key=lambda one: (one.loss, one.name))
    rest = sorted((one for one in outcomes if not any(one is other for other in done)), key=_loss)
    said: list[str] = []
    chosen = next((one for one in done if one.name == best), None)
    if chosen is None:
        said.append("No trial was finished with a validation loss, so none is chosen.")
    else:
        following = next((one for one in done if one is not chosen), None)
        how = "its answers to questions of the validation rows" if by_score else "the validation rows"
        said.append(f"{chosen.name} is chosen by {how}: its loss there is {chosen.loss:.4f}.")
        if following is not None and not by_score:
            said.append(
                f"The next, {following.name}, has {following.loss:.4f}; whether it is really worse is not known, and "
                f"the best of {len(done)} is best by luck in part."
            )
        said.append(
            f"On the test, by which nothing was chosen: {verdict}" if verdict else f"It is not tested: {why_not}."
        )
    pruned = sum(one.status == "pruned" for one in outcomes)
    if pruned:
        said.append(f"{pruned} of {len(outcomes)} trials were ended early, and nothing is kept of them.")
    failed = [one for one in rest if one.status not in ("pruned", "not begun")]
    if failed:
        said.append("Without an end: " + "; ".join(f"{one.name} ({one.status}: {one.problem})" for one in failed) + ".")
    return Searched((*done, *rest), best if chosen else None, tuple(said))


def _loss(one: Outcome) -> float:
    return one.loss if math.isfinite(one.loss) else math.inf
