// The first figures of a run: what it came to, or has come to so far.

import { el, tile, time } from "../app/dom.js";
import { money, number, rate, seconds, share, when } from "../app/format.js";

const MILLION = 1e6;
const inCurrency = (value, run) => money(value, run.cost.currency);
const byMillion = (value, run) => (value === null ? "–" : money(value * MILLION, run.cost.currency));

/** Tiles whose figures are slots. Which there are depends on whether the run is on. */
export function drawTiles(slots, run) {
  const slot = (path, format) => slots.slot(run, path, format);
  return el(
    "dl",
    { class: "tiles" },
    tile(
      "Throughput",
      slot("throughput", rate),
      run.isActive
        ? [slot("progress.in_flight", number), " in service, ", slot("progress.queued", number), " waiting"]
        : [slot("offered_rate", rate), " offered, goodput ", slot("goodput", rate)],
    ),
    tile(
      `Response time, ${finest(run)}`,
      slot(`response_time.${finest(run)}`, seconds),
      ["p50", "p90", "p999"]
        .filter((name) => name !== finest(run))
        .map((name, i) => [i > 0 && ", ", name === "p999" ? "p99.9 " : `${name} `, slot(`response_time.${name}`, seconds)]),
    ),
    tile("Jobs completed", slot("counts.completed", number), ["of ", slot("counts.arrived", number), slots.text(others)]),
    run.utilization !== null && run.utilization !== undefined
      ? tile(
          "Utilization",
          slot("utilization", share),
          run.isActive ? "at this instant" : [slot("concurrency.mean", number), " in service on average"],
        )
      : !run.isActive &&
          tile("In service on average", slot("concurrency.mean", number), [slot("concurrency.peak", number), " at most"]),
    tile(run.isActive ? "Cost so far" : "Cost", slot("cost.total", inCurrency), [
      slot("cost.per_success", byMillion),
      " per million completed",
    ]),
    tile(
      run.isActive ? "Elapsed" : "Duration",
      slot("duration", seconds),
      run.isActive ? slots.text(timeLeft) : slots.text(windowOf),
    ),
  );
}

/** The quantile to begin with: one that too few jobs support is none. */
export const finest = (run) => ["p99", "p95", "p90", "p50"].find((name) => run.response_time?.[name]) ?? "p99";

/** What became of the other jobs, where there are some. */
function others({ counts }) {
  const names = ["failed", "timed_out", "rejected", "abandoned", "cancelled"].filter((name) => counts[name]);
  return names.map((name) => `, ${number(counts[name])} ${name.replace("_", " ")}`).join("");
}

function timeLeft({ progress }) {
  if (!progress) return "it has not begun";
  return (progress.time_left ?? null) === null ? "no end by itself" : `${seconds(progress.time_left)} left, by its pace`;
}

const windowOf = ({ window: found }) => (found?.start ? `figures from ${seconds(found.start)} on` : "");

/** Where and when it ran, in a line. */
export function describeRun(run) {
  const slots = run.spec?.scheduler?.slots;
  const where = slots ? `on ${number(slots)} slot${slots > 1 ? "s" : ""}, ` : "";
  const clock = run.spec?.clock === "virtual" ? "in virtual time" : "in real time";
  const begun = run.start_time ?? run.created_time;
  return [
    run.label && [el("code", {}, run.benchmark_id), ", "],
    where,
    clock,
    begun && [", ", time(begun, when(begun))],
    ".",
  ];
}

/** Why there is nothing to be drawn over time. */
export function tellSilence(run, problem) {
  if (run.isActive)
    return run.status === "queued" ? "Charts begin when it has its turn." : "The first points come after a second.";
  if (run.repeat || run.progress?.replications) return "A repeated run keeps no series: it has no charts over time.";
  if (!run.hasResult) return "It came to no result: there is nothing to be drawn.";
  return problem?.message ?? "It has no series: there is nothing to be drawn over time.";
}
