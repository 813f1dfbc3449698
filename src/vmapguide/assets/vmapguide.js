/* Under the pointer, or in the row that has the keyboard, a variable and its other occurrences in
   the same column light up. Everything is readable without this. */
(() => {
  if (window.vmapguide) return;
  window.vmapguide = true;

  const clear = () => {
    for (const lit of document.querySelectorAll(".vg-lit")) lit.classList.remove("vg-lit");
  };

  const light = (view, column, names) => {
    const cells = column ? `td.${column} ` : "";
    for (const other of view.querySelectorAll(`${cells}[data-vg]`)) {
      if (names.has(other.dataset.vg)) other.classList.add("vg-lit");
    }
  };

  const columnOf = (element) => {
    const cell = element.closest("td");
    return cell && ["vg-one", "vg-whole"].find((name) => cell.classList.contains(name));
  };

  document.addEventListener("pointerover", (event) => {
    const variable = event.target.closest?.(".vg [data-vg]");
    clear();
    if (variable) light(variable.closest(".vg"), columnOf(variable), new Set([variable.dataset.vg]));
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target.closest?.(".vg-explain tr");
    clear();
    if (!row) return;
    for (const column of ["vg-one", "vg-whole"]) {
      const variables = row.querySelectorAll(`td.${column} [data-vg]`);
      light(row.closest(".vg"), column, new Set([...variables].map((v) => v.dataset.vg)));
    }
  });
})();
