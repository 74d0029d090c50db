// What each slide shows with all its steps, as JSON: a list of objects, one for each slide.
async () => {
  const round = value => Math.round(10 * value) / 10;

  // Letters of text, and the base letters of formulas, which are drawn at 24 units.
  function letters(slide) {
    const found = [];
    for (const part of slide.querySelectorAll("*")) {
      if (part.closest("aside")) continue;
      if (part.matches("svg[role=img]")) {
        const [, , width, height] = part.getAttribute("viewBox").split(" ").map(Number);
        const box = part.getBoundingClientRect();
        found.push([round(24 * Math.min(box.width / width, box.height / height)), part.getAttribute("aria-label")]);
      } else if (!part.closest("svg") && [...part.childNodes].some(n => n.nodeType === 3 && n.data.trim())) {
        found.push([round(parseFloat(getComputedStyle(part).fontSize)), part.textContent.trim().slice(0, 40)]);
      }
    }
    return found.sort((a, b) => a[0] - b[0]);
  }

  // What sticks out of the page, or out of its place above the foot.
  function beyond(slide) {
    const foot = slide.querySelector(".foot")?.getBoundingClientRect();
    const bottom = foot ? foot.top + 0.5 : innerHeight;
    return [...slide.querySelectorAll(".page *")].filter(part => {
      if (part.closest(".foot") || (part.closest("svg") && !part.matches("svg"))) return false;
      const box = part.getBoundingClientRect();
      return box.width && (box.left < 0 || box.top < 0 || box.right > innerWidth + 0.5 || box.bottom > bottom);
    }).map(part => `${part.tagName} ${part.textContent.slice(0, 40)}`);
  }

  // Parts that lie on one another.
  function onOneAnother(slide) {
    const parts = [...slide.querySelectorAll(".body > *"), slide.querySelector("h2")].filter(Boolean);
    const boxes = parts.map(part => part.getBoundingClientRect());
    return boxes.some((a, i) => boxes.slice(i + 1).some(b =>
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1 && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1));
  }

  // The text of a slide without its code and its foot.
  function text(slide) {
    const copy = slide.querySelector(".page").cloneNode(true);
    copy.querySelectorAll("svg, pre, .foot").forEach(part => part.replaceWith(" "));
    return copy.textContent;
  }

  const found = [];
  for (const slide of Reveal.getSlides()) {
    const {h, v} = Reveal.getIndices(slide);
    Reveal.slide(h, v, 99);
    await new Promise(done => requestAnimationFrame(done));
    const pictures = [...slide.querySelectorAll("img")].filter(picture => picture.offsetParent);
    await Promise.all(pictures.map(picture => picture.decode().catch(() => null)));
    const small = letters(slide);
    found.push({
      title: (slide.querySelector("h1, h2") ?? slide).textContent.trim(),
      kind: slide.querySelector(".page").className,
      words: text(slide).split(/\s+/).filter(word => /[\p{L}\p{N}_]/u.test(word)).length,
      letter: small.length ? small[0] : [Infinity, ""],
      beyond: beyond(slide),
      over: onOneAnother(slide),
      loaded: pictures.every(picture => picture.complete && picture.naturalWidth),
      texts: pictures.map(picture => picture.alt),
      rooms: pictures.map(p => Math.max(p.clientWidth / innerWidth, p.clientHeight / innerHeight)),
      formulas: slide.querySelectorAll(".page svg[role=img]").length,
      fragments: slide.querySelectorAll(".fragment").length,
      notes: slide.querySelector("aside.notes")?.textContent.trim() ?? "",
      text: text(slide),
      seconds: Number(slide.dataset.timing ?? 0),
    });
  }
  return JSON.stringify(found);
}
