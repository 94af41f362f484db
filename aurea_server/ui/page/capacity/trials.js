// The trials of a search: as dots in their order, and as a table.

import { badge, el, href, link, table } from "../app/dom.js";
import { money, number, rate, seconds, share, words } from "../app/format.js";
import { linear } from "../run/scales.js";

const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });

/** A value of what is varied: a rate with five digits, since what a search ends between lies close together. */
export function writeValue(variable, value) {
  if (value === null || value === undefined) return "–";
  return variable === "slots" ? `${number(value)} slot${value === 1 ? "" : "s"}` : `${digits.format(value)}/s`;
}

const TONES = { passed: "good", failed: "bad", measured: "note" };

/** Each trial at its value: full where the objectives held, a ring where they did not. */
export function describeTrials(trials, variable, bracket, value) {
  const tried = trials
    .map((trial, i) => ({ ...trial, at: i + 1 }))
    .filter((trial) => trial.value !== null && trial.value !== undefined);
  const values = tried.map((trial) => trial.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const pad = (high - low) * 0.1 || high * 0.1 || 1;
  const rules = [
    [bracket?.low, variable === "slots" ? "fails at" : "holds at"],
    [bracket?.high, variable === "slots" ? "holds at" : "fails at"],
  ]
    .filter(([at]) => at !== null && at !== undefined && at >= low - pad && at <= high + pad)
    .map(([y, label]) => ({
      y,
      label: value === null || value === undefined ? `${label} ${writeValue(variable, y)}` : "",
      tone: "edge",
    }));
  if (value !== null && value !== undefined)
    rules.push({ y: value, label: `the answer, ${writeValue(variable, value)}`, tone: "soft" });
  return {
    x: {
      ...linear(0, trials.length + 1),
      ticks: (most) =>
        linear(0, trials.length + 1)
          .ticks(most)
          .filter((tick) => Number.isInteger(tick) && tick > 0 && tick <= trials.length),
    },
    y: linear(variable === "slots" ? 0 : Math.max(0, low - pad), high + pad),
    dots: tried.map((trial) => ({
      x: trial.at,
      y: trial.value,
      color: trial.outcome === "passed" ? "good" : trial.outcome === "failed" ? "bad" : "note",
      hollow: trial.outcome !== "passed",
    })),
    rules,
    table: [tried.map(({ at }) => at), values],
    stops: tried.map(({ at }) => at),
    read: (i) =>
      [
        `trial ${tried[i].at}: ${words(tried[i].outcome)} at ${writeValue(variable, tried[i].value)}`,
        `p99 ${seconds(tried[i].p99)}`,
      ].join(", "),
  };
}

export function tabulateTrials(trials, variable, currency) {
  const figure = (row, name, write) =>
    el("data", { "data-figure": `trials.${row.i}.${name}`, value: row[name] ?? "" }, write(row[name]));
  const of = (title, name, write) => ({ title, number: true, cell: (row) => figure(row, name, write) });
  const columns = [
    { title: "Trial", head: true, cell: ({ i, run_id: id }) => (id ? link(String(i + 1), href("run", id)) : String(i + 1)) },
    { title: "Phase", cell: ({ phase }) => words(phase) },
    {
      title: "Outcome",
      cell: ({ outcome, problem }) => [
        badge(words(outcome), TONES[outcome] ?? "warn"),
        problem && el("small", { class: "muted block" }, problem),
      ],
    },
    {
      title: variable === "slots" ? "Slots" : "Rate",
      number: true,
      cell: (row) =>
        row.value === null && row.users
          ? `${number(row.users)} user${row.users === 1 ? "" : "s"}`
          : figure(row, "value", (value) => writeValue(variable, value)),
    },
    of("Jobs", "jobs", number),
    of("Throughput", "throughput", rate),
    of("p99", "p99", seconds),
    of("Utilization", "utilization", share),
    of("Good", "good_share", share),
    of("Cost", "cost", (value) => money(value === null ? null : Number(value), currency)),
  ];
  return table({
    caption: "Trials",
    columns,
    rows: trials.map((trial, i) => ({ ...trial, i })),
    empty: "No trial has ended yet.",
    row: ({ outcome }) => ({ "data-outcome": outcome }),
  });
}
