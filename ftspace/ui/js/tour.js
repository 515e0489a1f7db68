// The guided tour: a card at the foot of the page that points at one thing after the other. It covers nothing, holds no
// one back, and is remembered by this browser alone. Escape ends it, the arrow keys go on and back.
(() => {
  const TAKEN = "ftspace-tour", QUIET = 600, PATIENCE = 6000;
  let at = -1, came = null, shown = "";

  const stops = () => window.ftspaceWay?.().tour ?? [];
  const tabOf = (step) => document.querySelector(`#steps > .tab-wrapper [data-tab-id="${step}"]`);
  const taken = () => { try { return localStorage.getItem(TAKEN); } catch { return null; } };
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  function offer() {
    const link = document.querySelector("[data-tour]");
    if (link) {
      link.hidden = !stops().length;
      const words = window.ftspaceLanguage.say(taken() ? "Tour" : "Take the tour");
      if (link.textContent !== words) link.textContent = words;
    }
    if (at >= 0) point();
  }

  function card() {
    let found = document.getElementById("tour");
    if (!found) {
      found = document.createElement("section");
      found.id = "tour";
      found.tabIndex = -1;
      found.setAttribute("role", "dialog");
      found.setAttribute("aria-label", "Tour");
      found.setAttribute("aria-describedby", "tour-words");
      found.innerHTML = `<p id="tour-words" aria-live="polite"></p><div><small></small><button type="button" data-go="start" class="ft-button">
        Start a Quick look</button><button type="button" data-go="end" class="ft-button">End</button><button type="button"
        data-go="back" class="ft-button">Back</button><button type="button" data-go="on" class="ft-button">Next</button></div>`;
      document.querySelector(".gradio-container .contain").append(found);
    }
    return found;
  }

  function go(place) {
    const all = stops();
    if (place < 0 || !all.length) return;
    if (place >= all.length) return end();
    if (at < 0) came = document.activeElement;
    at = place;
    const tab = tabOf(all[at].step);
    if (tab && tab.dataset.state !== "later" && tab.getAttribute("aria-selected") !== "true") tab.click();
    const found = card(), part = (name) => found.querySelector(`[data-go=${name}]`);
    found.querySelector("p").textContent = all[at].words;
    found.querySelector("small").textContent = `${at + 1} of ${all.length}`;
    part("back").disabled = at === 0;
    part("on").textContent = at === all.length - 1 ? "Done" : "Next";
    shown = "";
    point();
    if (!found.contains(document.activeElement) || document.activeElement.disabled) found.focus();
  }

  // Outlines what the stop is about, again when the page has changed: a step may still be coming.
  function point() {
    const stop = stops()[at];
    if (!stop) return;
    const there = stop.at.split(", ").map((one) => document.querySelector(one)).find((one) => one?.checkVisibility());
    const found = there ?? tabOf(stop.step);
    for (const one of document.querySelectorAll(".ft-toured")) if (one !== found) one.classList.remove("ft-toured");
    document.querySelector("#tour [data-go=start]").hidden = !(stop.starts && document.getElementById("start")?.checkVisibility());
    if (!found) return;
    found.classList.add("ft-toured");
    const key = `${at} ${there ? stop.at : ""}`;
    if (key !== shown) found.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    shown = key;
  }

  function end() {
    try { localStorage.setItem(TAKEN, "taken"); } catch { /* a browser that keeps nothing is offered it again */ }
    at = -1;
    document.getElementById("tour")?.remove();
    for (const one of document.querySelectorAll(".ft-toured")) one.classList.remove("ft-toured");
    (came?.isConnected ? came : document.querySelector(".ft-name"))?.focus();
    offer();
  }

  // Picks the quickest pace, waits until the page has taken it in, and presses Start.
  async function start() {
    const pace = [...document.querySelectorAll("#tune-step input[type=radio]")].find((one) =>
      (one.closest("label")?.textContent ?? one.value).includes(window.ftspaceLanguage.say("Quick look")));
    if (pace && !pace.checked) {
      pace.click();
      await quiet();
    }
    document.getElementById("start")?.click();
    go(at + 1);
  }

  function quiet() {
    return new Promise((resolve) => {
      const until = performance.now() + PATIENCE;
      let timer = setTimeout(resolve, 2 * QUIET);
      document.addEventListener("ft-changed", () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, Math.max(0, Math.min(QUIET, until - performance.now())));
      });
    });
  }

  document.addEventListener("click", ({ target }) => {
    if (target.closest?.("[data-tour]")) return go(0);
    const act = target.closest?.("#tour [data-go]")?.dataset.go;
    if (act) ({ on: () => go(at + 1), back: () => go(at - 1), end, start })[act]();
  });
  document.addEventListener("keydown", (event) => {
    if (at < 0 || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return end();
    const own = document.getElementById("tour")?.contains(document.activeElement);
    if (own && event.key === "ArrowRight") go(at + 1);
    if (own && event.key === "ArrowLeft") go(at - 1);
  });
  document.addEventListener("ft-changed", offer);
})();
