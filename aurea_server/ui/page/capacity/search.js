// One search, live and afterwards: bracket and trials while it goes on, then its answer, frontier and prices.

import { get, post, remove } from "../app/api.js";
import { badge, button, card, details, el, fill, heading, href, link, meter, table, tile } from "../app/dom.js";
import { follow } from "../app/follow.js";
import { money, number, rate, seconds, share, tone, words } from "../app/format.js";
import { announce, attempt, confirm } from "../app/notices.js";
import { judged } from "../run/judgement.js";
import { Plot } from "../run/plot.js";
import { linear, logarithmic } from "../run/scales.js";
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
  follow(id, ({ kind }) => {
    if (kind === "deleted") location.hash = href("capacity");
    else due ??= setTimeout(() => { due = null; read().catch(() => {}); }, 500);
  }, signal);
}

class SearchView {
  constructor(main, path, signal) {
    Object.assign(this, { main, path, signal });
    const part = () => el("div", { class: "stack" });
    [this.head, this.answer, this.costs, this.rest] = [part(), part(), part(), part()];
    this.trialsCard = el("section", { class: "card", "data-chart": "trials", hidden: true });
    this.frontierCard = el("section", { class: "card", "data-chart": "frontier", hidden: true });
    this.pricesCard = el("section", { class: "card", "data-chart": "prices", hidden: true });
    fill(main, this.head, this.answer, el("div", { class: "grid charts" }, this.trialsCard, this.frontierCard, this.pricesCard), this.costs, this.rest);
    this.trials = new Plot(this.trialsCard, { title: "The search", note: "Trials in their order: full where the objectives held, a ring where they did not.", x: String, y: number, signal });
    this.frontier = new Plot(this.frontierCard, { title: "Frontier", note: "Price of a million good jobs over the p99 response time; a ring where another is no worse in both.", x: seconds, y: number, signal });
    this.prices = new Plot(this.pricesCard, { title: "What other rates would cost", note: "Per million good jobs, over jobs per second, with as many systems as it takes.", x: number, y: number, signal });
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
    if (!this.trialsCard.hidden) this.trials.draw(describeTrials(trials, variable, answer?.interval ?? progress?.bracket, answer?.value));
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
    fill(this.rest,
      part("trials", `Trials (${number(trials.length)})`, tabulateTrials(trials, search.search.variable, answer?.currency ?? spec?.cost?.currency ?? "USD"), true),
      part("spec", "Specification", el("pre", { class: "mono code", tabindex: "0" }, JSON.stringify(spec, null, 2)), false));
  }
}

function drawHead(search, path) {
  const act = (text, kind, work) => button(text, attempt(work), { kind, "data-action": text.toLowerCase() });
  const cancel = act("Cancel", "danger", async () => { await post(`${path}/cancel`, {}); announce("The search ends within seconds."); });
  const erase = act("Delete", "danger", async () => {
    if (!(await confirm("Delete this search and all of its trials?", "Delete"))) return;
    await remove(path);
    location.hash = href("capacity");
  });
  return [
    heading(search.label ?? search.search_id, badge(words(search.status), tone(search.status))),
    el("p", { class: "muted" }, `The ${search.search.variable === "slots" ? "fewest slots" : "largest rate"} at which the objectives hold.`),
    search.reason && el("p", {}, el("strong", {}, `The search ended as ${words(search.status)}`), `: ${search.reason.detail}`),
    el("div", { class: "toolbar" }, isActive(search) ? cancel : erase, search.running && link("The trial that runs now", href("run", search.running), { class: "button" })),
  ];
}

const figure = (path, value, write) => el("data", { "data-figure": path, value: value ?? "" }, write(value));

function drawProgress({ progress, search: { variable }, status, queue_position: before }) {
  if (status === "queued") return el("p", { class: "empty" }, `It waits for its turn${before ? `, ${number(before)} before it` : ""}.`);
  if (!progress) return null;
  const { bracket, phase, current, trials, most_trials: most } = progress;
  const write = (value) => writeValue(variable, value);
  return el("dl", { class: "tiles" },
    // In the order of numbers: of a rate the low end holds, of slots the high end.
    ...["low", "high"].map((end) => tile((end === "low") === (variable === "rate") ? "Holds at" : "Fails at", figure(`progress.bracket.${end}`, bracket[end], write), "as far as is known")),
    tile("Now", words(phase), current !== null && current !== undefined && ["at ", figure("progress.current", current, write)]),
    tile("Trials", figure("progress.trials", trials, number), [meter(trials / most, "Trials"), ` of at most ${number(most)}`]));
}

