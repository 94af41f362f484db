// One search, live and afterwards: bracket and trials while it goes on, then its answer, frontier and prices.

import { get, post, remove } from "../app/api.js";
import { badge, button, details, el, fill, heading, href, link, meter, tile } from "../app/dom.js";
import { watch } from "../app/feed.js";
import { follow, movesQueue } from "../app/follow.js";
import { number, seconds, tone, words } from "../app/format.js";
import { announce, attempt, confirm } from "../app/notices.js";
import { Plot } from "../run/plot.js";
import { shown as figure } from "../run/slots.js";
import { drawAnswer, drawCosts } from "./answer.js";
import { describeFrontier, describePrices, readCurve } from "./prices.js";
import { describeTrials, tabulateTrials, writeValue } from "./trials.js";

const isActive = ({ status }) => status === "queued" || status === "running";

export async function showSearch(id, { main, signal, setTitle }) {
  const path = `benchmark/searches/${encodeURIComponent(id)}`;
  const view = new SearchView(main, path, signal);
  const read = async () => view.draw(await get(path, { signal }));
  await read();
  setTitle(view.search.label ?? id);
  if (!isActive(view.search)) return;
  let due = null;
  // What a trial is like stands in the search alone, so that is read again: at most twice a second.
  const readSoon = () => {
    due ??= setTimeout(() => {
      due = null;
      read().catch(() => {});
    }, 500);
  };
  follow(
    id,
    ({ kind }) => {
      if (kind === "deleted") location.hash = href("capacity");
      else readSoon();
    },
    signal,
  );
  // Any other may have been before it in the queue.
  watch(({ kind }) => view.search.status === "queued" && movesQueue(kind) && readSoon(), signal);
}

class SearchView {
  constructor(main, path, signal) {
    Object.assign(this, { main, path, signal });
    const part = () => el("div", { class: "stack" });
    [this.head, this.answer, this.costs, this.rest] = [part(), part(), part(), part()];
    this.trialsCard = el("section", { class: "card", "data-chart": "trials", hidden: true });
    this.frontierCard = el("section", { class: "card", "data-chart": "frontier", hidden: true });
    this.pricesCard = el("section", { class: "card", "data-chart": "prices", hidden: true });
    fill(
      main,
      this.head,
      this.answer,
      el("div", { class: "grid charts" }, this.trialsCard, this.frontierCard, this.pricesCard),
      this.costs,
      this.rest,
    );
    this.trials = new Plot(this.trialsCard, {
      title: "The search",
      note: "Trials in their order: full where the objectives held, a ring where they did not.",
      x: String,
      y: number,
      signal,
    });
    this.frontier = new Plot(this.frontierCard, {
      title: "Frontier",
      note: "Price of a million good jobs over the p99 response time; a ring where another is no worse in both.",
      x: seconds,
      y: number,
      signal,
    });
    this.prices = new Plot(this.pricesCard, {
      title: "What other rates would cost",
      note: "Per million good jobs, over jobs per second, with as many systems as it takes.",
      x: number,
      y: number,
      signal,
    });
  }

  draw(search) {
    this.search = search;
    this.main.search = search;
    fill(this.head, drawHead(search, this.path));
    fill(this.answer, search.answer ? drawAnswer(search.answer) : drawProgress(search));
    this.drawPlots(search);
    fill(this.costs, search.answer && drawCosts(search.answer));
    this.drawRest(search);
  }

  drawPlots({ trials, search: { variable }, progress, answer }) {
    this.trialsCard.hidden = !trials.some(({ value }) => value !== null);
    if (!this.trialsCard.hidden)
      this.trials.draw(describeTrials(trials, variable, answer?.interval ?? progress?.bracket, answer?.value));
    const priced = (answer?.frontier ?? []).filter(({ p99, per_million_good: price }) => p99 > 0 && price !== null);
    this.frontierCard.hidden = priced.length < 2;
    if (priced.length > 1) this.frontier.draw(describeFrontier(priced, answer));
    const curves = (answer?.curves ?? []).map(readCurve).filter(({ xs }) => xs.length > 1);
    this.pricesCard.hidden = !curves.length;
    if (curves.length) this.prices.draw(describePrices(curves, answer));
  }

  /** Tables that are open stay open. */
  drawRest(search) {
    const { answer, trials, spec } = search;
    const isOpen = (name) => this.rest.querySelector(`[data-part="${name}"] details`)?.open;
    const part = (name, title, content, open) => {
      const made = details(title, content);
      made.open = isOpen(name) ?? open;
      return el("section", { class: "card", "data-part": name }, made);
    };
    fill(
      this.rest,
      part(
        "trials",
        `Trials (${number(trials.length)})`,
        tabulateTrials(trials, search.search.variable, answer?.currency ?? spec?.cost?.currency ?? "USD"),
        true,
      ),
      part("spec", "Specification", el("pre", { class: "mono code", tabindex: "0" }, JSON.stringify(spec, null, 2)), false),
    );
  }
}

function drawHead(search, path) {
  const act = (text, kind, work) => button(text, attempt(work), { kind, "data-action": text.toLowerCase() });
  const cancel = act("Cancel", "danger", async () => {
    await post(`${path}/cancel`, {});
    announce("The search ends within seconds.");
  });
  const erase = act("Delete", "danger", async () => {
    if (!(await confirm("Delete this search and all of its trials?", "Delete"))) return;
    await remove(path);
    location.hash = href("capacity");
  });
  return [
    heading(search.label ?? search.search_id, badge(words(search.status), tone(search.status))),
    el(
      "p",
      { class: "muted" },
      `The ${search.search.variable === "slots" ? "fewest slots" : "largest rate"} at which the objectives hold.`,
    ),
    search.reason &&
      el("p", {}, el("strong", {}, `The search ended as ${words(search.status)}`), `: ${search.reason.detail}`),
    el(
      "div",
      { class: "toolbar" },
      isActive(search) ? cancel : erase,
      search.running && link("The trial that runs now", href("run", search.running), { class: "button" }),
    ),
  ];
}

function drawProgress({ progress, search: { variable }, status, queue_position: before }) {
  if (status === "queued")
    return el("p", { class: "empty" }, `It waits for its turn${before ? `, ${number(before)} before it` : ""}.`);
  if (!progress) return null;
  const { bracket, phase, current, trials, most_trials: most } = progress;
  const write = (value) => writeValue(variable, value);
  return el(
    "dl",
    { class: "tiles" },
    // In the order of numbers: of a rate the low end holds, of slots the high end.
    ...["low", "high"].map((end) =>
      tile(
        (end === "low") === (variable === "rate") ? "Holds at" : "Fails at",
        figure(`progress.bracket.${end}`, bracket[end], write),
        "as far as is known",
      ),
    ),
    tile(
      "Now",
      words(phase),
      current !== null && current !== undefined && ["at ", figure("progress.current", current, write)],
    ),
    tile("Trials", figure("progress.trials", trials, number), [
      meter(trials / most, "Trials"),
      ` of at most ${number(most)}`,
    ]),
  );
}
