// What can be done with a run: its report and files, run it again, price it again, cancel or delete it.

import { download, post, remove, show } from "../app/api.js";
import { button, el, fill, href, link } from "../app/dom.js";
import { money } from "../app/format.js";
import { announce, attempt, confirm, problemNotice } from "../app/notices.js";
import { requestOf } from "./run.js";

/** Buttons for `run`; `more` is where a form appears beneath them. */
export function drawActions(run, more) {
  const path = `benchmark/runs/${run.benchmark_id}`;
  const again = button("Run again", () => runAgain(run, more), { "data-action": "again" });
  const edit = link("Edit and run", `${href("new")}?from=${encodeURIComponent(run.benchmark_id)}`, {
    class: "button",
    "data-action": "edit",
  });
  const file = (text, name, work) => button(text, attempt(work), { "data-action": name });
  if (run.isActive)
    return [
      !run.search &&
        button(
          "Cancel",
          attempt(() => cancel(path)),
          { kind: "danger", "data-action": "cancel" },
        ),
      edit,
    ];
  const { hasResult } = run;
  return [
    hasResult && file("Report", "report", () => show(`${path}/report`, `${run.benchmark_id}.html`)),
    file("JSON", "json", () => download(path, `${run.benchmark_id}.json`)),
    hasResult && file("CSV", "csv", () => download(`${path}/jobs`, `${run.benchmark_id}.csv`, { query: { format: "csv" } })),
    again,
    edit,
    hasResult && link("Compare", href("compare", run.benchmark_id), { class: "button", "data-action": "compare" }),
    hasResult && button("Reprice", () => toggleReprice(run, more), { "data-action": "reprice" }),
    !run.search &&
      button(
        "Delete",
        attempt(() => erase(run, path)),
        { kind: "danger", "data-action": "delete" },
      ),
  ];
}

async function cancel(path) {
  await post(`${path}/cancel`, {});
  announce("The run ends within seconds.");
}

async function erase(run, path) {
  if (!(await confirm(`Delete ${run.label ?? run.benchmark_id} and everything that is kept of it?`, "Delete"))) return;
  await remove(path);
  announce("The run was deleted.");
  location.hash = href("runs");
}

/** The same specification, with its seed, in as many processes and as often. */
async function runAgain(run, more) {
  try {
    const accepted = await post("benchmark/run", requestOf(run), { headers: { Prefer: "respond-async" } });
    location.hash = href("run", accepted.benchmark_id);
  } catch (problem) {
    fill(more, problemNotice(problem));
  }
}

function toggleReprice(run, more) {
  if (more.querySelector("form")) return fill(more);
  const text = el("textarea", { id: "reprice-cost", rows: "6", class: "mono", spellcheck: "false" });
  text.value = JSON.stringify(run.spec.cost, null, 2);
  const answer = el("div", { "aria-live": "polite" });
  const submit = async (event) => {
    event.preventDefault();
    fill(answer, await price(run, text.value).catch(problemNotice));
  };
  fill(
    more,
    el(
      "form",
      { class: "card stack", onsubmit: submit },
      el("h2", {}, "Reprice"),
      el(
        "div",
        { class: "field" },
        el("label", { for: "reprice-cost" }, "Another cost model, as JSON"),
        text,
        el("span", { class: "hint" }, "What this run would have cost, without running it again."),
      ),
      el(
        "div",
        { class: "row" },
        el("button", { class: "button primary", type: "submit" }, "Price"),
        button("Close", () => fill(more), { kind: "quiet" }),
      ),
      answer,
    ),
  );
  text.focus();
  return undefined;
}

async function price(run, text) {
  let cost;
  try {
    cost = JSON.parse(text);
  } catch (error) {
    return problemNotice({ message: `This is no JSON: ${error.message}` });
  }
  const { cost: priced } = await post(`benchmark/runs/${run.benchmark_id}/reprice`, { cost });
  const write = (value, currency) => money(value === null ? null : Number(value), currency);
  const million = priced.per_success && [
    ", ",
    el(
      "data",
      { "data-figure": "own:repriced.per_success", value: priced.per_success },
      money(Number(priced.per_success) * 1e6, priced.currency),
    ),
    " per million completed",
  ];
  return el(
    "p",
    {},
    el(
      "strong",
      {},
      el("data", { "data-figure": "own:repriced.total", value: priced.total ?? "" }, write(priced.total, priced.currency)),
    ),
    million || "",
    `; as it was billed: ${write(run.cost.total, run.cost.currency)}.`,
    priced.problem && el("span", { class: "muted" }, ` ${priced.problem}`),
  );
}
