// Run B against run A: a word for each figure and for the whole, how far each shifted, and both distributions.

import { get } from "../app/api.js";
import { button, card, el, fill, heading, href, link, table } from "../app/dom.js";
import { money, rate, seconds, share, words } from "../app/format.js";
import { problemNotice } from "../app/notices.js";
import { traceTail } from "../run/distribution.js";
import { judged } from "../run/judgement.js";
import { Plot } from "../run/plot.js";
import { readHistogram } from "../run/points.js";
import { logarithmic } from "../run/scales.js";

const ABSOLUTE = "failure_ratio";
const LEAST_SHARE = 0.0005;
const MEANING = {
  same: "Every figure of B is within the tolerance of A.",
  better: "B is better than A by more than the tolerance, and in no figure worse.",
  worse: "B is worse than A by more than the tolerance.",
  inconclusive: "The runs do not decide it: a difference within the tolerance and one beyond it are both possible.",
};

export async function show({ main, args: [a, b], query, signal, setTitle }) {
  const { runs } = await get("benchmark/runs", { signal, query: { limit: "100" } });
  const answer = el("div", { class: "stack" });
  fill(main, heading("Compare two runs"), drawChoice(runs.filter(({ verdict }) => verdict), a, b), answer);
  if (!a || !b) return fill(answer, el("p", { class: "empty" }, runs.length > 1 ? "Choose two runs." : "There are no two runs yet that could be compared."));
  setTitle("Comparison");
  fill(answer, el("p", { class: "empty", role: "status" }, "Comparing: a large run takes some seconds."));
  return compare(answer, { a, b, tolerance: query.get("tolerance"), anyway: query.get("anyway") }, signal);
}

async function compare(answer, query, signal) {
  try {
    const [found, ...series] = await Promise.all([get("benchmark/compare", { query, signal }), ...[query.a, query.b].map((id) => readSeries(id, signal))]);
    fill(answer, drawAnswer(found, query));
    answer.comparison = found;
    drawTails(answer, series, signal);
  } catch (problem) {
    if (signal.aborted) return;
    fill(answer, problemNotice(problem, () => compare(answer, query, signal)));
  }
}

/** A comparison without its curves is better than none. */
const readSeries = (id, signal) => get(`benchmark/runs/${encodeURIComponent(id)}/series`, { signal }).catch(() => null);

function drawChoice(runs, a, b) {
  const go = (left, right) => { location.hash = right ? href("compare", left, right) : href("compare", left); };
  const choose = (name, chosen, change) => {
    const known = runs.some(({ benchmark_id: id }) => id === chosen);
    const select = el("select", { id: `run-${name}`, onchange: () => change(select.value) },
      el("option", { value: "", selected: !chosen }, "choose a run"), chosen && !known && el("option", { value: chosen, selected: true }, chosen),
      runs.map((run) => el("option", { value: run.benchmark_id, selected: run.benchmark_id === chosen }, nameOf(run))));
    return el("div", { class: "field" }, el("label", { for: select.id }, name === "a" ? "A, to compare with" : "B, which is judged"), select);
  };
  return el("section", { class: "card choice" }, choose("a", a, (id) => go(id, b)), choose("b", b, (id) => (a ? go(a, id) : go(id))),
    button("Swap", () => go(b, a), { disabled: !a || !b }));
}

const nameOf = ({ label, benchmark_id: id, throughput }) => `${label ? `${label}, ` : ""}${id}${throughput ? `, ${rate(throughput)}` : ""}`;

function drawAnswer(found, query) {
  const { word, comparable, figures, tolerance } = found;
  const named = figures.filter((each) => each.word === word).map(({ figure }) => shortName(figure));
  const why = comparable ? MEANING[word] : "The two cannot be compared: see the remarks.";
  const again = !comparable && query.anyway !== "true" && link("Judge anyway", `${href("compare", query.a, query.b)}?anyway=true`, { class: "button" });
  return [
    el("section", { class: "card stack", "data-word": word },
      el("p", {}, judged(word), " ", why, word !== "same" && comparable && named.length > 0 && ` That is so of: ${named.join(", ")}.`),
      el("p", { class: "muted small" }, "A: ", link(found.a, href("run", query.a)), ". B: ", link(found.b, href("run", query.b)), ". Tolerance ", figure("tolerance", tolerance, share), ", intervals at 95 % over all figures."), again),
    figures.length > 0 && el("section", { class: "card flush" }, tabulate(found)),
    el("div", { class: "grid charts tails" }),
    found.effect && el("p", {}, "A job of B takes longer than one of A in ", figure("effect.b_slower", found.effect.b_slower, share), ` of pairs: ${found.effect.size}.`),
    drawRemarks(found),
  ];
}

const figure = (path, value, write) => el("data", { "data-figure": path, value: value ?? "" }, write(value));
const shortName = (name) => (name === "cost_per_million" ? "cost" : words(name.replace("response_time.", "")));

/** As it is, and not turned so that up is worse: the word beside it says what is good. */
function writeShift(name, shift) {
  const sign = shift > 0 ? "+" : shift < 0 ? "−" : "";
  return `${sign}${(Math.abs(shift) * 100).toFixed(2)} ${name === ABSOLUTE ? "points" : "%"}`;
}

function writer(name, currency) {
  if (name.includes("_time")) return seconds;
  if (name === ABSOLUTE) return share;
  return name.startsWith("cost") ? (value) => money(value, currency ?? "") : rate;
}

