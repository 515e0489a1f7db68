"""The guided tour: what it says at each stop, and where. tour.js walks it. Knows no gradio and no run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stop:
    """One stop: a step of the page, what is pointed at there, and a sentence about it."""

    step: str
    at: str
    """CSS selectors, the first that is there is pointed at; the step's tab where none is."""
    words: str
    starts: bool = False
    """Whether a Quick look can be started here, while no run is open."""


STOPS = (
    Stop("choose", "#pick-model", "This is the model that is tuned; the one that comes with the app is tiny."),
    Stop("choose", "#panel", "These are rows of the dataset, as the model reads them: it learns what is marked."),
    Stop(
        "tune",
        "#paces, #tune-step .ft-presets, #start",
        "Pick how thoroughly: a Quick look at this example takes about a minute, and the tour can start it for you.",
        starts=True,
    ),
    Stop(
        "tune",
        "#live-view, #start",
        "A run at work shows here how far it is and how well it learns; close the page, and it goes on without you.",
    ),
    Stop(
        "results",
        ".ft-verdict",
        "Then base and tuned model answer the same questions, and this says whether the tuned one is better.",
    ),
    Stop("compare", "#question", "Ask both models whatever you like, and read their answers side by side."),
    Stop("publish", "#publish-step", "A model that is worth keeping goes to the Hub from here, or into a folder."),
    Stop("choose", ".ft-name", "That is all: every run is kept, and the name up here leads back to the start."),
)


def told() -> list[dict[str, str | bool]]:
    """The stops as the page's script reads them."""
    return [{"step": one.step, "at": one.at, "words": one.words, "starts": one.starts} for one in STOPS]
