// What is done on the cards of runs: chosen to be compared, named, deleted and restored. Each act goes through the
// field #gallery-asked to the app, which answers in #gallery-told; what is chosen is kept while lists are drawn anew.
window.ftGallery = (() => {
  const MOST = 8, chosen = new Map();
  const asked = new URLSearchParams(location.search);
  // The steps are not shown where runs are looked through, not even until the app says so.
  if (!asked.get("run") && (asked.has("runs") || asked.get("compare"))) document.documentElement.dataset.ftAlone = "";

  function ask(words) {
    const field = document.querySelector("#gallery-asked :is(input, textarea)");
    if (!field) return;
    field.value = JSON.stringify({ ...words, at: Date.now() });
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function told(said) {
    let one;
    try { one = JSON.parse(said); } catch { return; }
    const form = document.querySelector("form.ft-label");
    if (one.trouble) {
      const place = form?.querySelector(".ft-label-trouble");
      if (place) place.textContent = one.trouble;
      else toast(one.trouble, "bad");
      return;
    }
    if (one.deleted) {
      chosen.delete(one.run);
      if (one.page) return void later(() => { location.search = "?runs&deleted=" + encodeURIComponent(one.run); });
      toast(one.say, "idle", one.run);
    } else toast(one.say, "good", "", 6000);
    if (one.saved) {
      if (one.page) form?.remove();
      if (one.page) window.ftspace?.follow(one.run);
      later(() => card(one.run)?.querySelector('[data-act="edit"]')?.focus());
    }
    if (one.restored) later(() => card(one.run)?.querySelector("a")?.focus());
    later(mark);
  }

  const later = (act) => setTimeout(act, 150);
  const card = (run) => document.querySelector(`.ft-run[data-run="${CSS.escape(run)}"]`);

  // What is said at the page's foot, with a way back from a deletion for as long as the page is open.
  function toast(text, tone, undo, ms) {
    document.getElementById("gallery-toast")?.remove();
    if (!text) return;
    const note = document.createElement("div");
    note.id = "gallery-toast";
    note.className = `ft-note ft-${tone}`;
    note.setAttribute("role", "status");
    const words = document.createElement("span");
    words.textContent = text;
    note.append(words);
    if (undo) note.append(button("Undo", () => { note.remove(); ask({ do: "restore", run: undo }); }));
    note.append(button("Close", () => note.remove()));
    (document.querySelector(".gradio-container") || document.body).append(note);
    if (undo) note.querySelector("button").focus();
    if (ms) setTimeout(() => note.remove(), ms);
  }

  function button(text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "ft-button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }

  // The form for title, tags and note, in the run's card.
  function edit(run) {
    document.querySelector("form.ft-label")?.remove();
    const made = document.querySelector("template.ft-label-template")?.content.firstElementChild.cloneNode(true);
    if (!made) return;
    const values = JSON.parse(run.dataset.label);
    for (const name of ["title", "tags", "note"]) made.elements[name].value = values[name];
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      made.querySelector(".ft-label-trouble").textContent = "";
      const said = Object.fromEntries(["title", "tags", "note"].map((name) => [name, made.elements[name].value]));
      ask({ do: "label", run: run.dataset.run, page: !!run.dataset.page, ...said });
    });
    made.addEventListener("keydown", (event) => { if (event.key === "Escape") close(made, run); });
    run.append(made);
    made.elements.title.focus();
  }

  function close(form, run) {
    form.remove();
    run.querySelector('[data-act="edit"]')?.focus();
  }

  function mark() {
    for (const box of document.querySelectorAll(".ft-pick")) box.checked = chosen.has(box.value);
    for (const bar of document.querySelectorAll(".ft-choosing")) {
      bar.hidden = chosen.size === 0;
      const more = chosen.size < 2 ? "; choose another to compare" : chosen.size > MOST ? `; at most ${MOST} can be compared` : "";
      bar.querySelector(".ft-chosen").textContent = `${chosen.size} run${chosen.size > 1 ? "s" : ""} chosen${more}`;
      bar.querySelector('[data-act="compare"]').disabled = chosen.size < 2 || chosen.size > MOST;
    }
  }

  const acts = {
    edit: (run) => edit(run),
    cancel: (run) => close(run.querySelector("form.ft-label"), run),
    delete: (run) => ask({ do: "delete", run: run.dataset.run, page: !!run.dataset.page }),
    restore: (run) => ask({ do: "restore", run: run.dataset.run }),
    compare: () => { location.search = "?compare=" + [...chosen.keys()].join(","); },
    clear: () => { chosen.clear(); mark(); document.querySelector("#gallery-search :is(input, textarea)")?.focus(); },
  };

  document.addEventListener("click", ({ target }) => {
    const pressed = target.closest?.("button[data-act]");
    if (pressed && acts[pressed.dataset.act]) acts[pressed.dataset.act](pressed.closest(".ft-run"));
  });
  document.addEventListener("change", ({ target }) => {
    if (!target.classList?.contains("ft-pick")) return;
    if (target.checked) chosen.set(target.value, true);
    else chosen.delete(target.value);
    mark();
  });

  // Lists are drawn anew by the app: what was chosen stays chosen.
  new MutationObserver((changes) => {
    if (!changes.some((one) => [...one.addedNodes].some((node) => node.querySelector?.(".ft-pick, .ft-choosing")))) return;
    mark();
    const gone = new URLSearchParams(location.search).get("deleted");
    if (!gone) return;
    history.replaceState(null, "", "?runs");
    toast("Deleted.", "idle", gone);
  }).observe(document.documentElement, { childList: true, subtree: true });

  // What is looked for, in the address of the page that shows runs alone.
  function address(text, show, sort) {
    const now = new URLSearchParams(location.search);
    if (!now.has("runs")) return;
    const said = { q: text, show: show === "all" ? "" : show, sort: sort === "newest" ? "" : sort };
    const kept = Object.entries(said).filter(([, value]) => value).map(([name, value]) => `&${name}=${encodeURIComponent(value)}`);
    history.replaceState(null, "", "?runs" + kept.join(""));
  }

  function states(said) {
    let found;
    try { found = JSON.parse(said); } catch { return; }
    for (const [run, html] of Object.entries(found)) {
      const place = card(run)?.querySelector(".ft-run-state");
      if (place && place.innerHTML !== html) place.innerHTML = html;
    }
  }

  return { told, address, states };
})();
