"""Gives the browser the app's other languages: what Gradio shows first, and whole catalogues at `language/NAME`.

language.js asks for one only where a visitor's browser, or the switch in the page's head, says so.
"""

import json

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ftspace.languages import FIRST, LANGUAGES, catalogue, edition, room


def words() -> gr.I18n:
    """What Gradio's own front end translates by itself."""
    return gr.I18n(**{language: room(language, FIRST) for language in LANGUAGES})


def told() -> str:
    """What language.js has to know: the languages, each with its catalogue's edition."""
    return f"<script>window.ftspaceLanguages = {json.dumps({one: edition(one) for one in LANGUAGES})}</script>"


async def _answer(request: Request) -> Response:
    language = request.path_params["language"]
    if language not in LANGUAGES:
        return PlainTextResponse("there is no such language", 404)
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}  # it is asked for with its edition
    return JSONResponse(catalogue(language), headers=kept)


ROUTE = Route("/language/{language}", _answer)
