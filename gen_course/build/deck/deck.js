// Start reveal.js; the style sheet does the rest.
const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
const printed = /print-pdf/.test(location.search);
const toggle = on => root.classList.toggle("dark", on && !printed);
toggle(dark.matches);
dark.addEventListener("change", event => toggle(event.matches));

// A film begins when its slide is shown.
function begin({currentSlide}) {
  for (const film of currentSlide.querySelectorAll("img.moving")) {
    const source = film.src;
    film.src = "";
    film.src = source;
  }
}

Reveal.on("slidechanged", begin);
Reveal.initialize({
  width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true,
  transition: "none", backgroundTransition: "none", navigationMode: "linear", controls: false,
  slideNumber: "c/t", help: true, pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
  viewDistance: 2, plugins: [RevealNotes], ...(TIMED ? {defaultTiming: 0} : {}),
  keyboard: {68: () => toggle(!root.classList.contains("dark"))},
});
