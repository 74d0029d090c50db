// A line of text that a screen reader speaks when it changes. Synced: text, warning, density.
function render({ model, el }) {
  el.setAttribute("role", "status");
  el.classList.add("gen-words");
  const say = () => {
    el.textContent = model.get("text");
    el.classList.toggle("gen-warning", model.get("warning"));
  };
  // In its command mode JupyterLab takes arrow keys and letters before a slider or a list sees them,
  // except where this attribute stands on what has the focus. Set for all of the widget around.
  let frame = 0;
  const keepKeys = () => {
    if (!el.isConnected) frame = requestAnimationFrame(keepKeys);
    else el.closest(".gen-widget")?.addEventListener("focusin", ({ target }) =>
      target.setAttribute("data-lm-suppress-shortcuts", "true"));
  };
  const dense = matchMedia("(min-resolution: 1.01dppx)"); // a page that is zoomed in is dense, too
  const measure = () => {
    model.set("density", dense.matches ? 2 : 1);
    model.save_changes();
  };
  model.on("change", say);
  say();
  keepKeys();
  measure();
  dense.addEventListener("change", measure);
  return () => {
    cancelAnimationFrame(frame);
    dense.removeEventListener("change", measure);
  };
}

export default { render };
