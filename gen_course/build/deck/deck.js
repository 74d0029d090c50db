// Fill the pages of each cell: a block that does not fit goes to the next page.
const LIMIT = 676, WIDTH = 1160, LEAST_TEXT = 17;

function full(page) {
  return page.getBoundingClientRect().height > LIMIT;
}

// The parts of a block that may stand on two pages: lines, rows, items.
function parts(block) {
  const inner = block.querySelector("tbody") ?? block;
  return /^(TABLE|PRE|UL|OL)$/.test(block.tagName) ? [...inner.children] : [];
}

function divide(page, next, block) {
  const rest = block.cloneNode(true);
  const [mine, theirs] = [parts(block), parts(rest)];
  let kept = mine.length;
  while (full(page) && kept > 1) mine[--kept].remove();
  if (block.tagName === "PRE") {  // between two paragraphs of code, where there are some
    let blank = kept - 1;
    while (blank > kept / 2 && mine[blank].textContent.trim()) blank--;
    if (blank > kept / 2) while (kept > blank) mine[--kept].remove();
  }
  if (rest.tagName === "OL") rest.start = (block.start || 1) + kept;
  theirs.slice(0, kept).forEach(part => part.remove());
  if (parts(rest).length) next.prepend(rest);
}

function fill(page) {
  page.querySelectorAll("pre").forEach(pre => {
    let size = 20;
    while (pre.scrollWidth > WIDTH && size > LEAST_TEXT) pre.style.fontSize = `${--size}px`;
    if (pre.scrollWidth > WIDTH) pre.style.whiteSpace = "pre-wrap";
  });
  if (full(page)) page.classList.add("tight");
  if (!full(page)) return;
  page.classList.remove("tight");
  const next = page.cloneNode(false);
  const blocks = () => [...page.children].filter(block => !block.matches(".where"));
  let last = null;
  while (full(page) && blocks().length) next.prepend(last = blocks().at(-1));
  const alone = !blocks().length;
  if (alone || (last.tagName !== "PRE" && parts(last).length > 3)) {
    const whole = last.cloneNode(true);
    page.append(last);
    if (parts(last).length) divide(page, next, last);
    if (!alone && (full(page) || parts(last).length < 2)) {  // no room for more than its first line
      last.remove();
      next.firstElementChild.replaceWith(whole);
    }
  }
  while (blocks().length > 1 && blocks().at(-1).matches("h1, h2, h3, h4")) next.prepend(blocks().at(-1));
  if (!next.children.length) return;
  if (page.querySelector(".where")) next.prepend(page.querySelector(".where").cloneNode(true));
  page.after(next);
  fill(next);
}

// A picture gets at least three quarters of what it could have alone, and what the words leave.
function most(picture, height) {
  const {width: w, height: h} = picture.dataset;
  return Math.min(WIDTH / w, height / h, 2.2) * h;
}

function grow(page) {
  const pictures = [...page.querySelectorAll("img")];
  const free = (LIMIT - page.getBoundingClientRect().height) / pictures.length;
  for (const picture of pictures) {
    picture.style.height = `${Math.floor(most(picture, picture.height + free))}px`;
  }
}

addEventListener("load", async () => {
  const slides = document.querySelector(".slides");
  const measure = document.createElement("div");
  measure.className = "measure reveal";
  document.body.append(measure);
  for (const column of slides.children) {
    measure.append(...column.children);
    measure.querySelectorAll("img").forEach(picture => {
      picture.style.height = `${Math.floor(0.75 * most(picture, LIMIT - 60))}px`;
    });
    [...measure.children].forEach(fill);
    [...measure.children].forEach(grow);
    column.append(...measure.children);
  }
  measure.remove();
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true,
    transition: "none", slideNumber: "c/t", controlsTutorial: false,
  });
});
