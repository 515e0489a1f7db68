// Keeps Gradio's script from telling all of the page how each handler gets on. With each word of any handler (it waits, is at
// work, is done) 6.31 tells every widget again that was ever an output or an input of one, and tells each input that nothing
// is wrong with it. None of that shows: most of our handlers show no progress, and none takes a stream or has a validator.
(() => {
  // The module that the page has loaded already, so that what is changed in it is changed for all.
  async function mend(name, method, by) {
    const loaded = performance.getEntriesByType("resource").find((one) => one.name.includes(`/assets/${name}-`));
    for (const one of loaded ? Object.values(await import(loaded.name)) : []) {
      const own = one?.prototype && Object.getOwnPropertyDescriptor(one.prototype, method)?.value;
      if (own) one.prototype[method] = by(own);
    }
  }

  mend("statustracker", "resolve_args", (resolve) => function (told) {
    return this.show_progress[told.fn_index] === "hidden" ? [] : resolve.call(this, { ...told, stream_state: null });
  });
  mend("core", "update_state", (update) => function (id, told, ...more) {
    const nothing = Object.keys(told).join() === "loading_status" && told.loading_status.validation_error === null;
    return nothing && Object.keys(told.loading_status).length === 1 ? undefined : update.call(this, id, told, ...more);
  });
})();
