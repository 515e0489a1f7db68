// The fields of step 1. Tells a field's hidden companion what is typed into it once the typing has paused (what is picked
// from its list is not), opens the short list and takes from it, and gives a dropped file to the upload button.
(() => {
  const PAUSE = 300, timers = {};

  function tell(id, value) {
    const field = document.querySelector(`#${id} :is(input, textarea)`);
    if (!field) return;
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  document.addEventListener("input", ({ target }) => {
    const picker = target.closest?.(".ft-picker");
    if (!picker) return;
    clearTimeout(timers[picker.id]);
    timers[picker.id] = setTimeout(() => {
      const asked = document.querySelector(`#${picker.id}-asked :is(input, textarea)`);
      if (asked && asked.value !== target.value) tell(`${picker.id}-asked`, target.value);
    }, PAUSE);
  });

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-opens], [data-closes], [data-takes]");
    if (!button) return target.matches?.("dialog.ft-shelf") && target.close();
    const { opens, closes, takes } = button.dataset;
    if (opens) return document.getElementById(opens).showModal();
    button.closest("dialog").close();
    if (takes) tell(`pick-${takes}-taken`, button.value);
  });

  // A file may be dropped anywhere on the step while it takes uploads.
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const place = (event) => {
    const step = event.target.closest?.("#choose-step");
    return step?.querySelector("#upload:not([disabled])") ? step : null;
  };
  const mark = (step) => {
    for (const one of document.querySelectorAll(".ft-dropping")) if (one !== step) one.classList.remove("ft-dropping");
    step?.classList.add("ft-dropping");
  };
  document.addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault(); // elsewhere the browser would leave the page for the file
    mark(place(event));
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(null));
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    const step = place(event), [file] = event.dataTransfer.files;
    mark(null);
    if (event.target.closest?.("[data-testid=file-upload], .ft-drops")) return; // a field that takes files itself
    event.preventDefault();
    const input = step && file && document.getElementById("upload").parentElement.querySelector("input[type=file]");
    if (!input) return;
    const held = new DataTransfer();
    held.items.add(file);
    input.files = held.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
