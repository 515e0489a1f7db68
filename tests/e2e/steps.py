"""What several walks do alike: fill a field, open a tab, take a picture. All is found by what a person reads."""

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, Request, expect

LONG = 150_000
"""Milliseconds that a job gets on a busy machine."""
_LONGEST = 1500
"""Pixels of a page that a picture shows."""
AT_WORK = re.compile("Getting ready|Training: step|Comparing base and tuned")


def headline(page: Page) -> Locator:
    """What the open run is at."""
    return page.locator(".ft-live h2:visible").first


def button(page: Page, name: str | re.Pattern[str]) -> Locator:
    """A button that can be seen: Gradio keeps hidden copies."""
    return page.get_by_role("button", name=name, exact=isinstance(name, str)).filter(visible=True)


def tab(page: Page, name: str) -> None:
    """Opens a tab; that of a step that is done has a word before its name."""
    found = page.get_by_role("tab", name=re.compile(rf"(^|\s){re.escape(name)}$")).filter(visible=True)
    found.click()
    expect(found).to_have_attribute("aria-selected", "true")


def arrived(page: Page, step: str) -> None:
    """Waits until a page that is being loaded has opened its step: what is clicked before that is undone."""
    expect(page.get_by_role("tab", name=step).filter(visible=True)).to_have_attribute("aria-selected", "true")


def at_rest(page: Page) -> int:
    """How often a page calls the app within three seconds in which nobody does anything."""
    called: list[str] = []

    def heard(request: Request) -> None:
        called.append(request.url)

    page.on("request", heard)
    page.wait_for_timeout(3000)
    page.remove_listener("request", heard)
    return len(called)


def pick(page: Page, label: str, typed: str, name: str, look: Callable[[], None] = lambda: None) -> None:
    """Types a part of a name and takes the one answer."""
    field = page.get_by_label(label, exact=True)
    field.fill(typed)
    answer = page.get_by_role("option").filter(visible=True)
    expect(answer).to_have_text([re.compile(re.escape(name))])
    look()
    answer.click()
    expect(field).to_have_value(name)


def choose(page: Page, label: str, name: str) -> None:
    """Takes a line of a list."""
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=name, exact=True).filter(visible=True).click()


def set_number(page: Page, label: str, value: int) -> None:
    """Looks a setting up and sets it: fields are drawn when their group opens."""
    page.get_by_label("Find a setting").fill(label)
    field = page.get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Tab")


def picture(page: Page, pictures: Path | None, name: str, *, of: str = "", whole: bool = True) -> None:
    """Keeps a picture where they are wanted: of an element, of the whole page, or of what the window shows."""
    if pictures is None:
        return
    pictures.mkdir(parents=True, exist_ok=True)
    path = pictures / f"{name}.png"
    if of:
        page.locator(of).screenshot(path=path, animations="disabled")
        return
    expect(page.locator("#says .ft-note")).to_have_count(0, timeout=20_000)  # they leave by themselves
    page.evaluate("window.scrollTo(0, 0)")
    if not whole:
        page.screenshot(path=path, animations="disabled")
        return
    width, height = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    clip: FloatRect = {"x": 0, "y": 0, "width": width, "height": min(height, _LONGEST)}
    page.screenshot(path=path, full_page=True, clip=clip, animations="disabled")
