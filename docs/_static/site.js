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
