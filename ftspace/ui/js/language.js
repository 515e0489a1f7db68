// Shows the page in another language than English: translates what stands in it, and what comes, by a catalogue. The
// switch in the page's head says which language, else the browser. In English, in an English browser, nothing runs.
window.ftspaceLanguage = (() => {
  const KEY = "ftspace-language", root = document.documentElement, editions = window.ftspaceLanguages ?? {};
  const ATTRIBUTES = ["aria-label", "aria-description", "aria-valuetext", "title", "placeholder", "alt", "data-label"];
  // What persons wrote, and code. Gradio's own widgets cannot be marked: rows of a dataset, its columns, ids, tasks.
  const OWN = "[translate=no], code, pre, textarea, script, style, [data-token], .ft-md, #examples table, #examples .gallery, "
    + "[id^=column-] :is(input, ul), .ft-picker :is(input, ul), #task :is(input, ul)";
  const ITEMS = "input[role=listbox], input[role=combobox], input.border-none";
  const native = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
  let chosen = null;
  try { chosen = localStorage.getItem(KEY); } catch { /* the browser's language then, at each visit */ }
  const language = chosen === "en" || chosen in editions ? chosen : native;
  let say = (text) => text;

  document.addEventListener("click", ({ target }) => {
    const to = target.closest?.("[data-language]")?.dataset.language;
    if (!to) return;
    try { localStorage.setItem(KEY, to); } catch { return; }
    location.reload();
  });

  const own = (node) => Boolean(node?.closest?.(OWN));

  function text(node) {
    const parent = node.parentElement;
    if (!parent || own(parent) || !node.data.trim()) return;
    if (parent.querySelector(":scope > code") && sentence(parent)) return;
    const said = say(node.data);
    if (said === node.data) return;
    if (said.includes("`") && !node.data.includes("`")) node.replaceWith(...coded(said));
    else node.data = said;
  }

  // A text with what stands between backticks as code; the elements of `codes` are used where they say the same.
  function coded(text, codes = []) {
    return text.split(/`([^`]*)`/).map((part, place) => {
      if (place % 2 === 0) return part;
      const at = codes.findIndex((one) => one.textContent === part);
      return at < 0 ? Object.assign(document.createElement("code"), { textContent: part }) : codes.splice(at, 1)[0];
    });
  }

  // A sentence with code in it is translated as one: in the catalogue the code stands between backticks, or as `{}`.
  function sentence(element) {
    const nodes = [...element.childNodes];
    if (nodes.some((node) => node.nodeType !== Node.TEXT_NODE && node.nodeName !== "CODE")) return false;
    const codes = nodes.filter((node) => node.nodeName === "CODE");
    const whole = nodes.map((node) => (node.nodeName === "CODE" ? `\`${node.textContent}\`` : node.data)).join("").trim();
    const said = say(whole);
    if (said === whole) return false;
    element.replaceChildren(...coded(said, codes));
    return true;
  }

  function attributes(element) {
    if (own(element.parentElement)) return;
    for (const name of ATTRIBUTES) {
      const there = element.getAttribute(name);
      if (!there || (name === "data-label" && element.nodeName !== "TD")) continue;
      const said = say(there).replaceAll("`", "");
      if (said !== there.replaceAll("`", "")) element.setAttribute(name, said);
    }
  }

  // A closed list shows its choice in an input: there the translation is only shown, and gone while it is typed in.
  function choice(input) {
    if (input === document.activeElement || own(input)) return;
    const said = say(input.value);
    if (said !== input.value) [input.ftValue, input.value] = [input.value, said];
  }

  function all(node) {
    if (node.nodeType === Node.TEXT_NODE) return text(node);
    if (node.nodeType !== Node.ELEMENT_NODE && node.nodeType !== Node.DOCUMENT_FRAGMENT_NODE) return;
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    const texts = [];
    for (let at = node; at; at = walker.nextNode()) {
      if (at.nodeType === Node.TEXT_NODE) texts.push(at);
      else if (at.nodeType === Node.ELEMENT_NODE) attributes(at);
    }
    for (const one of texts) if (one.isConnected || node.nodeType === Node.DOCUMENT_FRAGMENT_NODE) text(one);
  }

  function changed(records) {
    const seen = new Set();
    for (const { type, target, addedNodes } of records) {
      if (type === "childList") for (const node of addedNodes) seen.add(node);
      else if (type === "characterData") seen.add(target);
      else if (!seen.has(target) && target.isConnected) attributes(target);
    }
    for (const node of seen) if (node.isConnected) all(node);
    if (root.lang !== language) root.lang = language;
    watch.takeRecords();
  }
  const watch = new MutationObserver(changed);

  async function begin() {
    const foreign = language === "en" ? native : language;
    const answer = await fetch(`language/${foreign}?${editions[foreign]}`);
    if (!answer.ok) return;
    const book = await answer.json();
    // A Chinese browser that was told to be English: Gradio's own words are turned back.
    const back = () => Object.fromEntries(Object.entries(book).filter(([key]) => !key.includes("{}")).map(([key, value]) => [value, key]));
    say = language === "en" ? turned(back()) : window.ftspaceBook(book);
    all(root);
    root.lang = language;
    watch.observe(document, { subtree: true, childList: true, characterData: true, attributeFilter: [...ATTRIBUTES, "lang"] });
    document.addEventListener("focusin", ({ target }) => {
      if (target.ftValue !== undefined && target.value === say(target.ftValue)) target.value = target.ftValue;
      delete target.ftValue;
    }, true);
    const lists = () => document.querySelectorAll(ITEMS).forEach(choice);
    document.addEventListener("ft-changed", lists);
    document.addEventListener("focusout", () => setTimeout(lists, 50));
    lists();
  }
  const turned = (words) => (said) => words[said.trim()] ?? said;

  const runs = language !== "en" || native !== "en";
  if (runs) begin();
  return { say: (said) => say(said), all: runs ? all : () => {} };
})();
