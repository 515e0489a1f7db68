// Sets what Gradio's own elements lack for a screen reader, and tells the other scripts, as "ft-changed", that the page
// has changed; at most ten times a second.
(() => {
  const PAUSE = 100;
  let timer = 0, last = -PAUSE;

  function mend() {
    for (const tab of document.querySelectorAll("[role=tab]")) {
      if (tab.getAttribute("aria-controls") === "") tab.removeAttribute("aria-controls");
    }
    for (const tabs of document.querySelectorAll(".tabs")) {
      const open = tabs.querySelector(":scope > .tab-wrapper [role=tab][aria-selected=true]");
      for (const panel of tabs.querySelectorAll(":scope > [role=tabpanel]")) {
        if (open && panel.style.display !== "none") name(panel, open.textContent);
      }
    }
    for (const one of document.querySelectorAll(".placeholder-content[role=complementary]")) one.removeAttribute("role");
    passOver();
  }

  // A list that scrolls would be a stop of its own on the way by Tab, and take the focus with it when it closes.
  function passOver() {
    for (const one of document.querySelectorAll("ul[role=listbox]:not([tabindex])")) one.tabIndex = -1;
  }

  function name(element, words) {
    if (element.getAttribute("aria-label") !== words) element.setAttribute("aria-label", words);
  }

  function changed() {
    [timer, last] = [0, performance.now()];
    mend();
    document.dispatchEvent(new CustomEvent("ft-changed"));
  }

  // Gradio 6.31 opens a list on any key, on that too with which one leaves it, and then it stays open.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || !event.target.matches?.("input[role=combobox]")) return;
    event.stopImmediatePropagation();
    passOver();  // it may have opened since the last look
  }, true);

  new MutationObserver(() => {
    timer ||= setTimeout(changed, Math.max(0, last + PAUSE - performance.now()));
  }).observe(document, { subtree: true, childList: true, attributeFilter: ["data-way", "aria-selected"] });
})();
