// A picture with a draggable point. Synced: x, y in [0, 1], y from the bottom.
const SVG = "http://www.w3.org/2000/svg";

function render({ model, el }) {
  const width = model.get("width"), height = model.get("height");
  const pad = document.createElement("div");
  pad.className = "gen-pad";
  pad.tabIndex = 0;
  pad.setAttribute("role", "application");
  pad.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab wants the arrow keys too
  Object.assign(pad.style, { width: `${width}px`, height: `${height}px` });
  const picture = pad.appendChild(document.createElement("img"));
  picture.alt = "";
  picture.draggable = false;
  const svg = pad.appendChild(document.createElementNS(SVG, "svg"));
  const line = svg.appendChild(document.createElementNS(SVG, "polyline"));
  const point = pad.appendChild(document.createElement("div"));
  point.className = "gen-pad-point";

  let here = { x: model.get("x"), y: model.get("y") };
  let dragging = false, frame = 0;

  const clamp = (v) => Math.min(1, Math.max(0, v));
  const [across, up] = model.get("steps"); // the point moves on the grid of the sliders beside it
  const grid = (v, n) => clamp(Math.round(v * n) / n);
  const place = () => {
    point.style.left = `${here.x * width}px`;
    point.style.top = `${(1 - here.y) * height}px`;
  };
  const move = (x, y) => {
    here = { x: grid(x, across), y: grid(y, up) };
    place();
    frame ||= requestAnimationFrame(() => { // at most one message per frame
      frame = 0;
      model.set(here);
      model.save_changes();
    });
  };
  const moveTo = (event) => {
    const box = pad.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height);
  };

  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragging = true;
    pad.setPointerCapture(event.pointerId);
    moveTo(event);
  });
  pad.addEventListener("pointermove", (event) => dragging && moveTo(event));
  for (const end of ["pointerup", "pointercancel"])
    pad.addEventListener(end, () => { dragging = false; });
  pad.addEventListener("keydown", (event) => {
    const stride = (n) => Math.max(1, Math.round(n / 100)) * (event.shiftKey ? 10 : 1) / n;
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    move(here.x + stride(across) * way[0], here.y + stride(up) * way[1]);
  });

  const follow = () => {
    if (dragging || frame) return; // the hand is ahead of the kernel
    here = { x: model.get("x"), y: model.get("y") };
    place();
  };
  const name = () => pad.setAttribute("aria-label", `${model.get("label")} ${model.get("words")}`);
  const trace = () => line.setAttribute("points",
    model.get("path").map(([x, y]) => `${x * width},${(1 - y) * height}`).join(" "));
  let url = "";
  const paint = () => {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("background")], { type: "image/png" }));
    picture.src = url;
  };
  model.on("change:x change:y", follow);
  model.on("change:label change:words", name);
  model.on("change:path", trace);
  model.on("change:background", paint);
  [place, name, trace, paint].forEach((f) => f());
  el.appendChild(pad);
  return () => {
    cancelAnimationFrame(frame);
    URL.revokeObjectURL(url);
  };
}

export default { render };
