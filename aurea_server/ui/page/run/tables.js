// Tables of a run: groups, shards, failures by class, all kinds of times, the bill, replications.

import { card, el, fill, table } from "../app/dom.js";
import { pathOf } from "./run.js";
import { money, number, rate, seconds, share, words } from "../app/format.js";
import { judged } from "./judgement.js";
import { shown as figure } from "./slots.js";

const MOST_ROWS = 100;
const TIMES = ["response_time", "waiting_time", "service_time", "failure_time", "lag"];
const QUANTILES = ["mean", "p50", "p90", "p95", "p99", "p999", "max"];
const labelOf = (name) => (name === "p999" ? "p99.9" : name);

/** Each: [title, rows of a run, columns (rows' `i` is their position), what else is to be said]. */
const TABLES = [
  [
    "Groups",
    (run) => run.groups,
    groupColumns,
    ({ moreGroups }) => moreGroups > 0 && `${number(moreGroups)} more groups are in the result when the run has ended.`,
  ],
  ["Times", timesOf, timeColumns],
  ["Cost", ({ cost }) => cost.lines ?? [], costColumns, ({ cost }) => cost.problem],
  ["Failures by class", ({ failures }) => listCounts(failures), countColumns("Class", "failures")],
  ["Answers by status", ({ statuses }) => listCounts(statuses), countColumns("Status", "statuses")],
  ["Shards", ({ shards }) => shards, shardColumns],
  ["Measures", measuresOf, measureColumns],
  ["Theory", ({ theory }) => theory ?? [], theoryColumns],
  ["Replications", ({ replications }) => replications ?? [], replicationColumns],
];

export class Tables {
  constructor(host) {
    this.host = host;
    this.shown = new Map();
  }

  /** A table is made anew only where what it shows has changed, and stays where it is. */
  update(run) {
    for (const [title, list, columns, more] of TABLES) {
      const rows = list(run).map((row, i) => ({ ...row, i }));
      const written = JSON.stringify([rows, run.isActive, more?.(run)]);
      if (this.shown.get(title)?.written === written) continue;
      this.replace(title, written, rows.length ? draw(title, rows, columns(run, rows), more?.(run)) : null);
    }
  }

  replace(title, written, made) {
    const before = this.shown.get(title)?.made;
    if (before && made) before.replaceWith(made);
    else before?.remove();
    this.shown.set(title, { written, made });
    if (!before && made)
      fill(
        this.host,
        TABLES.map(([each]) => this.shown.get(each)?.made),
      );
  }
}

function draw(title, rows, columns, more) {
  const shown = rows.slice(0, MOST_ROWS);
  const made = card(
    title,
    table({ caption: title, columns, rows: shown }),
    rows.length > MOST_ROWS &&
      el("p", { class: "muted small" }, `The first ${MOST_ROWS} of ${number(rows.length)}; the JSON has all.`),
    more && el("p", { class: "muted small" }, more),
  );
  made.dataset.table = title;
  return made;
}

const column = (title, cell) => ({ title, number: true, cell });
const listCounts = (counts) =>
  Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => ({ name, count }));

function groupColumns(run) {
  const of = (title, path, write, value) =>
    column(title, (row) => figure(pathOf(run, `groups.${row.i}.${path}`), value(row), write));
  return [
    { title: "Group", head: true, cell: ({ name }) => name },
    of("Arrived", run.isActive ? "arrived" : "counts.arrived", number, (row) => row.counts.arrived),
    of("Completed", run.isActive ? "completed" : "counts.completed", number, (row) => row.counts.completed),
    column("Failed", ({ failed }) => number(failed)),
    ...(run.isActive ? ["p50", "p99"] : ["mean", "p50", "p90", "p99"]).map((name) =>
      of(name, run.isActive ? name : `response_time.${name}`, seconds, (row) => row.response_time[name]),
    ),
  ];
}

function timesOf(run) {
  if (run.isActive) return [];
  const kinds = TIMES.filter((name) => run[name]?.count).map((name) => ({
    path: name,
    name: words(name),
    times: run[name],
  }));
  const marks = Object.entries(run.marks ?? {})
    .filter(([, times]) => times.count)
    .map(([name, times]) => ({ path: `marks.${name}`, name: words(name), times }));
  return [...kinds, ...marks];
}

function timeColumns() {
  return [
    { title: "Time", head: true, cell: ({ name }) => name },
    column("Jobs", ({ path, times }) => figure(`${path}.count`, times.count, number)),
    ...QUANTILES.map((name) => column(labelOf(name), ({ path, times }) => figure(`${path}.${name}`, times[name], seconds))),
  ];
}

function costColumns({ cost: { currency } }) {
  const amount = (text) => money(text === null ? null : Number(text), currency);
  return [
    { title: "Line", head: true, cell: ({ name }) => name },
    column("Quantity", ({ i, quantity }) => figure(`cost.lines.${i}.quantity`, quantity, (text) => number(Number(text)))),
    { title: "Unit", cell: ({ unit }) => unit },
    column("Price of one", ({ i, unit_price: price }) => figure(`cost.lines.${i}.unit_price`, price, amount)),
    column("Amount", ({ i, amount: text }) => figure(`cost.lines.${i}.amount`, text, amount)),
  ];
}

function countColumns(title, path) {
  return (run) => [
    { title, head: true, cell: ({ name }) => name },
    column("Jobs", ({ name, count }) => figure(pathOf(run, `${path}.${name}`), count, number)),
  ];
}

function shardColumns(run) {
  const of = (title, name, write) =>
    column(title, (row) => figure(pathOf(run, `shards.${row.i}.${name}`), row[name], write));
  return [
    { title: "Shard", head: true, cell: ({ shard, host }) => `${shard}${host ? ` on ${host}` : ""}` },
    { title: "Status", cell: ({ status }) => words(status ?? "running") },
    of("Jobs", "jobs", number),
    of("Late", "late_share", share),
    of("Worst lag", "worst_lag", seconds),
    of("CPU time", "cpu", seconds),
    of("Busy", "busy", share),
  ];
}

function measuresOf(run) {
  return Object.entries(run.measures ?? {}).map(([name, amounts]) => ({ name, amounts }));
}

function measureColumns() {
  const of = (title, member) =>
    column(title, ({ name, amounts }) => figure(`measures.${name}.${member}`, amounts[member], number));
  return [
    { title: "Measure", head: true, cell: ({ name, amounts: { unit } }) => `${words(name)}${unit ? `, ${unit}` : ""}` },
    of("Jobs", "count"),
    of("Total", "total"),
    of("Mean", "mean"),
    of("p50", "p50"),
    of("p99", "p99"),
    of("Greatest", "max"),
  ];
}

function theoryColumns() {
  const of = (title, name) => column(title, (row) => figure(`theory.${row.i}.${name}`, row[name], number));
  return [
    { title: "Figure", head: true, cell: ({ figure: name }) => words(name) },
    { title: "Model", cell: ({ model }) => model },
    of("Expected", "expected"),
    of("Measured", "measured"),
    of("z", "z"),
  ];
}

function replicationColumns() {
  const of = (title, name, write) => column(title, (row) => figure(`replications.${row.i}.${name}`, row[name], write));
  return [
    { title: "Seed", head: true, cell: ({ seed }) => String(seed) },
    { title: "Verdict", cell: ({ verdict }) => verdict && judged(verdict) },
    of("Throughput", "throughput", rate),
  ];
}
