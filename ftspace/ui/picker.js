// Tells a picker's hidden field what is typed into it, once the typing has paused; what is picked from its list is not.
(() => {
  const PAUSE = 300, timers = {};
  document.addEventListener("input", ({ target }) => {
    const picker = target.closest?.(".ft-picker");
    if (!picker) return;
    clearTimeout(timers[picker.id]);
    timers[picker.id] = setTimeout(() => {
      const asked = document.querySelector(`#${picker.id}-asked :is(input, textarea)`);
      if (!asked || asked.value === target.value) return;
      asked.value = target.value;
      asked.dispatchEvent(new Event("input", { bubbles: true }));
    }, PAUSE);
  });
})();
