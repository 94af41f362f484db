// What the list of runs is filtered by, and the way to a comparison.

import { el } from "../app/dom.js";

const STATES = ["queued", "running", "completed", "failed", "cancelled", "timed_out", "aborted", "interrupted"];
const PAUSE_MS = 200;

/** `onFilter({label, status, trials})` after each change; `compare` stands at the end. */
export function toolbar(onFilter, compare) {
  const text = el("input", { type: "search", id: "filter", placeholder: "Filter by label", maxlength: "256" });
  const options = STATES.map((each) => el("option", { value: each }, each.replace("_", " ")));
  const state = el("select", { id: "state" }, el("option", { value: "" }, "Any status"), options);
  const trials = el("input", { type: "checkbox", id: "trials" });
  let timer;
  const apply = () => {
    clearTimeout(timer);
    const filter = { label: text.value.trim(), status: state.value, trials: trials.checked };
    timer = setTimeout(() => onFilter(filter), PAUSE_MS);
  };
  text.addEventListener("input", apply);
  for (const control of [state, trials]) control.addEventListener("change", apply);
  const withTrials = el("label", { class: "row", title: "The runs that capacity searches have made" }, trials, "Trials");
  return el(
    "div",
    { class: "toolbar", role: "search" },
    labelled("Filter by label", text),
    labelled("Status", state),
    withTrials,
    compare,
  );
}

const labelled = (name, control) =>
  el("div", { class: "field" }, el("label", { for: control.id, class: "hidden-text" }, name), control);
