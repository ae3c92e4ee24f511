// Order of search results: lessons, then the other pages, then the modules. Sphinx's own scores, shifted by the kind of page.
var Scorer = {
  score: ([docname, title, anchor, description, score]) => {
    if (docname.startsWith("lessons/solutions/")) return score - 20;
    if (docname.startsWith("lessons/")) return score + 8;
    return docname.startsWith("reference/") || docname === "api" ? score - 40 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
