// What a run is judged by: the verdict on the measurement, the objectives as rows, the findings.

import { badge, card, el, fill, table } from "../app/dom.js";
import { money, number, rate, seconds, share, tone, words } from "../app/format.js";
import { pathOf } from "./run.js";

const MEANING = {
  valid: "The figures can be used.",
  degraded: "Use the figures with care: the measurement was disturbed.",
  invalid: "Do not use the figures: the run was not the one that was specified.",
};
const SIGNS = {
  valid: "✓",
  met: "✓",
  same: "✓",
  better: "✓",
  degraded: "!",
  invalid: "✕",
  missed: "✕",
  worse: "✕",
  failed: "✕",
  inconclusive: "?",
};

/** A word with its sign, so that no judgement is told by its colour alone. */
export const judged = (word, text = words(word)) =>
  badge([SIGNS[word] && el("span", { "aria-hidden": "true" }, SIGNS[word]), ` ${text}`], tone(word));

/** How an amount of an objective is written: its sentence ends with the unit, its metric tells the rest. */
function writer({ objective, metric }, currency) {
  const name = metric.split(":").at(-1);
  if (name.endsWith("_time") || / s$/.test(objective)) return seconds;
  if (name.endsWith("_ratio")) return share;
  if (name.startsWith("cost")) return (value) => money(value, currency);
  return name === "throughput" || name === "goodput" ? rate : number;
}

const boundOf = (objective) =>
  objective?.at_most === null || objective?.at_most === undefined ? ["≥", "at_least"] : ["≤", "at_most"];

/** The objective without its bound, which stands beside it. */
const nameOf = ({ objective }) => objective.replace(/ [<>]= [^<>]*$/, "");

/** The verdict, and why; while the run is on, that there is none yet. */
export function drawVerdict(run) {
  const grave = [...new Set(run.findings.filter(({ severity }) => severity !== "note").map(({ code }) => code))];
  const why = grave.length > 0 && [
    " ",
    grave.map((code, i) => [i > 0 && ", ", el("a", { href: "#findings", onclick: jump }, code)]),
  ];
  if (run.isActive) return grave.length ? [el("p", {}, badge("so far", "warn"), " The measurement is disturbed:", why)] : [];
  const lines = [el("p", { "data-verdict": run.verdict }, judged(run.verdict), " ", MEANING[run.verdict], why)];
  if (run.status !== "completed") lines.push(drawReason(run));
  return lines;
}

/** The hash is the view's address, so a link within the view scrolls by itself. */
function jump(event) {
  event.preventDefault();
  const target = document.getElementById("findings");
  target?.scrollIntoView({ behavior: "smooth", block: "start" });
  target?.focus({ preventScroll: true });
}

function drawReason({ status, reason }) {
  return el(
    "div",
    { class: "stack" },
    el(
      "p",
      {},
      el("strong", {}, `The run ended as ${words(status)}`),
      reason?.detail && `: ${reason.detail}`,
      reason && el("span", { class: "muted" }, ` (${reason.code})`),
    ),
    reason?.problems?.length > 0 &&
      el(
        "ul",
        {},
        reason.problems.map(([path, text, got]) => el("li", {}, el("code", {}, path), ` ${text} (got ${got})`)),
      ),
    reason?.output &&
      el("pre", { class: "output", tabindex: "0", "aria-label": "The end of what its jobs printed" }, reason.output),
  );
}

/** The rows. What they show changes in place; they are made anew only where the objectives are others. */
export class Objectives {
  constructor(host) {
    this.host = host;
    this.shown = null;
  }

  update(run) {
    const written = JSON.stringify([run.objectives, run.isActive]);
    if (written === this.shown) return;
    this.shown = written;
    fill(this.host, run.objectives.length ? this.draw(run) : el("p", { class: "muted" }, tellNone(run)));
  }

  draw(run) {
    const rows = run.objectives.map((each, i) => ({
      ...each,
      i,
      spec: run.spec?.objectives?.[i],
      write: writer(each, run.cost.currency),
    }));
    const figure = (path, value, write) =>
      el("data", { "data-figure": pathOf(run, path), value: value ?? "" }, write(value));
    const interval = ({ interval: found, i, write }) =>
      found && [
        figure(`objectives.${i}.interval.low`, found.low, write),
        " – ",
        figure(`objectives.${i}.interval.high`, found.high, write),
      ];
    const columns = [
      {
        title: "Objective",
        head: true,
        cell: (row) => [nameOf(row), needsDetail(row) && el("small", { class: "muted block" }, row.detail)],
      },
      { title: run.isActive ? "So far" : "Outcome", cell: ({ outcome }) => judged(outcome) },
      {
        title: "Bound",
        number: true,
        cell: ({ spec, i, write }) =>
          spec && [boundOf(spec)[0], " ", figure(`spec.objectives.${i}.${boundOf(spec)[1]}`, spec[boundOf(spec)[1]], write)],
      },
      {
        title: "Observed",
        number: true,
        cell: ({ observed, i, write }) => figure(`objectives.${i}.observed`, observed, write),
      },
      { title: "95 % bounds", number: true, cell: (row) => interval(row) || "–" },
      { title: el("span", { class: "hidden-text" }, "drawn"), cell: drawInterval },
    ];
    return table({
      caption: "Objectives",
      columns,
      rows,
      row: ({ outcome, i }) => ({ "data-objective": i, "data-outcome": outcome }),
    });
  }
}

function tellNone({ spec, isActive, hasResult }) {
  if (!isActive && !hasResult && spec?.objectives?.length) return "It came to no result: its objectives were not judged.";
  return "This run has no objectives: nothing says what would be good enough.";
}

const needsDetail = ({ detail, outcome, interval }) =>
  detail && (outcome === "inconclusive" || (!interval && !/^[\d.e+-]+$/.test(detail)));

/** The interval, what was observed, and the bound, on one short axis. */
export function drawInterval({ interval, observed, spec, outcome }) {
  const bound = spec?.[boundOf(spec)[1]];
  const known = [interval?.low, interval?.high, observed, bound].filter((value) => Number.isFinite(value));
  if (known.length < 2) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const pad = (high - low) * 0.12 || Math.abs(high) * 0.12 || 1;
  const place = (value) => `${(100 * (value - low + pad)) / (high - low + 2 * pad)}%`;
  const mark = (name, value) =>
    Number.isFinite(value) && el("i", { class: name, style: { "inset-inline-start": place(value) } });
  const bar =
    interval &&
    el("i", {
      class: "span",
      style: { "inset-inline-start": place(interval.low), "inset-inline-end": `calc(100% - ${place(interval.high)})` },
    });
  return el(
    "span",
    { class: "interval", "data-tone": tone(outcome), "aria-hidden": "true" },
    bar,
    mark("bound", bound),
    mark("observed", observed),
  );
}

const SEVERITY = { invalid: "bad", degraded: "warn", note: "note" };

/** Every finding with its advice; those with an instant have the number that their mark has on the charts. */
export function drawFindings(run) {
  if (!run.findings.length) return null;
  const items = run.findings.map(({ code, severity, detail, advice }, i) =>
    el(
      "li",
      { "data-finding": code },
      el("p", {}, badge(severity, SEVERITY[severity]), " ", el("strong", {}, `${i + 1}. ${words(code)}`), ": ", detail),
      advice && el("p", { class: "muted" }, advice),
    ),
  );
  const found = card(`Findings${run.isActive ? " so far" : ""}`, el("ol", { class: "findings stack" }, items));
  found.id = "findings";
  found.tabIndex = -1;
  return found;
}
