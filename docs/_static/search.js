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
