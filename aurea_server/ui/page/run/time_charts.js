// The charts over time, on one axis: rates, response times, jobs, the generator's lag, money.

import { timeChart } from "../app/chart.js";
import { el, fill } from "../app/dom.js";
import { money, NOTHING, number, rate, seconds } from "../app/format.js";
import { explore } from "./explore.js";

const SYNC = "run";
const RATES = [
  ["arrived", "offered", "series-6"],
  ["completed", "completed", "series-1"],
  ["failed", "failed", "series-5"],
  ["rejected", "rejected", "series-2"],
  ["abandoned", "left", "series-4"],
];

/** Which chart shows which columns. `needs`: a column without which there is none; `when`: of which runs it is. */
const CHARTS = [
  {
    name: "rates",
    title: "Jobs per second",
    format: rate,
    series: (points) =>
      RATES.filter(([column]) => ["arrived", "completed"].includes(column) || points.hasAny(column)).map(
        ([column, label, color]) => ({ label, color, column, read: (from) => from.rates(column) }),
      ),
    middle: true,
  },
  {
    name: "response-times",
    title: "Response time",
    format: seconds,
    needs: "p50",
    middle: true,
    series: (points) => [
      { label: "p99", color: "series-1" },
      { label: "p90", color: "series-3" },
      { label: "p50", color: "series-4" },
      points.has("service_p99") && { label: "p99 from the start", color: "series-6", dash: [5, 4], column: "service_p99" },
    ],
    bands: [
      [0, 1],
      [1, 2],
    ],
    lines: (run) => boundsOf(run, "response_time", seconds),
  },
  {
    name: "in-system",
    title: "In service and waiting",
    format: number,
    needs: "in_service",
    series: () => [
      { label: "in service", color: "series-1", column: "in_service" },
      { label: "waiting", color: "series-2", column: "waiting", fill: true },
    ],
    lines: ({ spec }) => (spec?.scheduler?.slots ? [{ value: spec.scheduler.slots, label: "slots", tone: "edge" }] : []),
  },
  {
    name: "in-system",
    title: "In the system",
    format: number,
    needs: "in_system",
    unless: "in_service",
    series: () => [{ label: "in the system", color: "series-1", column: "in_system" }],
  },
  {
    name: "lag",
    title: "Lag of the generator",
    format: seconds,
    needs: "lag",
    middle: true,
    when: ({ spec }) => spec?.clock !== "virtual" && spec?.workload?.arrivals?.kind !== "all_at_once",
    series: () => [{ label: "latest release", color: "series-5", column: "lag" }],
    lines: ({ spec }) => (spec?.thresholds ? [{ value: spec.thresholds.lag, label: "late from here", tone: "edge" }] : []),
    marks: true,
  },
  {
    name: "cost",
    title: "Cost",
    format: (value, run) => money(value, run.cost.currency),
    tick: number,
    needs: "cost",
    series: () => [{ label: "total", color: "series-2", column: "cost", fill: true }],
    lines: (run) => boundsOf(run, "cost", (value) => money(value, run.cost.currency)),
  },
];

function nameBound({ metric, quantile }) {
  if (quantile) return `p${+(quantile * 100).toPrecision(6)}`;
  return metric === "cost" ? "budget" : "mean";
}

const boundsOf = ({ spec }, metric, write) =>
  (spec?.objectives ?? [])
    .filter((each) => each.metric === metric && each.at_most !== null && each.at_most !== undefined)
    .map((each) => ({
      value: each.at_most,
      label: `${nameBound(each)} ≤ ${write(each.at_most)}`,
      tone: "bad",
    }));

/** Points from which on lines are thin: they would cover each other. */
const DENSE = 300;

/** Bounds far above all that was measured would press it flat: those are told beneath the chart. */
const NEAR = 4;

export class TimeCharts {
  /** `onPoint(seconds)`: where the pointer is, null where it has left. */
  constructor(host, signal, onPoint) {
    Object.assign(this, { host, signal, onPoint, charts: [], key: null });
  }

  /** Draw what `points` has. Charts are made anew only where there are others than before. */
  async update(run, points) {
    const shown = CHARTS.filter(
      (chart) =>
        (!chart.needs || points.has(chart.needs)) &&
        !(chart.unless && points.has(chart.unless)) &&
        (chart.when?.(run) ?? true),
    );
    const isDense = points.length > DENSE;
    const wanted = shown.map((chart) => ({ ...chart, lines_: chart.series(points).filter(Boolean) }));
    const key = wanted.map(({ title, lines_ }) => [title, ...lines_.map(({ label }) => label)].join()).join(";") + isDense;
    if (key !== this.key) {
      this.key = key;
      await this.make(wanted, run, key, isDense);
    }
    if (key !== this.key || this.signal.aborted) return;
    for (const each of this.charts) draw(each, run, points);
  }

