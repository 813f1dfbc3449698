/* What scrolls sideways can be reached and scrolled with the keyboard; what does not is no stop. */
(() => {
  const stops = () => {
    for (const block of document.querySelectorAll("pre, .table-wrapper, .math")) {
      if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
      else block.removeAttribute("tabindex");
    }
  };
  window.addEventListener("load", stops);
  window.addEventListener("resize", stops);
  document.addEventListener("toggle", stops, true);
})();

/* Escape takes the definition of a term away, until the term is left. */
(() => {
  const open = ".term:is(:hover, :focus-within)";
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const term of document.querySelectorAll(open)) term.classList.add("dismissed");
  });
  for (const left of ["pointerout", "focusout"])
    document.addEventListener(left, (event) => {
      const term = event.target.closest(".term.dismissed");
      if (term && !term.contains(event.relatedTarget)) term.classList.remove("dismissed");
    });
})();
