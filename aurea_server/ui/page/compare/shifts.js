// How far each figure has shifted: a table, with each shift drawn on one axis.

import { el, table } from "../app/dom.js";
import { money, rate, seconds, share, words } from "../app/format.js";
import { judged } from "../run/judgement.js";
import { shown as figure } from "../run/slots.js";

const ABSOLUTE = "failure_ratio";

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

/** A row for each figure. */
export function tabulate({ figures, currency, tolerance }) {
  const rows = figures.map((each, i) => ({ ...each, i, write: writer(each.figure, currency) }));
  const reach = findReach(figures, tolerance);
  const columns = [
    { title: "Figure", head: true, cell: ({ figure: name }) => words(name.replace(".", " ")) },
    { title: "B is", cell: ({ word }) => judged(word) },
    { title: "A", number: true, cell: ({ i, a, write }) => figure(`figures.${i}.a`, a, write) },
    { title: "B", number: true, cell: ({ i, b, write }) => figure(`figures.${i}.b`, b, write) },
    {
      title: "Shift",
      number: true,
      cell: ({ i, figure: name, shift }) => figure(`figures.${i}.shift`, shift, (value) => writeShift(name, value)),
    },
    {
      title: "Interval",
      number: true,
      cell: ({ i, figure: name, interval }) =>
        interval
          ? [
              figure(`figures.${i}.interval.low`, interval.low, (value) => writeShift(name, value)),
              " to ",
              figure(`figures.${i}.interval.high`, interval.high, (value) => writeShift(name, value)),
            ]
          : "–",
    },
    { title: el("span", { class: "hidden-text" }, "drawn"), cell: (row) => drawShift(row, reach, tolerance) },
  ];
  return table({
    caption: "Figures",
    columns,
    rows,
    row: ({ word, figure: name }) => ({ "data-word": word, "data-compared": name }),
  });
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
  const stretch = (name, low, high) =>
    el("i", { class: name, style: { "inset-inline-start": place(low), "inset-inline-end": `calc(100% - ${place(high)})` } });
  return el(
    "span",
    { class: "interval", "data-tone": TONES[word], "aria-hidden": "true" },
    stretch("tolerance", -tolerance, tolerance),
    mark("zero", 0),
    interval && stretch("span", interval.low, interval.high),
    mark("observed", shift),
  );
}
