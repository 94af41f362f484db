// How response times are distributed: bars on a logarithmic axis, and the share of jobs that took longer, to the p99.9.

import { card, el } from "../app/dom.js";
import { number, seconds } from "../app/format.js";
import { Plot } from "./plot.js";
import { readHistogram, sumHeat } from "./points.js";
import { linear, logarithmic } from "./scales.js";

const MOST_BARS = 64;
/** The share of jobs that may be too short for the axis: a few very short ones would take most of it. */
const SHORTEST = 0.005;
/** Where a picture of a tail ends: a little beyond the p99.9. */
export const LEAST_SHARE = 0.0005;
const QUANTILES = [
  ["p50", 0.5],
  ["p90", 0.9],
  ["p99", 0.99],
  ["p999", 0.999],
];
const percent = (share) => `${+(100 * share).toPrecision(3)} %`;

export class Distribution {
  constructor(host, signal) {
    const [bars, tail] = [el("div"), el("div")];
    this.cards = [card(null, bars), card(null, tail)];
    this.cards[0].dataset.chart = "distribution";
    this.cards[1].dataset.chart = "tail";
    host.append(...this.cards);
    this.bars = new Plot(bars, {
      title: "Distribution of response times",
      note: "Share of the completed jobs by response time.",
      x: seconds,
      y: percent,
      signal,
    });
    this.tail = new Plot(tail, {
      title: "Tail",
      note: "The share of jobs that took longer, to the p99.9.",
      x: seconds,
      y: percent,
      signal,
    });
    this.hide();
  }

  hide() {
    for (const each of this.cards) each.hidden = true;
  }

  /** By the histograms of a run that has ended; while it is on, by what the map has so far. */
  update(run, points) {
    const histogram = readHistogram(points.histograms.response_time);
    const buckets = histogram.length ? histogram : sumHeat(points);
    const total = buckets.reduce((sum, { count }) => sum + count, 0);
    if (!total) return this.hide();
    for (const each of this.cards) each.hidden = false;
    const kept = withoutShortest(buckets, total);
    const middle = Math.sqrt(kept[0].low * kept.at(-1).high);
    // Times that are all alike would make an axis without a length.
    const x = logarithmic(Math.min(kept[0].low, middle / 1.3), Math.max(kept.at(-1).high, middle * 1.3));
    this.bars.draw(describeBars(run, kept, total, x));
    this.tail.draw(describeTail(run, points, buckets, total, x));
    return undefined;
  }
}

function withoutShortest(buckets, total) {
  let below = 0;
  const least = buckets.find(({ count }) => (below += count) >= SHORTEST * total).low;
  return buckets.filter(({ low, high }) => low >= least && high > buckets.at(-1).high / 1e5);
}

/** At most `MOST_BARS` bars of equal width; edges of bars are edges of buckets, so counts are exact. */
export function gatherBars(buckets) {
  const [low, high] = [buckets[0].low, buckets.at(-1).high];
  // No narrower than a bucket: the bars of times that are nearly alike would be told a fraction of their share.
  const step = Math.max(Math.log(high / low) / MOST_BARS, Math.log(buckets[0].high / buckets[0].low));
  const bars = [];
  for (const each of buckets) {
    const cell = Math.floor(Math.log(Math.sqrt(each.low * each.high) / low) / step);
    const last = bars.at(-1);
    if (last?.cell === cell) Object.assign(last, { high: each.high, count: last.count + each.count });
    else bars.push({ ...each, cell });
  }
  // As wide as its cell, or as its only bucket, which may be wider: the area of a bar is its share.
  return bars.map((bar) => ({
    ...bar,
    left: Math.min(bar.low, low * Math.exp(step * bar.cell)),
    right: Math.max(bar.high, low * Math.exp(step * (bar.cell + 1))),
    step,
  }));
}

function describeBars(run, buckets, total, x) {
  const bars = gatherBars(buckets).map((bar) => ({
    ...bar,
    y: ((bar.count / total) * bar.step) / Math.log(bar.right / bar.left),
  }));
  const y = linear(0, Math.max(...bars.map((bar) => bar.y)) * 1.08);
  const rules = QUANTILES.filter(([name]) => ["p50", "p99"].includes(name) && run.response_time?.[name]).map(([name]) => ({
    x: run.response_time[name],
    label: name,
    tone: "soft",
  }));
  return {
    x,
    y,
    rules: [...rules, ...boundRules(run, x)],
    bars: bars.map(({ left, right, y: height }) => ({ low: left, high: right, y: height })),
    table: ["low", "high", "count"].map((name) => bars.map((bar) => bar[name])),
    stops: bars.map(({ left, right }) => Math.sqrt(left * right)),
    read: (i) => `${seconds(bars[i].low)} to ${seconds(bars[i].high)}: ${number(bars[i].count)} of ${number(total)} jobs`,
  };
}

const boundRules = ({ spec }, x) =>
  (spec?.objectives ?? [])
    .filter(({ metric, at_most: most }) => metric === "response_time" && most > x.low && most < x.high)
    .map(({ at_most: most }) => ({ x: most, label: `≤ ${seconds(most)}`, tone: "bad" }));

/** Points of the tail: where it stands after each bucket, and where it begins to fall. */
export function traceTail(buckets) {
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  const xs = [],
    ys = [];
  let above = total;
  for (const { low, high, count } of buckets) {
    if (!xs.length || low > xs.at(-1) * (1 + 1e-9)) {
      xs.push(low);
      ys.push(Math.max(above / total, LEAST_SHARE));
    }
    above -= count;
    xs.push(high);
    ys.push(Math.max(above / total, LEAST_SHARE));
    if (above / total < LEAST_SHARE) break;
  }
  return { xs, ys };
}

function describeTail(run, points, buckets, total, x) {
  const y = logarithmic(LEAST_SHARE, 1);
  const { theory } = points;
  const service = readHistogram(points.histograms.service_time);
  const response = traceTail(buckets);
  const lines = [];
  if (theory)
    lines.push({ xs: theory.times, ys: theory.shares, color: "series-6", wide: true, label: `theory, ${theory.model}` });
  if (service.length) lines.push({ ...traceTail(service), color: "series-3", label: "service time, from the start" });
  lines.push({ ...response, color: "series-1", label: "response time" });
  const dots = QUANTILES.filter(([name]) => run.response_time?.[name] > 0).map(([name, q]) => ({
    x: run.response_time[name],
    y: 1 - q,
    color: "series-1",
    label: seconds(run.response_time[name]),
  }));
  const yTicks = [[1, "all"], ...QUANTILES.map(([, q]) => [1 - q, `p${+(q * 100).toPrecision(4)}`])];
  return {
    x,
    y,
    yTicks,
    lines,
    dots,
    stops: response.xs,
    read: (i) => `${percent(response.ys[i])} took longer than ${seconds(response.xs[i])}`,
  };
}
