/* A pasted error message has names, shapes and numbers of its own. Sphinx's search finds the pages
   that have all words of a query; if there is none, this finds those that have most of them, where a
   word counts the more the fewer pages have it (inverse document frequency, Spärck Jones 1972). */
{
  const withAllWords = Search.performTermsSearch;
  Search.performTermsSearch = (words, excluded) => {
    const exact = withAllWords(words, excluded);
    if (exact.length || words.size < 4) return exact;
    const pages = new Map();
    for (const word of words) {
      const results = withAllWords(new Set([word]), excluded);
      const weight = Math.log(1 + Search._index.filenames.length / results.length);
      for (const result of results) {
        const page = pages.get(result[5]) ?? { result, weight: 0 };
        page.weight += weight;
        pages.set(result[5], page);
      }
    }
    const best = Math.max(...[...pages.values()].map((page) => page.weight));
    const near = [...pages.values()].filter((page) => page.weight > 0.7 * best);
    return near.map(({ result, weight }) => result.with(4, weight));
  };
}

/* What is shown of a page that was found: not its first lines, which every page has, nor definitions
   of terms; and the parts of an explanation are words apart. */
{
  const textOf = Search.htmlToText;
  const aside = ".term-definition, .page-facts, h1";
  const parts = "td, th, dt, .vg-head > *, .vg-line, .vg-made, .vg-number";
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const element of page.querySelectorAll(aside)) element.remove();
    for (const element of page.querySelectorAll(parts)) element.append(" ");
    return textOf(page.documentElement.outerHTML, anchor);
  };
}

/* The field shows what was searched for; there are no categories to select. */
{
  const field = document.querySelector("form.page-search input");
  if (field) field.value = new URLSearchParams(location.search).get("q") ?? "";
  Object.assign(Documentation.TRANSLATIONS, {
    "Your search did not match any documents. Please make sure that all words are spelled correctly and that you've selected enough categories.":
      "No page has these words. Try fewer of them, or the first line of an error message.",
  });
}
