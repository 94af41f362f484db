// Pictures of prices: the frontier of what was tried, and what other rates would cost.

import { money, rate, seconds } from "../app/format.js";
import { linear, logarithmic } from "../run/scales.js";
import { writeValue } from "./trials.js";

/** The points of a model that have a price. */
export function readCurve({ model, points }) {
  const known = points.filter(({ rate: at, per_million_good: price }) => price !== null && at > 0);
  return {
    label: model,
    xs: known.map(({ rate: at }) => at),
    ys: known.map(({ per_million_good: price }) => Number(price)),
  };
}

/** From 0, or by powers of ten where one model costs many times as much as another. */
function priceScale(prices) {
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  return low > 0 && high / low > 12 ? logarithmic(low / 1.3, high * 1.3) : linear(0, high * 1.1);
}

/** What was tried: its p99, and the price of a million good jobs there. */
export function describeFrontier(points, { variable, costs }) {
  const models = [...new Set(points.map(({ model }) => model))];
  const prices = points.map(({ per_million_good: price }) => Number(price)),
    times = points.map(({ p99 }) => p99);
  const sorted = points.toSorted((a, b) => a.p99 - b.p99);
  const unitOf = (model) => costs.find((cost) => cost.model === model)?.currency ?? "USD";
  const color = (model) => `series-${(models.indexOf(model) % 6) + 1}`;
  return {
    x: linear(Math.min(...times) * 0.95, Math.max(...times) * 1.05),
    y: priceScale(prices),
    lines: models.map((model) => ({ xs: [], ys: [], color: color(model), label: model })),
    dots: points.map(({ p99, per_million_good: price, dominated, model }) => ({
      x: p99,
      y: Number(price),
      color: color(model),
      hollow: dominated,
    })),
    table: [times, prices],
    stops: sorted.map(({ p99 }) => p99),
    read: (i) => {
      const { model, value, p99, per_million_good: price } = sorted[i];
      const paid = money(Number(price), unitOf(model));
      return `${model} at ${writeValue(variable, value)}: p99 ${seconds(p99)}, ${paid} per million good`;
    },
  };
}

/** What a million good jobs cost at other rates. */
export function describePrices(curves, { value, variable, curves: [{ currency }] }) {
  const xs = curves.flatMap((curve) => curve.xs);
  const longest = curves.reduce((best, each) => (each.xs.length > best.xs.length ? each : best));
  const x = logarithmic(Math.min(...xs), Math.max(...xs));
  return {
    x,
    y: priceScale(curves.flatMap(({ ys }) => ys)),
    lines: curves.map((curve, i) => ({ ...curve, color: `series-${(i % 6) + 1}` })),
    rules: variable === "rate" && value > x.low && value < x.high ? [{ x: value, label: "one system", tone: "soft" }] : [],
    stops: longest.xs,
    read: (i) => {
      const at = longest.xs[i];
      const known = curves.filter(({ xs: each }) => each.includes(at));
      const told = known.map(({ label, xs: each, ys }) => `${label} ${money(ys[each.indexOf(at)], currency)}`);
      return `${rate(at)}: ${told.join(", ")}`;
    },
  };
}
