"""What ZeroGPU's refusals mean, by the words of its `spaces` package (0.51.3). Pure; imports nothing of it.

Refusals come as errors of Gradio with a title and a message, written for a person at a page.
"""

import re
from datetime import timedelta

from ftspace.launchers.lending import Answer

_LEFT = re.compile(r"(\d+)s requested vs\. (-?\d+)s left")
_WAIT = re.compile(r"Try again in (?:(\d+) days?, )?(\d+):(\d\d):(\d\d)")


def read_refusal(title: str, message: str) -> Answer:
    """What becomes of a demand that was refused so."""
    said = " ".join(message.split())
    match title:
        case "ZeroGPU quota exceeded":
            left, wait = _LEFT.search(said), _WAIT.search(said)
            return Answer(
                "busy" if said.startswith("No GPU was available") else "quota",
                left=max(0, int(left[2])) if left else None,
                wait=_seconds(wait) if wait else None,
                said=said,
            )
        case "ZeroGPU illegal duration":
            return Answer("too_long", said=said)
        case "ZeroGPU queue timeout" | "ZeroGPU client error" | "ZeroGPU pending credits exceeded":
            return Answer("busy", said=said)
        case "ZeroGPU worker error" if said == "GPU task aborted":
            return Answer("killed", said=said)
        case _:
            return Answer("broken", said=f"{title}: {said}" if title else said)


def _seconds(found: re.Match[str]) -> float:
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
