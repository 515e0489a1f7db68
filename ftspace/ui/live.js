// Keeps the open run's view up to date: asks `live/RUN` for news, puts them into #live-view, and clicks #news when
// Gradio's own widgets have something to show. The browser's title tells how far the run is.
window.ftspace = (() => {
  const HIDDEN = 30000, SLOWEST = 15000, TOAST = 12000;
  let id = "", tag = "", news = null, known = null, fails = 0, timer = 0, asking = false, gone = false, pointer = null;

  function follow(run) {
    if (run && new URLSearchParams(location.search).get("run") !== run) {
      history.replaceState(null, "", "?run=" + encodeURIComponent(run));
    }
    if (run !== id) [id, tag, news, known] = [run, "", null, null];
    gone = false;
    if (id) ask();
  }

  async function ask() {
    clearTimeout(timer);
    if (asking || gone || !id) return;
    asking = true;
    const run = id;
    let wait = 1000;
    try {
      const answer = await fetch(`live/${run}?seen=${tag}`, { cache: "no-store", signal: AbortSignal.timeout(20000) });
      wait = Number(answer.headers.get("next-ms")) || wait;
      gone = answer.status === 401 || answer.status === 404;
      if (gone) news = null;
      if (!gone && !answer.ok) throw new Error(answer.statusText);
      const told = answer.status === 200 ? await answer.json() : null;
      if (run === id) {
        if (told) take(told);
        if (fails) [fails, known] = [0, null];
        say("lost", answer.status === 401 ? "The app was started anew: reload the page to sign in again." : "", "warn");
        if (answer.status === 404) document.getElementById("news")?.click();
        else show();
      }
    } catch {
      fails += 1;
      wait = Math.min(SLOWEST, 500 * 2 ** fails) * (0.75 + Math.random() / 2);
      if (run === id) say("lost", "The connection is lost; trying again …", "warn");
    }
    asking = false;
    if (run !== id) return ask();
    if (fails || !(gone || news?.over)) timer = setTimeout(ask, document.hidden ? Math.max(wait, HIDDEN) : wait);
  }

  function take(told) {
    if (told.over && news && !news.over) say("end", told.end, told.tone, TOAST);
    [news, tag] = [told, told.tag];
    document.title = told.title;
  }

  function show() {
    const view = document.getElementById("live-view");
    if (view && news && view.dataset.tag !== tag) {
      known ??= view.dataset.known;
      view.dataset.tag = tag;
      const fresh = document.createElement("template");
      fresh.innerHTML = news.html;
      morph(view.firstChild, fresh.content.firstChild);
      read();
    }
    if (news && known !== news.known) {
      known = news.known;
      document.getElementById("news")?.click();
    }
  }

  // Makes an element like another and leaves alone what is the same already: focus, selection and transitions stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) return void (old.data = fresh.data);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const had = [...old.childNodes], wanted = [...fresh.childNodes];
    wanted.forEach((node, at) => (at < had.length ? morph(had[at], node) : old.append(node)));
    had.slice(wanted.length).forEach((node) => node.remove());
  }

  // A word at the page's foot, one of each kind; "" takes it away.
  function say(kind, text, tone, ms) {
    document.getElementById(`say-${kind}`)?.remove();
    if (!text) return;
    const note = document.createElement("div");
    note.id = `say-${kind}`;
    note.className = `ft-note ft-${tone}`;
    note.textContent = text;
    foot().append(note);
    if (ms) seen().then(() => setTimeout(() => note.remove(), ms));
  }

  function seen() {
    return new Promise((resolve) => {
      const look = () => document.hidden || resolve();
      document.addEventListener("visibilitychange", look);
      look();
    });
  }

  function foot() {
    let found = document.getElementById("says");
    if (!found) {
      found = document.createElement("div");
      found.id = "says";
      found.setAttribute("role", "status");
      document.querySelector(".gradio-container").append(found);
    }
    return found;
  }

  // What the pointer is at in the curve: the nearest step of each line, and its loss.
  function read(event) {
    if (event) pointer = { x: event.clientX, y: event.clientY };
    const plot = pointer && document.elementFromPoint(pointer.x, pointer.y)?.closest(".ft-plot");
    let tip = document.getElementById("curve-tip");
    if (!plot) return void tip?.remove();
    const svg = plot.querySelector("svg"), box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    const at = view.x + ((pointer.x - box.left) / box.width) * view.width;
    const near = [...svg.querySelectorAll(".ft-line")].map((line) => {
      const points = line.getAttribute("d").slice(1).split("L").map((pair) => pair.split(" ").map(Number));
      const best = points.reduce((one, other) => (Math.abs(other[0] - at) < Math.abs(one[0] - at) ? other : one));
      return { name: line.dataset.name, step: best[0], loss: -best[1] };
    });
    if (!tip) {
      tip = document.createElement("div");
      tip.id = "curve-tip";
      document.querySelector(".gradio-container").append(tip);
    }
    tip.textContent = near.map((one) => `${one.name} ${one.loss.toFixed(3)} at step ${one.step.toLocaleString("en")}`).join("\n");
    const width = tip.offsetWidth;
    tip.style.left = `${Math.max(8, Math.min(pointer.x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${pointer.y + 14}px`;
  }

  for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, read, { passive: true });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  addEventListener("online", ask);
  return { follow };
})();
