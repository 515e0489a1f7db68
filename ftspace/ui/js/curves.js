// Reads the curves of a run, with the pointer or with the arrow keys, and keeps their switches. All panels have one axis
// of steps, so one line stands in all of them. Which view is seen is noted at the root, for live.css.
window.ftspaceCurves = (() => {
  const root = document.documentElement, KEY = "ftspace-curves";
  let pointer = null, at = null;

  function kept() {
    try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
  }

  function apply(chosen) {
    if (chosen.scale === "log") root.dataset.ftScale = "log";
    else delete root.dataset.ftScale;
    if (chosen.cut === "yes" || chosen.cut === "no") root.dataset.ftCut = chosen.cut;
    else delete root.dataset.ftCut;
  }

  function settle() {
    for (const box of document.querySelectorAll("[data-curve]")) {
      const auto = box.closest(".ft-charts").classList.contains("ft-auto");
      box.checked = box.dataset.curve === "log" ? root.dataset.ftScale === "log" : (root.dataset.ftCut ?? (auto ? "yes" : "no")) === "yes";
    }
  }

  document.addEventListener("change", ({ target }) => {
    const which = target.dataset?.curve;
    if (!which) return;
    const chosen = { ...kept(), ...(which === "log" ? { scale: target.checked ? "log" : "lin" } : { cut: target.checked ? "yes" : "no" }) };
    apply(chosen);
    try { localStorage.setItem(KEY, JSON.stringify(chosen)); } catch { /* for as long as the page is open */ }
  });

  // The axis as it is seen now: where it begins and ends.
  function axis(charts) {
    const cut = Number(charts.dataset.cut ?? 0), auto = charts.classList.contains("ft-auto");
    const hidden = cut && (root.dataset.ftCut ?? (auto ? "yes" : "no")) === "yes";
    return [hidden ? cut : 0, Number(charts.dataset.last)];
  }

  const parsed = new WeakMap();
  function points(line) {
    const drawn = line.getAttribute("d"), known = parsed.get(line);
    if (known?.drawn === drawn) return known.points;
    const found = drawn.slice(1).split("L").map((pair) => pair.split(" ").map(Number)).map(([step, y]) => [step, -y]);
    parsed.set(line, { drawn, points: found });
    return found;
  }

  const near = (found, step) => found.reduce((one, other) => (Math.abs(other[0] - step) < Math.abs(one[0] - step) ? other : one));

  function lines(figure) {
    return [...figure.querySelectorAll(`#ft-${figure.dataset.panel}-lin [data-name]`)];
  }

  function said(figure, value) {
    const digits = figure.dataset.digits;
    if (digits === "") return String(Number(value.toPrecision(3)));
    return value.toLocaleString("en", { minimumFractionDigits: Number(digits), maximumFractionDigits: Number(digits) });
  }

  function words(figure, step) {
    return lines(figure).map((line) => {
      const [where, value] = near(points(line), step);
      const loss = figure.dataset.panel === "loss" ? " loss" : "";
      return `${line.dataset.name}${loss} ${said(figure, value)}${where === step ? "" : ` at step ${where.toLocaleString("en")}`}`;
    });
  }

  // Shows what all panels have at a step; the tip stands at `place`, beside the line else.
  function show(charts, step, place) {
    const [left, right] = axis(charts);
    at = near(points(lines(charts.querySelector("figure"))[0]), step)[0];
    document.getElementById("live-view").style.setProperty("--ft-at", `${(100 * (Math.max(at, left) - left)) / (right - left)}%`);
    const every = Number(charts.dataset.every);
    const head = `step ${at.toLocaleString("en")}${every > 1 ? `, means of ${every.toLocaleString("en")} steps` : ""}`;
    let tip = document.getElementById("curve-tip");
    if (!tip) {
      tip = document.createElement("div");
      tip.id = "curve-tip";
      tip.setAttribute("aria-hidden", "true");
      document.querySelector(".gradio-container").append(tip);
    }
    tip.textContent = [head, ...[...charts.querySelectorAll("figure")].flatMap((figure) => words(figure, at))].join("\n");
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    const beside = place.x + 14 + wide > innerWidth - 8 ? place.x - wide - 14 : place.x + 14;
    tip.style.left = `${Math.max(8, Math.min(beside, innerWidth - wide - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(place.y + 14, innerHeight - high - 8))}px`;
  }

  function hide() {
    at = null;
    document.getElementById("curve-tip")?.remove();
    document.getElementById("live-view")?.style.removeProperty("--ft-at");
  }

  function point(event) {
    if (event) pointer = { x: event.clientX, y: event.clientY };
    const reader = pointer && document.elementFromPoint(pointer.x, pointer.y)?.closest(".ft-reader");
    if (!reader) return document.activeElement?.matches(".ft-reader") ? undefined : hide();
    const charts = reader.closest(".ft-charts"), box = reader.getBoundingClientRect(), [left, right] = axis(charts);
    show(charts, left + ((pointer.x - box.left) / box.width) * (right - left), pointer);
  }

  const MOVES = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
  function move(event) {
    const reader = event.target.closest?.(".ft-reader");
    if (reader && event.key === "Escape") return hide();
    if (!reader || !(event.key in MOVES) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const figure = reader.closest("figure"), charts = reader.closest(".ft-charts"), [left, right] = axis(charts);
    const steps = points(lines(figure)[0]).map(([step]) => step).filter((step) => step >= left);
    const here = steps.reduce((best, step, place) => (Math.abs(step - (at ?? right)) < Math.abs(steps[best] - (at ?? right)) ? place : best), 0);
    const step = steps[Math.max(0, Math.min(steps.length - 1, here + (at === null && Number.isFinite(MOVES[event.key]) ? 0 : MOVES[event.key])))];
    const box = reader.getBoundingClientRect();
    pointer = null;
    show(charts, step, { x: box.left + (box.width * (step - left)) / (right - left), y: box.top });
    reader.setAttribute("aria-valuenow", String(at));
    reader.setAttribute("aria-valuetext", `step ${at.toLocaleString("en")}: ${words(figure, at).join("; ")}`);
  }

  for (const kind of ["pointermove", "pointerdown"]) document.addEventListener(kind, point, { passive: true });
  document.addEventListener("keydown", move);
  document.addEventListener("focusout", ({ target }) => { if (target.matches?.(".ft-reader")) hide(); });
  document.addEventListener("keydown", ({ key, target }) => {
    if (key === "Escape" && target.closest?.("#discard-ask")) document.getElementById("discard-not")?.click();
  });
  apply(kept());
  return { refresh: () => { settle(); if (pointer) point(); }, settle };
})();
