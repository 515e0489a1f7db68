"""A card as the Hub will show it: Markdown to HTML in which nothing acts. Pure; knows no run.

What is in a card comes partly from models and datasets, so no HTML of it is taken over, no address is asked for, and no
link leads anywhere but to the web. Its front matter stands as facts above it.
"""

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from ftspace.redact import redact

PICTURE = "training.png"
"""The one picture of a card: the run's own curve."""
_FACTS = {
    "license": "License",
    "license_name": "License",
    "base_model": "Base",
    "base_model_relation": "Made as",
    "datasets": "Dataset",
    "library_name": "Library",
    "pipeline_tag": "Task",
    "tags": "Tags",
}
"""What of the front matter a visitor of the Hub sees, and what it is called there."""
_DOWN = 2
"""So many levels its headings go down: the page has some above them."""


def card_html(card: str, picture: bytes = b"") -> str:
    """The card's front matter as facts, and its text as it will look; `picture` is the run's curve, if there is one."""
    front, body = _parts(redact(card))
    facts = "".join(
        f"<div><dt>{name}</dt><dd>{escape(_words(front[key]))}</dd></div>"
        for key, name in _FACTS.items()
        if front.get(key)
    )
    text = _markdown().render(body, {"picture": picture})
    region = '<div class="ft-md" tabindex="0" role="region" aria-label="The card">'
    return f'<dl class="ft-front">{facts}</dl>{region}{text}</div>'


def _parts(card: str) -> tuple[dict[str, Any], str]:
    """The front matter, where it can be read, and the rest."""
    if not card.startswith("---\n") or "\n---\n" not in card:
        return {}, card
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    try:
        front: Any = yaml.safe_load(head)
    except yaml.YAMLError:
        front = None
    return (front if isinstance(front, dict) else {}), body


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.validateLink = _leads_to_the_web  # type: ignore[method-assign]
    made.add_render_rule("image", _image)
    made.add_render_rule("link_open", _link)
    made.add_render_rule("heading_open", _heading)
    made.add_render_rule("heading_close", _heading)
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    return made


def _leads_to_the_web(address: str) -> bool:
    return address.startswith(("https://", "http://")) or address == PICTURE


def _image(_: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    """The curve as it is; of all others only what is said of them."""
    one = tokens[place]
    words, picture = escape(one.content), env.get("picture")
    if one.attrs.get("src") == PICTURE and picture:
        return f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}" alt="{words}">'
    return f"<em>[{words or 'a picture'}]</em>"


def _link(renderer: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    address = str(tokens[place].attrs.get("href", ""))
    if not address.startswith(("https://", "http://")):
        return "<a>"
    return f'<a href="{escape(address)}" target="_blank" rel="noopener nofollow">'


def _heading(_: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    one = tokens[place]
    level = min(6, int(one.tag[1]) + _DOWN)
    return f"<h{level}>" if one.nesting == 1 else f"</h{level}>\n"


def _table_open(*_: Any) -> str:
    return '<div class="ft-scroll" tabindex="0" role="region" aria-label="A table of the card"><table>\n'


def _table_close(*_: Any) -> str:
    return "</table></div>\n"
