// Both distributions on one pair of axes: the share of jobs that took longer, to the p99.9.

import { el } from "../app/dom.js";
import { seconds, share } from "../app/format.js";
import { LEAST_SHARE, traceTail } from "../run/distribution.js";
import { Plot } from "../run/plot.js";
import { readHistogram } from "../run/points.js";
import { logarithmic } from "../run/scales.js";

/** The share of jobs that took longer, of both on one pair of axes. */
export function drawTails(answer, series, signal) {
  const place = answer.querySelector(".tails");
  for (const [kind, title] of [
    ["response_time", "Response time"],
    ["service_time", "Service time, from the start"],
  ]) {
    const found = series.map((each) => readHistogram(each?.histograms?.[kind]));
    if (found.some((buckets) => !buckets.length)) continue;
    const host = el("section", { class: "card", "data-chart": `tails-${kind}` });
    place.append(host);
    const plot = new Plot(host, {
      title,
      note: "The share of jobs that took longer, to the p99.9.",
      x: seconds,
      y: share,
      signal,
    });
    plot.draw(overlay(found));
  }
}

/** Those that enough jobs of both support: with fewer, the greatest value says nothing of them. */
const QUANTILES = [0.5, 0.9, 0.99, 0.999];

function overlay(found) {
  const [a, b] = found.map(traceTail);
  const least = Math.min(...found.map((buckets) => quantile(buckets, 0.005)));
  const x = logarithmic(least * 0.98, Math.max(...found.map((buckets) => buckets.at(-1).high)) * 1.02);
  const rows = QUANTILES.filter((q) => found.every((buckets) => countOf(buckets) >= Math.log(0.05) / Math.log(q))).map(
    (q) => [q, ...found.map((buckets) => quantile(buckets, q))],
  );
  return {
    x,
    y: logarithmic(LEAST_SHARE, 1),
    yTicks: [[1, "all"], ...QUANTILES.map((q) => [1 - q, `p${+(q * 100).toPrecision(4)}`])],
    lines: [
      { ...a, color: "series-2", label: "A" },
      { ...b, color: "series-1", label: "B" },
    ],
    dots: rows.flatMap(([q, left, right]) => [
      { x: left, y: 1 - q, color: "series-2", hollow: true },
      { x: right, y: 1 - q, color: "series-1" },
    ]),
    stops: rows.map(([, , right]) => right),
    read: (i) =>
      `p${+(rows[i][0] * 100).toPrecision(4)}: A ${seconds(rows[i][1])}, B ${seconds(rows[i][2])}, by their histograms`,
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
