// The shortest run: so many jobs at once, each of so many milliseconds.

import { button, el, fill } from "../app/dom.js";
import { count, rate, seconds } from "../app/format.js";
import { attempt, problemNotice } from "../app/notices.js";

/** `start(specification)` starts a run. */
export function quickForm(start) {
  const jobs = input("num_jobs", { min: "1", value: "100", required: true });
  const time = input("job_duration_ms", { min: "0", value: "100", step: "any" });
  const told = el("p", { class: "muted", role: "status" });
  const refused = el("div");
  const tell = () => fill(told, expectation(Number(jobs.value), Number(time.value)));
  const submit = attempt(async (event) => {
    event.preventDefault();
    fill(refused);
    const duration = time.value === "" ? {} : { job_duration_ms: Number(time.value) };
    await start({ num_jobs: Number(jobs.value), ...duration }).catch((error) => fill(refused, problemNotice(error)));
  });
  tell();
  return el(
    "form",
    { class: "card stack", onsubmit: submit, oninput: tell },
    el("h2", {}, "A run in two numbers"),
    el(
      "div",
      { class: "grid" },
      field(jobs, "Jobs", "All start at once and run at the same time."),
      field(time, "Each takes, in ms", "How long a job lasts."),
    ),
    told,
    refused,
    el("div", { class: "row" }, button("Start the run", null, { kind: "primary", type: "submit" })),
  );
}

const input = (name, attributes) => el("input", { id: name, name, type: "number", inputmode: "numeric", ...attributes });

const field = (control, label, hint) => {
  control.setAttribute("aria-describedby", `${control.id}-hint`);
  return el(
    "div",
    { class: "field" },
    el("label", { for: control.id }, label),
    control,
    el("span", { class: "hint", id: `${control.id}-hint` }, hint),
  );
};

/** What such a run comes to on a machine that keeps up. */
function expectation(jobs, ms) {
  if (!(jobs > 0) || !(ms > 0)) return "";
  return `About ${seconds(ms / 1000)} in all: ${count(jobs)} jobs at ${rate(Number((jobs / (ms / 1000)).toPrecision(3)))}.`;
}
