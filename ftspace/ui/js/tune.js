// Step 2: marks what is said of the settings beside each of them, finds settings by their words, and leads to one.
// Gradio draws a group's fields when it is opened first, so all of it is done again whenever something was drawn.
(() => {
  const said = { wrong: {}, back: {}, auto: {}, of: "" };
  const opened = new Set();
  let waiting = 0, wanted = null, asked = 0;

  window.ftspace.tuned = (told) => {
    try { Object.assign(said, JSON.parse(told || "{}")); } catch { return; }
    settle();
  };

  const find = () => document.querySelector("#find-setting :is(input, textarea)");
  const groups = () => [...document.querySelectorAll("#settings .ft-group")];
  const head = (group) => group.querySelector(":scope > .label-wrap");
  const isOpen = (group) => group.querySelector(":scope > [data-testid=accordion-content]")?.style.display !== "none";
  const inputOf = (block) => block?.querySelector("input, textarea");

  // One line beneath a field, made, changed or taken away; untouched where it says the same already.
  function line(block, kind, tag, english) {
    const text = window.ftspaceLanguage.say(english);
    let there = block.querySelector(`:scope > .${kind}`);
    if (!text) return void there?.remove();
    if (!there) {
      there = document.createElement(tag);
      there.className = kind;
      there.id = `${block.id}-${kind}`;
      if (kind === "ft-wrong") there.setAttribute("role", "alert");
      if (kind === "ft-back") Object.assign(there, { type: "button" }).dataset.back = block.id;
      block.append(there);
    }
    if (there.textContent !== text) there.textContent = text;
  }

  function mark(block) {
    const wrong = said.wrong[block.id] ?? "", back = said.back[block.id] ?? "", auto = said.auto[block.id];
    const input = inputOf(block), empty = input && input.value === "";
    line(block, "ft-wrong", "p", wrong);
    line(block, "ft-auto", "p", auto && !wrong ? auto[1] : "");
    line(block, "ft-back", "button", back);
    block.classList.toggle("ft-is-wrong", Boolean(wrong));
    block.classList.toggle("ft-is-changed", Boolean(back));
    if (!input) return;
    if (wrong) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    const by = ["ft-wrong", "ft-auto"].map((kind) => `${block.id}-${kind}`).filter((id) => document.getElementById(id));
    if (by.length) input.setAttribute("aria-describedby", by.join(" "));
    else input.removeAttribute("aria-describedby");
    if (input.type === "number" && auto && empty) input.placeholder = `auto: ${auto[0]}`;
  }

  function expanded(group) {
    const button = group && head(group), open = String(Boolean(button && isOpen(group)));
    if (button && button.getAttribute("aria-expanded") !== open) button.setAttribute("aria-expanded", open);
  }

  // Shows the settings whose name or help has all the words, and opens their groups; the groups close again after it.
  function filter() {
    const words = (find()?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const group of groups()) {
      if (words.length && !isOpen(group)) [opened.add(group.id), head(group).click()];
      if (!words.length && opened.delete(group.id) && isOpen(group)) head(group).click();
      let here = 0;
      for (const block of group.querySelectorAll(".ft-setting")) {
        const text = `${block.id.slice(4).replaceAll("-", ".")} ${block.textContent}`.toLowerCase();
        const fits = words.every((word) => text.includes(word));
        block.classList.toggle("ft-filtered", !fits);
        here += fits;
      }
      const drawn = group.querySelector(".ft-setting");
      group.classList.toggle("ft-filtered", Boolean(words.length && drawn && !here));
      count += here;
    }
    const told = document.getElementById("settings-found");
    const text = window.ftspaceLanguage.say(!words.length ? "" : count ? `${count} setting${count > 1 ? "s" : ""}` : "No setting is called so.");
    if (told && told.textContent !== text) told.textContent = text;
  }

  // Opens a field's group, and goes there once it is drawn.
  function lead({ to, in: group }) {
    const box = document.getElementById(group);
    if (!box) return;
    if (find()?.value) [find().value = "", find().dispatchEvent(new Event("input", { bubbles: true })), filter()];
    if (!isOpen(box)) head(box).click();
    opened.delete(group);
    wanted = { to, until: Date.now() + 3000 };
    settle();
  }

  function go() {
    const block = wanted && document.getElementById(wanted.to);
    const drawn = block && block.offsetParent !== null;
    if (wanted && !drawn && Date.now() < wanted.until) return void setTimeout(settle, 50);
    if (drawn) {
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
      block.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
      inputOf(block)?.focus({ preventScroll: true });
    }
    wanted = null;
  }

  // Gradio names each radio button otherwise, so that arrow keys would not go from one to the next.
  function pace() {
    const wrap = document.querySelector("#pace > .wrap:not([data-testid])");
    const faces = document.querySelector("#paces .ft-faces");
    if (!wrap || !faces) return;
    if (!wrap.hasAttribute("role")) {
      wrap.setAttribute("role", "radiogroup");
      wrap.setAttribute("aria-label", "How thoroughly?");
    }
    [...wrap.querySelectorAll("input")].forEach((input, at) => {
      if (input.name !== "pace") input.name = "pace";
      const face = faces.children[at]?.id;
      if (face && input.getAttribute("aria-describedby") !== face) input.setAttribute("aria-describedby", face);
    });
    const box = document.getElementById("paces"), height = `${faces.offsetHeight}px`;
    if (faces.offsetHeight && box.style.getPropertyValue("--ft-faces-height") !== height) {
      box.style.setProperty("--ft-faces-height", height);
    }
  }

  function answered() {
    const told = document.querySelector("#tune-trouble [data-lead]:not([data-led])");
    if (document.querySelector("#tune-trouble [role=alert]")) document.getElementById("start")?.classList.remove("ft-starting");
    if (!told) return;
    told.dataset.led = "";
    const first = told.querySelector(".ft-lead-to");
    if (first) lead(first.dataset);
  }

  // What was looked at before Start is of other settings than those that stand there now.
  function outdate() {
    const before = document.querySelector("#before .ft-before");
    const stale = Boolean(before?.dataset.of && said.of && before.dataset.of !== said.of);
    if (before && before.classList.contains("ft-stale") !== stale) before.classList.toggle("ft-stale", stale);
  }

  function settle() {
    if (waiting) return;
    waiting = requestAnimationFrame(() => {
      waiting = 0;
      if (!document.getElementById("tune-form")) return;
      pace();
      answered();
      if (find()?.value) filter();
      document.querySelectorAll("#settings .ft-setting").forEach(mark);
      [...groups(), document.getElementById("as-yaml")].forEach(expanded);
      outdate();
      if (wanted) go();
    });
  }

  document.addEventListener("input", ({ target }) => { if (target === find()) filter(); });
  document.addEventListener("click", ({ target }) => {
    const to = target.closest?.(".ft-lead-to"), back = target.closest?.(".ft-back");
    if (target.closest?.(".label-wrap")) setTimeout(settle, 50);
    if (to) lead(to.dataset);
    if (back) {
      const box = document.querySelector("#back-to :is(input, textarea)");
      box.value = `${back.dataset.back}#${(asked += 1)}`;
      box.dispatchEvent(new Event("input", { bubbles: true }));
      inputOf(document.getElementById(back.dataset.back))?.focus();
    }
    const start = target.closest?.("#start");
    if (start) {
      start.classList.add("ft-starting");
      setTimeout(() => start.classList.remove("ft-starting"), 30000);
    }
  });
  addEventListener("resize", settle);
  new MutationObserver(settle).observe(document.documentElement, { childList: true, subtree: true });
})();