function drawAnswer(answer) {
  const { variable, interval, verification, confirmation } = answer;
  const write = (value) => writeValue(variable, value);
  const verified = verification && tile("Verified", verification.passed ? "yes" : "no", `by ${number(verification.seeds.length)} runs with fresh seeds`);
  const cheapest = answer.costs.map((cost, i) => ({ ...cost, i })).filter((cost) => cost.per_million_good !== null).sort((a, b) => a.per_million_good - b.per_million_good)[0];
  return [
    el("section", { class: "card stack", "data-answer": answer.status },
      el("p", {}, judgedStatus(answer.status), " ", sentence(answer.reason)),
      el("ul", { class: "findings" }, answer.objectives.map((objective) => el("li", {}, String(objective.objective ?? objective))))),
    el("dl", { class: "tiles" },
      tile("Capacity", figure("answer.value", answer.value, write), ["between ", figure("answer.interval.low", interval.low, write), " and ", figure("answer.interval.high", interval.high, write)]),
      answer.utilization !== null && tile("Utilization there", figure("answer.utilization", answer.utilization, share)),
      verified, confirmation && tile("Confirmed for real", confirmation.passed ? "yes" : "no", `by ${number(confirmation.seeds.length)} runs`),
      cheapest && tile("Cheapest", figure(`answer.costs.${cheapest.i}.per_million_good`, cheapest.per_million_good, (text) => money(Number(text), cheapest.currency)), `per million good jobs, ${cheapest.model}`),
      answer.cost_of_search !== null && tile("Cost of the search", figure("answer.cost_of_search", answer.cost_of_search, (text) => money(Number(text), answer.currency)), `${number(answer.trials.length)} trials`)),
  ];
}

const judgedStatus = (status) => (tone(status) === "good" ? judged("met", words(status)) : badge(words(status), tone(status)));
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function drawCosts({ costs, frontier, variable, verification, confirmation }) {
  const amount = (text, currency) => money(text === null ? null : Number(text), currency);
  const unitOf = (model) => costs.find((cost) => cost.model === model)?.currency ?? "USD";
  const columns = [
    { title: "Model", head: true, cell: ({ model }) => model },
    { title: "Per million good", number: true, cell: ({ i, per_million_good: text, currency: unit }) => figure(`answer.costs.${i}.per_million_good`, text, (value) => amount(value, unit)) },
    { title: "Between", number: true, cell: ({ interval, currency: unit }) => (interval?.low === null || !interval ? "–" : `${amount(interval.low, unit)} – ${amount(interval.high, unit)}`) },
    { title: "An hour", number: true, cell: ({ i, per_hour: text, currency: unit }) => figure(`answer.costs.${i}.per_hour`, text, (value) => amount(value, unit)) },
    { title: "Instances", number: true, cell: ({ i, instances }) => figure(`answer.costs.${i}.instances`, instances, number) },
    { title: "Idle", number: true, cell: ({ i, idle_share: idle }) => figure(`answer.costs.${i}.idle_share`, idle, share) },
    { title: "Basis", cell: ({ basis, problem, cheapest }) => [problem ?? words(basis), cheapest && el("small", { class: "muted block" }, "cheapest")] },
  ];
  const points = [
    { title: "Model", head: true, cell: ({ model }) => model },
    { title: variable === "slots" ? "Slots" : "Rate", number: true, cell: ({ i, value }) => figure(`answer.frontier.${i}.value`, value, (each) => writeValue(variable, each)) },
    { title: "p99", number: true, cell: ({ i, p99 }) => figure(`answer.frontier.${i}.p99`, p99, seconds) },
    { title: "Per million good", number: true, cell: ({ i, per_million_good: text, model }) => figure(`answer.frontier.${i}.per_million_good`, text, (value) => amount(value, unitOf(model))) },
    { title: "Objectives", cell: ({ passed }) => (passed === null ? "–" : judged(passed ? "met" : "missed")) },
  ];
  const numbered = (rows) => rows.map((row, i) => ({ ...row, i }));
  return el("div", { class: "tables" },
    costs.length > 0 && el("section", { class: "card stack wide" }, el("h2", {}, "Costs at the capacity"), table({ caption: "Costs", columns, rows: numbered(costs) })),
    numbered(frontier).some(isKept) && card("Frontier", table({ caption: "Frontier", columns: points, rows: numbered(frontier).filter(isKept) }),
      el("p", { class: "muted small" }, "What was tried, as far as nothing else was no slower and cheaper, or no dearer and faster.")),
    verification && drawVerification("verification", "Verification", verification),
    confirmation && drawVerification("confirmation", "Confirmation for real", confirmation));
}

