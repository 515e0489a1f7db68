"""Who stands behind a request. Knows Gradio's requests and Starlette's, and nothing of runs."""

import gradio as gr
from starlette.requests import Request

from ftspace.access import OWNER, Visitor
from ftspace.settings import Settings


def visitor_of(request: gr.Request | Request, settings: Settings) -> Visitor:
    """The visitor who sent a request. Where nobody signs in everybody who gets here, be it by password, is the owner."""
    return OWNER
