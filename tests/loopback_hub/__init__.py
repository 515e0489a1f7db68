"""A Hub on this machine: the Hugging Face Hub's HTTP API over folders, for the unmodified client.

`ROOT/models/OWNER/NAME` is a repository; so for datasets and spaces. An empty file `.gated` beside its files makes it
gated, `.private` only its owner's. Whoever asks is known by a token; `hub.faults` says what shall go wrong. Needs no
network. Run by hand: `python -m tests.loopback_hub ROOT [PORT] [--space]`, then set the variables that it prints.
"""

from tests.loopback_hub.faults import Asked, Fault
from tests.loopback_hub.hub import LoopbackHub
from tests.loopback_hub.people import EXPIRED_TOKEN, LIMITED_TOKEN, READER_TOKEN, WRITER_TOKEN, Scope, Token, User
from tests.loopback_hub.serving import Served, serve

__all__ = [
    "EXPIRED_TOKEN",
    "LIMITED_TOKEN",
    "READER_TOKEN",
    "WRITER_TOKEN",
    "Asked",
    "Fault",
    "LoopbackHub",
    "Scope",
    "Served",
    "Token",
    "User",
    "serve",
]