const isKept = ({ dominated }) => !dominated;

function drawVerification(name, title, { objectives, passed, seeds }) {
  const plain = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));
  const of = (head, member) => ({ title: head, number: true, cell: (row) => figure(`answer.${name}.objectives.${row.i}.${member}`, row[member], plain) });
  const columns = [
    { title: "Objective", head: true, cell: ({ objective }) => objective },
    { title: "Outcome", cell: ({ met }) => judged(met ? "met" : "missed") }, of("Median", "median"), of("95 % bound", "bound"),
  ];
  return card(title, el("p", {}, judged(passed ? "met" : "missed", passed ? "passed" : "failed"), ` ${number(seeds.length)} replications with fresh seeds`),
    table({ caption: title, columns, rows: objectives.map((row, i) => ({ ...row, i })) }));
}

function readCurve({ model, points }) {
  const known = points.filter(({ rate: at, per_million_good: price }) => price !== null && at > 0);
  return { label: model, xs: known.map(({ rate: at }) => at), ys: known.map(({ per_million_good: price }) => Number(price)) };
}

/** From 0, or by powers of ten where one model costs many times as much as another. */
function priceScale(prices) {
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  return low > 0 && high / low > 12 ? logarithmic(low / 1.3, high * 1.3) : linear(0, high * 1.1);
}

function describeFrontier(points, { variable, costs }) {
  const models = [...new Set(points.map(({ model }) => model))];
  const prices = points.map(({ per_million_good: price }) => Number(price)), times = points.map(({ p99 }) => p99);
  const sorted = points.toSorted((a, b) => a.p99 - b.p99);
  const unitOf = (model) => costs.find((cost) => cost.model === model)?.currency ?? "USD";
  const color = (model) => `series-${(models.indexOf(model) % 6) + 1}`;
  return {
    x: linear(Math.min(...times) * 0.95, Math.max(...times) * 1.05), y: priceScale(prices),
    lines: models.map((model) => ({ xs: [], ys: [], color: color(model), label: model })),
    dots: points.map(({ p99, per_million_good: price, dominated, model }) => ({ x: p99, y: Number(price), color: color(model), hollow: dominated })),
    table: [times, prices],
    stops: sorted.map(({ p99 }) => p99),
    read: (i) => `${sorted[i].model} at ${writeValue(variable, sorted[i].value)}: p99 ${seconds(sorted[i].p99)}, ${money(Number(sorted[i].per_million_good), unitOf(sorted[i].model))} per million good`,
  };
}

function describePrices(curves, { value, variable, curves: [{ currency }] }) {
  const xs = curves.flatMap((curve) => curve.xs);
  const longest = curves.reduce((best, each) => (each.xs.length > best.xs.length ? each : best));
  const x = logarithmic(Math.min(...xs), Math.max(...xs));
  return {
    x, y: priceScale(curves.flatMap(({ ys }) => ys)),
    lines: curves.map((curve, i) => ({ ...curve, color: `series-${(i % 6) + 1}` })),
    rules: variable === "rate" && value > x.low && value < x.high ? [{ x: value, label: "one system", tone: "soft" }] : [],
    stops: longest.xs,
    read: (i) => `${rate(longest.xs[i])}: ${curves.filter(({ xs: each }) => each.includes(longest.xs[i])).map(({ label, xs: each, ys }) => `${label} ${money(ys[each.indexOf(longest.xs[i])], currency)}`).join(", ")}`,
  };
}
