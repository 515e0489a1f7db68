from html.parser import HTMLParser

import pytest

from ftspace.ui.publish.publish_card import PICTURE, card_html

ALLOWED = {
    "dl", "div", "dt", "dd", "h3", "h4", "h5", "h6", "p", "a", "em", "strong", "code", "pre", "ul", "ol", "li", "img",
    "table", "thead", "tbody", "tr", "th", "td", "br", "hr", "blockquote",
}  # fmt: skip
ATTRIBUTES = {"class", "tabindex", "role", "aria-label", "href", "target", "rel", "src", "alt", "style", "start"}


class Seen(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.places: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED and {name for name, _ in attrs} <= ATTRIBUTES, (tag, attrs)
        self.tags.append(tag)
        self.places += [value or "" for name, value in attrs if name in ("href", "src")]
        assert all((value or "").startswith("text-align:") for name, value in attrs if name == "style")


def test_a_card_looks_as_on_the_hub() -> None:
    card = f"""---
license: mit
tags: [lora, <b>x</b>]
---

# Towns

An adapter, [measured](https://hub/me/x).

| task | points |
| :--- | ---: |
| heldout | **+3** |

![Loss]({PICTURE})
"""
    html = card_html(card, b"png")
    seen = Seen(html)
    assert "<dd>mit</dd>" in html and "lora, &lt;b&gt;x&lt;/b&gt;" in html and "license:" not in html
    assert "<h3>Towns</h3>" in html and "<strong>+3</strong>" in html
    assert seen.places == ["https://hub/me/x", "data:image/png;base64,cG5n"]
    assert 'rel="noopener nofollow"' in html and seen.tags.count("td") == 2
    assert not Seen(card_html(card)).places[1:], "no picture, no address that is asked for"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=https://evil.example/x.png onerror=alert(1)>",
        "![x](https://evil.example/x.png)",
        "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html;base64,x) <javascript:alert(1)>",
        "[x][1]\n\n[1]: vbscript:x",
        '[x](https://hub/a "\\" onmouseover=alert(1)")',
        '<div onclick="x">\n<b>raw</b>\n\n</div>\n<!-- a comment -->',
        "[x](/logout) [y](?run=1) ![z](//evil.example/x.png)",
        "```html\n<b onclick=x>\n```\n`<i>`",
        "| <svg/onload=alert(1)> |\n| --- |\n| &lt;b&gt; <b> |",
        "---\nlicense: [<script>]\n",
    ],
)
def test_nothing_in_a_card_acts_or_asks_for_anything(text: str) -> None:
    for card in (text, f"---\nlicense: {text!r}\n---\n{text}"):
        for place in Seen(card_html(card, b"png")).places:
            assert place.startswith("https://hub/"), place
