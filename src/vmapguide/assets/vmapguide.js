/* Under the pointer, or in the row that has the keyboard, a variable and all that bears its name in
   the same view light up: in both columns of an explanation a name means one value. Everything is
   readable without this. */
(() => {
  if (window.vmapguide) return;
  window.vmapguide = true;

  const light = (element, variables) => {
    for (const lit of document.querySelectorAll(".vg-lit")) lit.classList.remove("vg-lit");
    if (!element) return;
    const names = new Set([...variables].map((variable) => variable.dataset.vg));
    for (const other of element.closest(".vg").querySelectorAll("[data-vg]")) {
      if (names.has(other.dataset.vg)) other.classList.add("vg-lit");
    }
  };

  document.addEventListener("pointerover", (event) => {
    const variable = event.target.closest?.(".vg [data-vg]");
    light(variable, [variable]);
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".vg-explain tr");
    light(row, row?.querySelectorAll("[data-vg]"));
  });
})();
