/* Search by places. Sphinx finds pages that have all words of a query. Of titles and of the entries
   of its index it knows only how they are spelled, and it drops "if", "while" and "where". Here a
   query is compared, word by word, with every title and with every phrase that a page gives to one
   of its headings (docs/_ext/search_words.py), and leads to the heading. A word counts the more the
   fewer places have it (inverse document frequency, Spärck Jones 1972).

   This reaches into Sphinx's searchtools.js. It wraps Search._performSearch, .performTermsSearch,
   .htmlToText and .makeSearchSummary, reads Search._index (alltitles, docnames, filenames,
   indexentries, terms, titles, titleterms), and uses _orderResultsByScoreThenName, splitQuery,
   SearchResultKind, Stemmer and stopwords. A result is [page, title, anchor, description, score,
   file, kind]. tests/browser/test_search.py fails without any of these. */
{
  const stemmer = new Stemmer();
  // What the stemmer takes for different words: short forms, irregular plurals, British spelling.
  const SAME = {
    argument: "arg args",
    array: "arr arrays",
    axis: "ax axes dim dims dimension dimensions",
    cond: "conds",
    dictionary: "dict dicts",
    differ: "different difference differences",
    error: "err exception exceptions",
    fast: "faster fastest",
    function: "fn func funcs functions",
    gpu: "gpus",
    gradient: "grad grads gradients",
    hessian: "hess",
    index: "idx indexes indices",
    jacobian: "jac",
    matmul: "mm",
    matrix: "mat matrices",
    memory: "mem",
    nan: "nans",
    number: "num",
    parameter: "param params parameters",
    random: "rand",
    slow: "slower slowest slowly",
    versus: "vs",
  };
  const same = new Map();
  for (const [word, others] of Object.entries(SAME))
    for (const other of others.split(" ")) same.set(other, word);
  const stem = (word) => {
    const american = word
      .replace(/(?<=.{5}i)s(?=(e|ed|es|er|ing|ation)$)/, "z")
      .replace(/our(?=s?$)/, "or");
    return stemmer.stemWord(same.get(word) ?? american);
  };

  /* Every word of a text in all its forms: "step size" is "stepsize", too, "in_axes" "in axes". */
  const formsOf = (text) => {
    const tokens = splitQuery(text.toLowerCase());
    const plain = tokens.map((token) => token.replaceAll("_", "") || token);
    const words = plain.map((each, i) => ({ token: tokens[i], forms: new Set([stem(each)]) }));
    for (const length of [2, 3])
      for (let start = 0; start + length <= tokens.length; start++) {
        const joined = stem(plain.slice(start, start + length).join(""));
        for (const word of words.slice(start, start + length)) word.forms.add(joined);
      }
    return words;
  };

  /* All places, and in how many of them a word is. */
  let known = null;
  const learn = () => {
    const { alltitles, indexentries, titles } = Search._index;
    const places = new Map();
    const add = (text, file, anchor, isTitle) => {
      const key = `${file}#${anchor}`;
      const place = places.get(key) ?? { file, anchor, title: text, texts: [], forms: new Set() };
      if (isTitle) place.title = text;
      const words = formsOf(text);
      place.texts.push(words);
      for (const { forms } of words) for (const form of forms) place.forms.add(form);
      places.set(key, place);
    };
    for (const [text, found] of Object.entries(indexentries))
      for (const [file, anchor, isMain] of found) if (isMain) add(text, file, anchor, false);
    for (const [text, found] of Object.entries(alltitles))
      for (const [file, anchor] of found) add(text, file, anchor ?? "", true);
    const counts = new Map();
    for (const { forms } of places.values())
      for (const form of forms) counts.set(form, (counts.get(form) ?? 0) + 1);
    const rarest = Math.log(1 + places.size);
    const weigh = ({ token, forms }) => {
      const [own, ...joined] = forms;
      const count = counts.get(own) ?? Math.max(0, ...joined.map((form) => counts.get(form) ?? 0));
      const weight = count ? Math.log(1 + places.size / count) : rarest;
      return stopwords.has(token) ? weight / 4 : /^\d+$/.test(token) ? weight / 2 : weight;
    };
    for (const place of places.values()) {
      for (const words of place.texts) for (const word of words) word.weight = weigh(word);
      place.name = place.anchor ? `${titles[place.file]} > ${place.title}` : titles[place.file];
    }
    return { places, counts, weigh };
  };

  const share = (words, has) => {
    let all = 0;
    let found = 0;
    for (const word of words) {
      all += word.weight;
      if (has(word)) found += word.weight;
    }
    return all && found / all;
  };
  const meets = (one, other) => [...one.forms].some((form) => other.forms.has(form));

  /* The words of a query. One that no place has may be the beginning of one that some have. */
  const read = (query) => {
    const words = formsOf(query);
    for (const word of words) {
      const unknown = [...word.forms].every((form) => !known.counts.has(form));
      const start = word.token.slice(0, Math.max(6, Math.ceil(0.7 * word.token.length)));
      if (unknown && start.length >= 6)
        for (const form of known.counts.keys()) if (form.startsWith(start)) word.forms.add(form);
      word.weight = known.weigh(word);
    }
    return words;
  };

  const onPage = (file) => {
    const { terms, titleterms } = Search._index;
    return ({ token, forms }) =>
      [stemmer.stemWord(token), ...forms].some((form) =>
        [terms, titleterms].some(
          (index) => Object.hasOwn(index, form) && [index[form]].flat().includes(file),
        ),
      );
  };

  /* From 0 to 1: how much of the query is in one phrase of the place, how much of that phrase is in
     the query, and what of the rest is in another phrase or elsewhere on the page. */
  const rate = (words, place) => {
    const elsewhere = onPage(place.file);
    let best = 0;
    for (const text of place.texts) {
      const inText = (word) => text.some((other) => meets(word, other));
      const found = share(words, inText);
      if (found === 0) continue;
      const used = share(text, (word) => words.some((other) => meets(word, other)));
      const near = share(words, (word) => !inText(word) && meets(word, place));
      const far = share(words, (word) => !inText(word) && !meets(word, place) && elsewhere(word));
      best = Math.max(best, found * (0.65 + 0.35 * used) + 0.55 * near + 0.25 * far);
    }
    return best;
  };

  const withAllWords = Search.performTermsSearch;
  Search.performTermsSearch = (words, excluded) => {
    const exact = withAllWords(words, excluded);
    if (exact.length || words.size < 2) return exact;
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

  const bySphinx = Search._performSearch;
  Search._performSearch = (query, ...parsed) => {
    known ??= learn();
    const { docnames, filenames } = Search._index;
    const words = read(query);
    const rated = [...known.places.values()].map((place) => ({ place, score: rate(words, place) }));
    const enough = Math.max(0.2, 0.6 * Math.max(...rated.map(({ score }) => score)));
    rated.sort((one, other) => other.score - one.score);
    const shown = rated.slice(0, 12).filter(({ score }) => score >= enough);
    const results = shown.map(({ place: { file, anchor, name }, score }) => [
      docnames[file],
      name,
      anchor && `#${anchor}`,
      null,
      score,
      filenames[file],
      SearchResultKind.title,
    ]);
    const links = new Set(results.map(([page, , anchor]) => page + anchor));
    const last = query.trim().toLowerCase().split(".").at(-1);
    for (const result of bySphinx(query, ...parsed)) {
      const [page, name, anchor, , , , kind] = result;
      if (links.has(page + anchor)) continue;
      let score = 0.1;
      if (kind === SearchResultKind.text)
        score = 0.42 * share(words, onPage(docnames.indexOf(page)));
      if (kind === SearchResultKind.object) {
        const own = name.toLowerCase().split(".").at(-1);
        score = own === last ? 0.97 : own.includes(last) ? 0.3 : 0;
      }
      // Not a page that only has a longer word with this one in it, "change" for "hang", nor a name
      // for the sake of the package's.
      if (score > 0 || !shown.length) results.push(result.with(4, score));
    }
    return results.sort(_orderResultsByScoreThenName); // It shows the last one first.
  };
}

/* What is shown of a page that was found: not its first lines, which every page has, nor definitions
   of terms; and the parts of an explanation are words apart. Of a place on it, not its heading again,
   and of a term what it means. */
{
  const textOf = Search.htmlToText;
  const aside = ".term-definition, .page-facts, h1";
  const parts = "td, th, dt, .vg-head > *, .vg-line, .vg-made, .vg-number";
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const element of page.querySelectorAll(aside)) element.remove();
    for (const element of page.querySelectorAll(parts)) element.append(" ");
    const place = anchor ? page.getElementById(anchor.slice(1)) : null;
    place?.querySelector(":scope > :is(h2, h3)")?.remove();
    if (place?.localName === "dt") place.append(place.nextElementSibling.textContent);
    return textOf(page.documentElement.outerHTML, anchor);
  };
  // Without any of the words in a text, Sphinx begins it with an ellipsis.
  const summaryOf = Search.makeSearchSummary;
  Search.makeSearchSummary = (html, words, anchor) => summaryOf(html, ["", ...words], anchor);
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
