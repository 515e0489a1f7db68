"""What a browser can tell of a page that all shall use: findings of axe-core, and a way through by Tab alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Page

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
GRAVE = ("serious", "critical")
DESKTOP, PHONE, NARROW = (1280, 800), (390, 844), (320, 700)
MOST_STOPS = 250
"""Presses of Tab after which a page is taken for one that nobody gets through."""
_STILL = """() => {
  if (document.getElementById("ft-still")) return;
  const still = document.createElement("style");
  still.id = "ft-still";
  still.textContent = "* { transition: none !important; }";
  document.head.append(still);
}"""
"""Else colours are between dark and light when they are looked at."""
_SETTLE = """quiet => new Promise((resolve) => {
  let timer = setTimeout(resolve, quiet);
  const late = setTimeout(resolve, 8000);
  new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(resolve, quiet); })
    .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
})"""
_UNREACHED = """() => {
  const all = "a[href], button, input, textarea, select, summary, [tabindex], [role=tab], [role=button]";
  return [...document.querySelectorAll(all)].filter((one) =>
    one.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !one.disabled && one.tabIndex >= 0
    && !one.closest("[inert]") && !("reached" in one.dataset) && one.getBoundingClientRect().width > 0
    && !(one.type === "radio" && document.querySelector(`[name="${CSS.escape(one.name)}"][data-reached]`))
  ).map((one) => one.outerHTML.slice(0, 200));
}"""
_CLICKABLE = """() => [...document.querySelectorAll("#steps div, #steps span, #steps p, #steps li")].filter((one) =>
  (one.onclick || one.getAttribute("onclick")) && one.checkVisibility()).map((one) => one.outerHTML.slice(0, 200))"""
_LOOK = """() => {
  const look = (one) => {
    const style = getComputedStyle(one);
    return ["outline", "boxShadow", "borderColor", "backgroundColor"].map((name) => style[name]);
  };
  const signature = (one) => {
    const found = [];
    for (let at = one, far = 0; at && far < 4; at = at.parentElement, far += 1) found.push(look(at));
    return JSON.stringify(found);
  };
  const before = window.ftFocused, now = document.activeElement;
  const plain = before && before.element.isConnected && before.signature === signature(before.element)
    ? before.element.outerHTML.slice(0, 200) : "";
  const backwards = before && before.element.isConnected && now !== document.body
    && (now.compareDocumentPosition(before.element) & Node.DOCUMENT_POSITION_FOLLOWING)
    && !before.element.contains(now) ? now.outerHTML.slice(0, 200) : "";
  const again = now.dataset?.reached === "";
  if (now !== document.body) {
    now.dataset.reached = "";
    window.ftFocused = { element: now, signature: signature(now) };
  } else window.ftFocused = null;
  return { plain, backwards, ended: now === document.body || again, at: now.outerHTML.slice(0, 120) };
}"""


@dataclass(frozen=True)
class Walk:
    """What Tab led to: controls that did not show their focus, and jumps back; and what it never reached."""

    stops: int
    unseen: list[str]
    backwards: list[str]
    unreached: list[str]


def settle(page: Page, quiet: int = 350) -> None:
    """Waits until a page has not changed for so many milliseconds."""
    page.evaluate(_SETTLE, quiet)


def findings(page: Page, where: str) -> list[str]:
    """The grave findings of axe-core on a page as it stands, each in a line."""
    page.evaluate(_STILL)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{where}: {one['impact']} {one['id']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
        for one in found["violations"]
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


def scrolls_sideways(page: Page) -> bool:
    """Whether a page is wider than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def as_it_stands(page: Page, where: str) -> list[str]:
    """What is wrong with a page in its own window and light."""
    return findings(page, where) + [f"{where}: scrolls sideways"] * scrolls_sideways(page)


def looked_at(page: Page, where: str) -> list[str]:
    """The same on a desktop in the light, on a phone in the dark, and narrower still; then it is a light desktop's."""
    wrong: list[str] = []
    for dark, (width, height) in ((False, DESKTOP), (True, PHONE)):
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        page.set_viewport_size({"width": width, "height": height})
        wrong += as_it_stands(page, f"{where}, {width} px, {'dark' if dark else 'light'}")
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    wrong += [f"{where}: scrolls sideways at {NARROW[0]} px"] * scrolls_sideways(page)
    page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    return wrong


def walk(page: Page) -> Walk:
    """Goes through a page by Tab, from its top until it is left."""
    page.evaluate("""() => {
      for (const one of document.querySelectorAll("[data-reached]")) delete one.dataset.reached;
      window.ftFocused = null;
      document.activeElement?.blur();
      window.getSelection().removeAllRanges();
      document.body.tabIndex = -1;
      document.body.focus();
      document.body.removeAttribute("tabindex");
    }""")
    unseen: list[str] = []
    backwards: list[str] = []
    stops = 0
    while stops < MOST_STOPS:
        page.keyboard.press("Tab")
        told = page.evaluate(_LOOK)
        unseen += [told["plain"]] * bool(told["plain"])
        if told["ended"]:
            break
        backwards += [told["backwards"]] * bool(told["backwards"])
        stops += 1
    return Walk(stops, unseen, backwards, page.evaluate(_UNREACHED) + page.evaluate(_CLICKABLE))