  /** Show an instant that the pointer is at elsewhere: the first of them tells the others. */
  pointAt(at) {
    const plot = this.charts[0]?.chart.plot;
    const left = at === null ? -10 : plot?.valToPos(at, "x");
    plot?.setCursor({ left, top: at === null ? -10 : plot.over.clientHeight / 2 }, true, true);
  }

  async make(wanted, run, key, isDense) {
    const made = await Promise.all(wanted.map((chart) => this.makeOne(chart, run, isDense)));
    if (key !== this.key || this.signal.aborted) return;
    this.charts.forEach(({ chart }) => chart.destroy());
    this.charts = made;
    fill(
      this.host,
      made.map(({ place }) => place),
    );
  }

  async makeOne(kind, run, isDense) {
    const host = el("div", {}),
      note = el("p", { class: "muted small" });
    const place = el("section", { class: "card", "data-chart": kind.name }, host, note);
    const format = (value) => kind.format(value, run);
    const width = isDense ? 1 : undefined;
    const series = kind.lines_.map(({ label, color, dash, fill: filled }) => ({ label, color, dash, width, fill: filled }));
    const chart = await timeChart(host, {
      title: kind.title,
      format,
      tick: kind.tick,
      series,
      bands: kind.bands ?? [],
      sync: SYNC,
      signal: this.signal,
    });
    place.chart = chart;
    const write = (value) => (value === null || value === undefined ? NOTHING : format(value));
    const read = (i) =>
      [seconds(chart.data[0][i]), ...series.map(({ label }, at) => `${label} ${write(chart.data[at + 1][i])}`)].join(", ");
    explore(chart.place, {
      label: `${kind.title} over time`,
      count: () => chart.data[0].length,
      read,
      show: (i) => pointAt(chart, i),
    });
    chart.place.addEventListener("pointermove", () => this.onPoint(instantOf(chart.plot)));
    chart.place.addEventListener("pointerleave", () => this.onPoint(null));
    return { kind, place, chart, note };
  }
}

function draw({ kind, chart, note }, run, points) {
  const xs = kind.middle ? points.middles() : points.until;
  const data = [
    xs,
    ...kind.lines_.map(({ label, column, read }) => (read ? read(points) : points.columns[column ?? label])),
  ];
  const most = data.slice(1).reduce((top, column) => column.reduce((high, value) => (value > high ? value : high), top), 0);
  const lines = kind.lines?.(run) ?? [];
  const near = lines.filter(({ value }) => value <= NEAR * most);
  const far = lines.filter(({ value }) => value > NEAR * most && most > 0);
  chart.options.lines = near;
  chart.options.end = points.end;
  chart.options.marks = marksOf(kind, run);
  chart.set(data);
  const told = [
    near.length && `Dashed: ${near.map(({ label }) => label).join(", ")}.`,
    far.length && `Beyond the chart: ${far.map(({ label }) => label).join(", ")}.`,
  ];
  const marked =
    kind.marks && run.findings.some(({ at }) => at !== null && at !== undefined) && "Upright: findings, by their instants.";
  const text = [...told, marked].filter(Boolean).join(" ");
  if (note.textContent !== text) note.textContent = text;
}

/** The end of the warm-up on each chart; findings on that of the lag. */
function marksOf(kind, run) {
  const marks = run.spec?.warmup > 0 ? [{ at: run.spec.warmup, label: "warm-up", tone: "edge" }] : [];
  if (!kind.marks) return marks;
  const found = run.findings.map(({ at, severity }, i) => ({
    at,
    label: String(i + 1),
    tone: severity === "note" ? "note" : "warn",
  }));
  return [...marks, ...found.filter(({ at }) => at !== null && at !== undefined)];
}

function pointAt({ plot, data }, index) {
  if (index === null) return plot.setCursor({ left: -10, top: -10 });
  return plot.setCursor({ left: plot.valToPos(data[0][index], "x"), top: plot.over.clientHeight / 2 });
}

const instantOf = ({ cursor, posToVal }) => (cursor.left >= 0 ? posToVal(cursor.left, "x") : null);
