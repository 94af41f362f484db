// The form that begins a search: a specification with objectives, and what is searched.

import { get, post } from "../app/api.js";
import { details, el, fill, href } from "../app/dom.js";
import { problemNotice } from "../app/notices.js";

const EXAMPLE = {
  workload: {
    job: { kind: "sleep", duration: { kind: "exponential", mean: 0.06 } },
    arrivals: { kind: "poisson", rate: 50 },
    jobs: 2000,
  },
  scheduler: { kind: "fifo", slots: 4 },
  clock: "virtual",
  objectives: [{ metric: "response_time", quantile: 0.99, at_most: 0.5 }],
};

/** Open where it was asked for with the specification of a run, `from`. */
export async function drawForm(from, signal) {
  const spec = from
    ? (await get(`benchmark/runs/${encodeURIComponent(from)}`, { signal, query: { jobs: "0" } })).spec
    : EXAMPLE;
  const made = details("New search", buildForm(spec));
  made.open = Boolean(from);
  return el("section", { class: "card" }, made);
}

function buildForm(spec) {
  const text = el("textarea", { id: "search-spec", rows: "14", class: "mono", spellcheck: "false" });
  text.value = JSON.stringify(spec, null, 2);
  const costs = el("textarea", {
    id: "search-costs",
    rows: "3",
    class: "mono",
    spellcheck: "false",
    placeholder: '{"a second": {"kind": "per_second", "price": "0.0000166"}}',
  });
  const variable = el(
    "select",
    { id: "search-variable" },
    el("option", { value: "rate" }, "the largest rate"),
    el("option", { value: "slots" }, "the fewest slots"),
  );
  const [low, high] = ["low", "high"].map((name) =>
    el("input", { id: `search-${name}`, inputmode: "decimal", autocomplete: "off" }),
  );
  const confirm = el("input", { id: "search-confirm", type: "checkbox" });
  const answer = el("div", { "aria-live": "polite" });
  const submit = async (event) => {
    event.preventDefault();
    fill(answer);
    try {
      const more = {
        variable: variable.value,
        ...number("low", low),
        ...number("high", high),
        ...(confirm.checked ? { confirm: true } : {}),
      };
      const body = {
        ...parse(text.value, "The specification"),
        ...more,
        ...(costs.value.trim() ? { costs: parse(costs.value, "The cost models") } : {}),
      };
      location.hash = href("capacity", (await post("benchmark/searches", body)).search_id);
    } catch (problem) {
      fill(answer, problemNotice(problem));
    }
  };
  return el(
    "form",
    { class: "stack search-form", onsubmit: submit },
    field(
      "Specification with objectives, as JSON",
      text,
      "Its rate or its slots are varied; each trial is a run of the history.",
    ),
    el(
      "div",
      { class: "grid" },
      field("Search", variable),
      field("From", low, "Empty: the search finds its own range."),
      field("To", high),
    ),
    field("Cost models to price the answer with, as JSON", costs, "Empty: the model of the specification."),
    el("label", { class: "row" }, confirm, " Verify for real what is found in virtual time"),
    el("div", { class: "row" }, el("button", { class: "button primary", type: "submit" }, "Search")),
    answer,
  );
}

const field = (label, control, hint) =>
  el(
    "div",
    { class: "field" },
    el("label", { for: control.id }, label),
    control,
    hint && el("span", { class: "hint" }, hint),
  );

function parse(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} cannot be read as JSON: ${error.message}`);
  }
}

/** A bound as it was written: the server reads numbers, and texts such as 100/s. */
function number(name, { value }) {
  const text = value.trim();
  if (!text) return {};
  return { [name]: Number.isNaN(Number(text)) ? text : Number(text) };
}