function tabulate({ figures, currency, tolerance }) {
  const rows = figures.map((each, i) => ({ ...each, i, write: writer(each.figure, currency) }));
  const reach = findReach(figures, tolerance);
  const columns = [
    { title: "Figure", head: true, cell: ({ figure: name }) => words(name.replace(".", " ")) },
    { title: "B is", cell: ({ word }) => judged(word) },
    { title: "A", number: true, cell: ({ i, a, write }) => figure(`figures.${i}.a`, a, write) },
    { title: "B", number: true, cell: ({ i, b, write }) => figure(`figures.${i}.b`, b, write) },
    { title: "Shift", number: true, cell: ({ i, figure: name, shift }) => figure(`figures.${i}.shift`, shift, (value) => writeShift(name, value)) },
    { title: "Interval", number: true, cell: ({ i, figure: name, interval }) => (interval
      ? [figure(`figures.${i}.interval.low`, interval.low, (value) => writeShift(name, value)), " to ", figure(`figures.${i}.interval.high`, interval.high, (value) => writeShift(name, value))] : "–") },
    { title: el("span", { class: "hidden-text" }, "drawn"), cell: (row) => drawShift(row, reach, tolerance) },
  ];
  return table({ caption: "Figures", columns, rows, row: ({ word, figure: name }) => ({ "data-word": word, "data-compared": name }) });
}

/** All of the intervals, unless one that is far too wide would press the others together. */
function findReach(figures, tolerance) {
  const shifted = Math.max(3 * tolerance, 1.2 * Math.max(...figures.map(({ shift }) => Math.abs(shift))), 0.01);
  const ends = figures.flatMap(({ interval }) => (interval ? [Math.abs(interval.low), Math.abs(interval.high)] : []));
  return Math.max(shifted, Math.min(1.05 * Math.max(0, ...ends), 4 * shifted));
}

const TONES = { same: "good", better: "good", worse: "bad", inconclusive: "warn" };

/** The shift as a dot, its interval as a bar, and the tolerance as a stripe behind both. */
function drawShift({ shift, interval, word }, reach, tolerance) {
  const place = (value) => `${50 + 50 * Math.max(-1, Math.min(1, value / reach))}%`;
  const mark = (name, value) => el("i", { class: name, style: { "inset-inline-start": place(value) } });
  const stretch = (name, low, high) => el("i", { class: name, style: { "inset-inline-start": place(low), "inset-inline-end": `calc(100% - ${place(high)})` } });
  return el("span", { class: "interval", "data-tone": TONES[word], "aria-hidden": "true" },
    stretch("tolerance", -tolerance, tolerance), mark("zero", 0), interval && stretch("span", interval.low, interval.high), mark("observed", shift));
}

function drawRemarks({ reasons, notes, left_out: leftOut }) {
  const items = [...reasons, ...notes].map(({ code, detail }) => el("li", {}, el("strong", {}, words(code)), `: ${detail}`));
  const missing = leftOut.map(({ figure: name, why }) => el("li", {}, `${shortName(name)} is left out: ${why}`));
  return items.length + missing.length > 0 && card("Remarks", el("ul", { class: "findings stack" }, items, missing));
}

/** The share of jobs that took longer, of both on one pair of axes. */
function drawTails(answer, series, signal) {
  const place = answer.querySelector(".tails");
  for (const [kind, title] of [["response_time", "Response time"], ["service_time", "Service time, from the start"]]) {
    const found = series.map((each) => readHistogram(each?.histograms?.[kind]));
    if (found.some((buckets) => !buckets.length)) continue;
    const host = el("section", { class: "card", "data-chart": `tails-${kind}` });
    place.append(host);
    const plot = new Plot(host, { title, note: "The share of jobs that took longer, to the p99.9.", x: seconds, y: share, signal });
    plot.draw(overlay(found));
  }
}

/** Those that enough jobs of both support: with fewer, the greatest value says nothing of them. */
const QUANTILES = [0.5, 0.9, 0.99, 0.999];

function overlay(found) {
  const [a, b] = found.map(traceTail);
  const least = Math.min(...found.map((buckets) => quantile(buckets, 0.005)));
  const x = logarithmic(least * 0.98, Math.max(...found.map((buckets) => buckets.at(-1).high)) * 1.02);
  const rows = QUANTILES.filter((q) => found.every((buckets) => countOf(buckets) >= Math.log(0.05) / Math.log(q)))
    .map((q) => [q, ...found.map((buckets) => quantile(buckets, q))]);
  return {
    x, y: logarithmic(LEAST_SHARE, 1),
    yTicks: [[1, "all"], ...QUANTILES.map((q) => [1 - q, `p${+(q * 100).toPrecision(4)}`])],
    lines: [{ ...a, color: "series-2", label: "A" }, { ...b, color: "series-1", label: "B" }],
    dots: rows.flatMap(([q, left, right]) => [{ x: left, y: 1 - q, color: "series-2", hollow: true }, { x: right, y: 1 - q, color: "series-1" }]),
    stops: rows.map(([, , right]) => right),
    read: (i) => `p${+(rows[i][0] * 100).toPrecision(4)}: A ${seconds(rows[i][1])}, B ${seconds(rows[i][2])}, by their histograms`,
  };
}

const countOf = (buckets) => buckets.reduce((sum, { count }) => sum + count, 0);

/** The middle of the bucket in which it lies. */
function quantile(buckets, q) {
  const total = countOf(buckets);
  let rank = Math.ceil(q * total - 1e-9);
  const found = buckets.find(({ count }) => (rank -= count) <= 0) ?? buckets.at(-1);
  return (found.low + found.high) / 2;
}
