// One run as a row. A row is kept and written anew where something changed, so that the focus stays where it is.

import { badge, button, el, figure, fill, href, link, meter, time } from "../app/dom.js";
import { NOTHING, ago, money, rate, seconds, tone, words } from "../app/format.js";
import { identify, isActive, nameOf } from "./list.js";

export const TITLES = ["Compare", "Run", "Status", "Verdict", "Rate", "p99", "Cost", "Objectives", "Actions"];
const NUMBERS = new Set(["Rate", "p99", "Cost"]);
const HIDDEN = new Set(["Compare", "Actions"]);

export const headRow = () =>
  el(
    "tr",
    {},
    TITLES.map((title) =>
      el(
        "th",
        { scope: "col", class: NUMBERS.has(title) && "number" },
        HIDDEN.has(title) ? el("span", { class: "hidden-text" }, title) : title,
      ),
    ),
  );

/** `actions`: {pick(id, isPicked), end(run)}: the reader's wishes. */
export class RunRow {
  constructor(actions) {
    this.pick = el("input", { type: "checkbox", onchange: () => actions.pick(identify(this.run), this.pick.checked) });
    this.end = button("", () => actions.end(this.run), { kind: "quiet compact" });
    this.cells = Object.fromEntries(TITLES.map((title) => [title, makeCell(title)]));
    fill(this.cells.Compare, this.pick);
    fill(this.cells.Actions, this.end);
    this.node = el("tr", {}, Object.values(this.cells));
  }

  show(run, isPicked) {
    const state = JSON.stringify([run, isPicked, ago(run.created_time)]);
    if (state === this.state) return;
    Object.assign(this, { run, state });
    this.node.dataset.run = identify(run);
    this.showControls(run, isPicked);
    fill(this.cells.Run, nameCell(run));
    fill(this.cells.Status, statusCell(run));
    fill(this.cells.Verdict, run.verdict ? badge(run.verdict, tone(run.verdict)) : muted());
    const shown = (name, text) => figure(`runs.${identify(run)}.${name}`, run[name], text);
    fill(this.cells.Rate, shown("throughput", rate(run.throughput)));
    fill(this.cells.p99, shown("p99", seconds(run.p99)));
    fill(this.cells.Cost, shown("total_cost", money(run.total_cost, run.currency ?? "")));
    fill(this.cells.Objectives, objectivesCell(run.objectives ?? []));
  }

  showControls(run, isPicked) {
    const active = isActive(run);
    // A run that has no verdict has no figures that could be compared.
    Object.assign(this.pick, { checked: isPicked, disabled: !run.verdict || run.status === "interrupted" });
    this.pick.setAttribute("aria-label", `Compare ${nameOf(run)}`);
    this.end.textContent = active ? "Cancel" : "Delete";
    this.end.setAttribute("aria-label", `${this.end.textContent} ${nameOf(run)}`);
    this.end.hidden = Boolean(run.search); // a trial ends and goes with its search
    this.node.dataset.active = String(active);
  }
}

/** Named for narrow screens, where a row becomes a card and its cells have no column above them. */
const makeCell = (title) =>
  title === "Run"
    ? el("th", { scope: "row", "data-title": title })
    : el("td", { "data-title": title, class: NUMBERS.has(title) && "number" });

const muted = () => el("span", { class: "muted" }, NOTHING);

const nameCell = (run) => [
  link(nameOf(run), href("run", identify(run)), { class: "run-name" }),
  el(
    "small",
    {},
    time(run.created_time, ago(run.created_time)),
    run.label && ` · ${identify(run)}`,
    run.search && [" · ", link("trial of a search", href("capacity", run.search))],
  ),
];

function statusCell(run) {
  const shown = badge(words(run.status), tone(run.status));
  if (run.status !== "running") return shown;
  const done = run.progress?.fraction_done;
  return [shown, typeof done === "number" && meter(done, `Progress of ${nameOf(run)}`)];
}

function objectivesCell(outcomes) {
  if (!outcomes.length) return muted();
  const met = outcomes.filter((outcome) => outcome === "met").length;
  const worst = ["missed", "inconclusive", "met"].find((outcome) => outcomes.includes(outcome));
  return badge(outcomes.length === 1 ? worst : `${met} of ${outcomes.length} met`, tone(worst));
}
