// A picture in patches that a click or a key switches. Synced: value, the sorted numbers that are on.
function render({ model, el }) {
  const rows = model.get("rows"), columns = model.get("columns");
  const [on, off] = model.get("words").split(",");
  const grid = document.createElement("div");
  grid.className = "gen-patches";
  grid.setAttribute("role", "grid");
  grid.setAttribute("aria-label", model.get("label"));
  Object.assign(grid.style, { width: `${model.get("width")}px`, height: `${model.get("height")}px` });
  const picture = grid.appendChild(document.createElement("img"));
  picture.alt = "";
  picture.draggable = false;

  let current = 0; // the one patch that Tab reaches; the arrow keys lead to the others
  const cells = [];
  for (let row = 0; row < rows; row++) {
    const line = grid.appendChild(document.createElement("div"));
    line.setAttribute("role", "row");
    for (let column = 0; column < columns; column++) {
      const cell = line.appendChild(document.createElement("button"));
      cell.setAttribute("role", "gridcell");
      cell.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab wants the arrow keys too
      cell.addEventListener("click", () => toggle(cells.indexOf(cell)));
      cells.push(cell);
    }
  }

  const name = () => {
    const value = new Set(model.get("value"));
    cells.forEach((cell, n) => {
      const place = `row ${Math.floor(n / columns) + 1}, column ${(n % columns) + 1}`;
      cell.setAttribute("aria-label", `${place}: ${value.has(n) ? on : off}`);
      cell.tabIndex = n === current ? 0 : -1;
    });
  };
  const reach = (n) => {
    current = n;
    name();
    cells[n].focus({ preventScroll: true });
  };
  const toggle = (n) => {
    const value = new Set(model.get("value"));
    value.delete(n) || value.add(n);
    model.set("value", [...value].sort((a, b) => a - b));
    model.save_changes();
    reach(n);
  };
  grid.addEventListener("keydown", (event) => {
    const row = Math.floor(current / columns), column = current % columns;
    const next = {
      ArrowLeft: column > 0 && current - 1,
      ArrowRight: column < columns - 1 && current + 1,
      ArrowUp: row > 0 && current - columns,
      ArrowDown: row < rows - 1 && current + columns,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (next !== false) reach(next);
  });

  let url = "";
  const paint = () => {
    URL.revokeObjectURL(url);
    url = URL.createObjectURL(new Blob([model.get("background")], { type: "image/png" }));
    picture.src = url;
  };
  model.on("change:value", name);
  model.on("change:background", paint);
  name();
  paint();
  el.appendChild(grid);
  return () => URL.revokeObjectURL(url);
}

export default { render };
