// Run B against run A: a word for each figure and for the whole, how far each shifted, and both distributions.

import { get } from "../app/api.js";
import { button, card, el, fill, heading, href, link } from "../app/dom.js";
import { rate, share, words } from "../app/format.js";
import { problemNotice } from "../app/notices.js";
import { judged } from "../run/judgement.js";
import { shown as figure } from "../run/slots.js";
import { tabulate } from "./shifts.js";
import { drawTails } from "./tails.js";

const MEANING = {
  same: "Every figure of B is within the tolerance of A.",
  better: "B is better than A by more than the tolerance, and in no figure worse.",
  worse: "B is worse than A by more than the tolerance.",
  inconclusive: "The runs do not decide it: a difference within the tolerance and one beyond it are both possible.",
};

export async function show({ main, args: [a, b], query, signal, setTitle }) {
  const { runs } = await get("benchmark/runs", { signal, query: { limit: "100" } });
  const answer = el("div", { class: "stack" });
  fill(
    main,
    heading("Compare two runs"),
    drawChoice(
      runs.filter(({ verdict }) => verdict),
      a,
      b,
    ),
    answer,
  );
  if (!a || !b)
    return fill(
      answer,
      el(
        "p",
        { class: "empty" },
        runs.length > 1 ? "Choose two runs." : "There are no two runs yet that could be compared.",
      ),
    );
  setTitle("Comparison");
  fill(answer, el("p", { class: "empty", role: "status" }, "Comparing: a large run takes some seconds."));
  return compare(answer, { a, b, tolerance: query.get("tolerance"), anyway: query.get("anyway") }, signal);
}

async function compare(answer, query, signal) {
  try {
    const [found, ...series] = await Promise.all([
      get("benchmark/compare", { query, signal }),
      ...[query.a, query.b].map((id) => readSeries(id, signal)),
    ]);
    fill(answer, drawAnswer(found, query));
    answer.comparison = found;
    drawTails(answer, series, signal);
  } catch (problem) {
    if (signal.aborted) return;
    fill(
      answer,
      problemNotice(problem, () => compare(answer, query, signal)),
    );
  }
}

/** A comparison without its curves is better than none. */
const readSeries = (id, signal) => get(`benchmark/runs/${encodeURIComponent(id)}/series`, { signal }).catch(() => null);

function drawChoice(runs, a, b) {
  const go = (left, right) => {
    location.hash = right ? href("compare", left, right) : href("compare", left);
  };
  const choose = (name, chosen, change) => {
    const known = runs.some(({ benchmark_id: id }) => id === chosen);
    const select = el(
      "select",
      { id: `run-${name}`, onchange: () => change(select.value) },
      el("option", { value: "", selected: !chosen }, "choose a run"),
      chosen && !known && el("option", { value: chosen, selected: true }, chosen),
      runs.map((run) => el("option", { value: run.benchmark_id, selected: run.benchmark_id === chosen }, nameOf(run))),
    );
    return el(
      "div",
      { class: "field" },
      el("label", { for: select.id }, name === "a" ? "A, to compare with" : "B, which is judged"),
      select,
    );
  };
  return el(
    "section",
    { class: "card choice" },
    choose("a", a, (id) => go(id, b)),
    choose("b", b, (id) => (a ? go(a, id) : go(id))),
    button("Swap", () => go(b, a), { disabled: !a || !b }),
  );
}

const nameOf = ({ label, benchmark_id: id, throughput }) =>
  `${label ? `${label}, ` : ""}${id}${throughput ? `, ${rate(throughput)}` : ""}`;

function drawAnswer(found, query) {
  const { word, comparable, figures, tolerance } = found;
  const named = figures.filter((each) => each.word === word).map(({ figure }) => shortName(figure));
  const why = comparable ? MEANING[word] : "The two cannot be compared: see the remarks.";
  const again =
    !comparable &&
    query.anyway !== "true" &&
    link("Judge anyway", `${href("compare", query.a, query.b)}?anyway=true`, { class: "button" });
  return [
    el(
      "section",
      { class: "card stack", "data-word": word },
      el(
        "p",
        {},
        judged(word),
        " ",
        why,
        word !== "same" && comparable && named.length > 0 && ` That is so of: ${named.join(", ")}.`,
      ),
      el(
        "p",
        { class: "muted small" },
        "A: ",
        link(found.a, href("run", query.a)),
        ". B: ",
        link(found.b, href("run", query.b)),
        ". Tolerance ",
        figure("tolerance", tolerance, share),
        ", intervals at 95 % over all figures.",
      ),
      again,
    ),
    figures.length > 0 && el("section", { class: "card flush" }, tabulate(found)),
    el("div", { class: "grid charts tails" }),
    found.effect &&
      el(
        "p",
        {},
        "A job of B takes longer than one of A in ",
        figure("effect.b_slower", found.effect.b_slower, share),
        ` of pairs: ${found.effect.size}.`,
      ),
    drawRemarks(found),
  ];
}

const shortName = (name) => (name === "cost_per_million" ? "cost" : words(name.replace("response_time.", "")));

function drawRemarks({ reasons, notes, left_out: leftOut }) {
  const items = [...reasons, ...notes].map(({ code, detail }) => el("li", {}, el("strong", {}, words(code)), `: ${detail}`));
  const missing = leftOut.map(({ figure: name, why }) => el("li", {}, `${shortName(name)} is left out: ${why}`));
  return items.length + missing.length > 0 && card("Remarks", el("ul", { class: "findings stack" }, items, missing));
}
