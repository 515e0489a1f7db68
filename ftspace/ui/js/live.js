// Keeps the open run's view up to date: asks `live/RUN` for news, puts them into #live-view, and clicks #news when
// Gradio's own widgets have something to show. The browser's title tells how far the run is.
window.ftspace = (() => {
  // What a person has changed: whether details are open, and where the reader that has the focus is.
  const OWN = new Set(["open", "aria-valuenow", "aria-valuetext"]);
  // A run that ended may be gone on with elsewhere: its page asks now and then.
  const HIDDEN = 30000, ENDED = 8000, SLOWEST = 15000, TOAST = 12000;
  let id = "", tag = "", news = null, known = null, fails = 0, timer = 0, asking = false, gone = false;

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
    const least = document.hidden ? HIDDEN : news?.over && !fails ? ENDED : 0;
    if (!gone || fails) timer = setTimeout(ask, Math.max(wait, least));
  }

  function take(told) {
    if (told.over && news && !news.over) say("end", told.end, told.tone, TOAST);
    [news, tag] = [told, told.tag];
    document.title = told.title;
  }

  // What Gradio's widgets show of the run, as the page that was opened says: the view itself may not be drawn yet.
  function told() {
    const way = document.querySelector("#way [data-way]");
    return way ? JSON.parse(way.dataset.way).known : null;
  }

  function show() {
    const view = document.getElementById("live-view");
    if (view && news && view.dataset.tag !== tag) {
      view.dataset.tag = tag;
      const fresh = document.createElement("template");
      fresh.innerHTML = news.html;
      window.ftspaceLanguage.all(fresh.content);
      morph(view.firstChild, fresh.content.firstChild);
      window.ftspaceCurves?.refresh();
    }
    if (view) {
      keep(view);
      window.ftspaceCurves?.settle();
    }
    known ??= told();
    if (news && known !== news.known) {
      known = news.known;
      document.getElementById("news")?.click();
    }
  }

  // Gradio draws a tab when it is opened, and perhaps anew.
  let view = null;
  new MutationObserver(() => {
    const now = document.getElementById("live-view");
    if (now === view) return;
    view = now;
    if (now) show();
  }).observe(document.documentElement, { childList: true, subtree: true });

  // Makes an element like another and leaves alone what is the same already: focus, selection and transitions stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) return void (old.data = fresh.data);
    const own = (name) => OWN.has(name) && (old.nodeName === "DETAILS" || old === document.activeElement);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !own(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value && !own(name)) old.setAttribute(name, value);
    }
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

  // What is open and how far the page is scrolled outlive a reload: the view comes later than the browser scrolls.
  const spot = () => `ftspace-spot-${id}`;
  let placed = "";
  function keep(view) {
    if (!id || placed === id || !view.offsetParent) return;
    placed = id;
    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem(spot())); } catch { /* nothing can be kept here */ }
    if (!kept) return;
    for (const name of kept.open) view.querySelector(`[data-keep="${CSS.escape(name)}"]`)?.setAttribute("open", "");
    if (!scrollY) requestAnimationFrame(() => scrollTo({ top: kept.top, behavior: "instant" }));
  }
  addEventListener("pagehide", () => {
    const open = [...document.querySelectorAll("#live-view details[open][data-keep]")].map((one) => one.dataset.keep);
    try { if (id) sessionStorage.setItem(spot(), JSON.stringify({ top: scrollY, open })); } catch { /* as above */ }
  });

  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  addEventListener("online", ask);
  return { follow };
})();
