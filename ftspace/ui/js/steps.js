// Marks the page's steps as #way tells it: done, open, or with nothing in it yet. Such a one says why instead of opening.
(() => {
  const WHY = 7000;
  let timer = 0;

  const tabs = () => [...document.querySelectorAll("#steps > .tab-wrapper [role=tab]")];

  function way() {
    const told = document.querySelector("#way [data-way]")?.dataset.way;
    return told ? JSON.parse(told) : { steps: {}, tour: [] };
  }

  function mark() {
    const { steps } = way();
    for (const tab of tabs()) {
      const [state, english] = steps[tab.dataset.tabId] ?? ["open", ""], why = window.ftspaceLanguage.say(english);
      const later = state === "later" && tab.getAttribute("aria-selected") !== "true";
      set(tab, "data-state", later ? state : state === "later" ? "open" : state);
      set(tab, "aria-disabled", String(later));
      set(tab, "title", later ? why : "");
      set(tab, "aria-description", later ? why : "");
    }
  }

  function set(element, name, value) {
    if ((element.getAttribute(name) ?? "") !== value) value ? element.setAttribute(name, value) : element.removeAttribute(name);
  }

  function say(why) {
    document.getElementById("step-why")?.remove();
    clearTimeout(timer);
    if (!why) return;
    const note = document.createElement("p");
    note.id = "step-why";
    note.className = "ft-note ft-idle";
    note.setAttribute("role", "status");
    document.querySelector("#steps > .tab-wrapper").after(note);
    note.textContent = why;
    timer = setTimeout(() => note.remove(), WHY);
  }

  document.addEventListener("click", (event) => {
    const tab = event.target.closest?.("#steps > .tab-wrapper [role=tab]");
    if (tab) {
      const later = tab.dataset.state === "later";
      if (later) event.stopImmediatePropagation();
      say(later ? tab.title : "");
    }
    if (event.target.closest?.(".ft-skip")) {
      event.preventDefault();
      const open = [...document.querySelectorAll("#steps > [role=tabpanel]")].find((one) => one.checkVisibility());
      open?.setAttribute("tabindex", "-1");
      open?.focus();
    }
  }, true);
  document.addEventListener("ft-changed", mark);
  window.ftspaceWay = way;
})();
