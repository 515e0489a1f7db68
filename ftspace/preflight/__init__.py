"""What can be known to go wrong before a run is made, asked in seconds. Knows neither torch nor screens.

report.py makes the one list; the other modules make its lines, each about one thing.
"""

from ftspace.preflight.asking import CHECKPOINT, HELDOUT, check_tasks, check_trackers, tasks_of
from ftspace.preflight.base import check_full, check_model, check_precision, find_model
from ftspace.preflight.report import Checked, check, examine
from ftspace.preflight.rows import check_tokens

__all__ = [
    "CHECKPOINT",
    "HELDOUT",
    "Checked",
    "check",
    "check_full",
    "check_model",
    "check_precision",
    "check_tasks",
    "check_tokens",
    "check_trackers",
    "examine",
    "find_model",
    "tasks_of",
]
