// The answer of a search: the capacity, how sure that is, and what a million good jobs cost there.

import { badge, card, el, table, tile } from "../app/dom.js";
import { money, number, seconds, share, tone, words } from "../app/format.js";
import { judged } from "../run/judgement.js";
import { shown as figure } from "../run/slots.js";
import { writeValue } from "./trials.js";

/** The answer in a sentence, and its first figures. */
export function drawAnswer(answer) {
  const { variable, interval, verification, confirmation } = answer;
  const write = (value) => writeValue(variable, value);
  const verified =
    verification &&
    tile("Verified", verification.passed ? "yes" : "no", `by ${number(verification.seeds.length)} runs with fresh seeds`);
  const cheapest = answer.costs
    .map((cost, i) => ({ ...cost, i }))
    .filter((cost) => cost.per_million_good !== null)
    .sort((a, b) => a.per_million_good - b.per_million_good)[0];
  return [
    el(
      "section",
      { class: "card stack", "data-answer": answer.status },
      el("p", {}, judgedStatus(answer.status), " ", sentence(answer.reason)),
      el(
        "ul",
        { class: "findings" },
        answer.objectives.map((objective) => el("li", {}, String(objective.objective ?? objective))),
      ),
    ),
    el(
      "dl",
      { class: "tiles" },
      tile("Capacity", figure("answer.value", answer.value, write), [
        "between ",
        figure("answer.interval.low", interval.low, write),
        " and ",
        figure("answer.interval.high", interval.high, write),
      ]),
      answer.utilization !== null && tile("Utilization there", figure("answer.utilization", answer.utilization, share)),
      verified,
      confirmation &&
        tile("Confirmed for real", confirmation.passed ? "yes" : "no", `by ${number(confirmation.seeds.length)} runs`),
      cheapest &&
        tile(
          "Cheapest",
          figure(`answer.costs.${cheapest.i}.per_million_good`, cheapest.per_million_good, (text) =>
            money(Number(text), cheapest.currency),
          ),
          `per million good jobs, ${cheapest.model}`,
        ),
      answer.cost_of_search !== null &&
        tile(
          "Cost of the search",
          figure("answer.cost_of_search", answer.cost_of_search, (text) => money(Number(text), answer.currency)),
          `${number(answer.trials.length)} trials`,
        ),
    ),
  ];
}

const judgedStatus = (status) =>
  tone(status) === "good" ? judged("met", words(status)) : badge(words(status), tone(status));
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** Tables of prices, of the frontier, and of what verified the answer. */
export function drawCosts({ costs, frontier, variable, verification, confirmation }) {
  const amount = (text, currency) => money(text === null ? null : Number(text), currency);
  const unitOf = (model) => costs.find((cost) => cost.model === model)?.currency ?? "USD";
  const columns = [
    { title: "Model", head: true, cell: ({ model }) => model },
    {
      title: "Per million good",
      number: true,
      cell: ({ i, per_million_good: text, currency: unit }) =>
        figure(`answer.costs.${i}.per_million_good`, text, (value) => amount(value, unit)),
    },
    {
      title: "Between",
      number: true,
      cell: ({ interval, currency: unit }) =>
        interval?.low === null || !interval ? "–" : `${amount(interval.low, unit)} – ${amount(interval.high, unit)}`,
    },
    {
      title: "An hour",
      number: true,
      cell: ({ i, per_hour: text, currency: unit }) =>
        figure(`answer.costs.${i}.per_hour`, text, (value) => amount(value, unit)),
    },
    {
      title: "Instances",
      number: true,
      cell: ({ i, instances }) => figure(`answer.costs.${i}.instances`, instances, number),
    },
    { title: "Idle", number: true, cell: ({ i, idle_share: idle }) => figure(`answer.costs.${i}.idle_share`, idle, share) },
    {
      title: "Basis",
      cell: ({ basis, problem, cheapest }) => [
        problem ?? words(basis),
        cheapest && el("small", { class: "muted block" }, "cheapest"),
      ],
    },
  ];
  const points = [
    { title: "Model", head: true, cell: ({ model }) => model },
    {
      title: variable === "slots" ? "Slots" : "Rate",
      number: true,
      cell: ({ i, value }) => figure(`answer.frontier.${i}.value`, value, (each) => writeValue(variable, each)),
    },
    { title: "p99", number: true, cell: ({ i, p99 }) => figure(`answer.frontier.${i}.p99`, p99, seconds) },
    {
      title: "Per million good",
      number: true,
      cell: ({ i, per_million_good: text, model }) =>
        figure(`answer.frontier.${i}.per_million_good`, text, (value) => amount(value, unitOf(model))),
    },
    { title: "Objectives", cell: ({ passed }) => (passed === null ? "–" : judged(passed ? "met" : "missed")) },
  ];
  const numbered = (rows) => rows.map((row, i) => ({ ...row, i }));
  return el(
    "div",
    { class: "tables" },
    costs.length > 0 &&
      el(
        "section",
        { class: "card stack wide" },
        el("h2", {}, "Costs at the capacity"),
        table({ caption: "Costs", columns, rows: numbered(costs) }),
      ),
    numbered(frontier).some(isKept) &&
      card(
        "Frontier",
        table({ caption: "Frontier", columns: points, rows: numbered(frontier).filter(isKept) }),
        el(
          "p",
          { class: "muted small" },
          "What was tried, as far as nothing else was no slower and cheaper, or no dearer and faster.",
        ),
      ),
    verification && drawVerification("verification", "Verification", verification),
    confirmation && drawVerification("confirmation", "Confirmation for real", confirmation),
  );
}

const isKept = ({ dominated }) => !dominated;

function drawVerification(name, title, { objectives, passed, seeds }) {
  const plain = (value) => (value === null ? "–" : String(Number(value.toPrecision(4))));
  const of = (head, member) => ({
    title: head,
    number: true,
    cell: (row) => figure(`answer.${name}.objectives.${row.i}.${member}`, row[member], plain),
  });
  const columns = [
    { title: "Objective", head: true, cell: ({ objective }) => objective },
    { title: "Outcome", cell: ({ met }) => judged(met ? "met" : "missed") },
    of("Median", "median"),
    of("95 % bound", "bound"),
  ];
  return card(
    title,
    el(
      "p",
      {},
      judged(passed ? "met" : "missed", passed ? "passed" : "failed"),
      ` ${number(seeds.length)} replications with fresh seeds`,
    ),
    table({ caption: title, columns, rows: objectives.map((row, i) => ({ ...row, i })) }),
  );
}
