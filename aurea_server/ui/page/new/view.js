// A new run: two numbers, or a whole specification with the server's hints beside it.

import { get, post } from "../app/api.js";
import { button, el, fill, heading, href } from "../app/dom.js";
import { attempt, problemNotice } from "../app/notices.js";
import { requestOf } from "../run/run.js";
import { Editor } from "./editor.js";
import { EXAMPLES } from "./examples.js";
import { showHints } from "./hints.js";
import { quickForm } from "./quick.js";
import { loadSchemas } from "./schema.js";

export async function show({ main, query, signal }) {
  const from = query.get("from");
  const given =
    from && requestOf(await get(`benchmark/runs/${encodeURIComponent(from)}`, { signal, query: { jobs: "0" } }));
  const place = el("div");
  const tabs = el("div", { class: "segmented", role: "group", "aria-label": "Form" });
  let full = null;
  const choose = (name, specification) => {
    if (name === "full") full ??= fullForm(signal);
    if (specification) full.editor.set(specification);
    fill(place, name === "full" ? full.node : quickPage((example) => choose("full", example)));
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.form === name));
  };
  const tab = (name, title, first) =>
    el("button", { type: "button", "data-form": name, onclick: () => choose(name, full ? null : first) }, title);
  fill(tabs, tab("quick", "Two numbers"), tab("full", "Full specification", EXAMPLES[1].specification));
  fill(main, heading("New run", tabs), place);
  if (given) choose("full", given);
  else choose("quick");
}

const quickPage = (choose) =>
  el("div", { class: "quick" }, quickForm(start), examples("Or from an example, which you can change", choose));

/** Start a run and follow it. */
async function start(specification) {
  const run = await post("benchmark/run", specification, { headers: { Prefer: "respond-async" } });
  location.hash = href("run", run.benchmark_id);
}

async function startSearch(specification) {
  const search = await post("benchmark/searches", specification);
  location.hash = href("capacity", search.search_id);
}

/** The editor, and the element that it is in. */
function fullForm(signal) {
  const hints = el(
    "aside",
    { class: "card stack hints", "aria-label": "Hints" },
    el("p", { class: "muted" }, "Reading the hints …"),
  );
  const refused = el("div");
  let schemas = null;
  const tell = () => schemas && showHints(hints, schemas, editor.text, editor.caret, editor);
  const editor = new Editor(signal, () => tell());
  const begin = (work) =>
    attempt(async () => {
      fill(refused);
      await work(editor.text).catch((error) => fill(refused, problemNotice(error)));
    });
  loadSchemas().then(
    (loaded) => {
      schemas = loaded;
      tell();
    },
    (error) => fill(hints, problemNotice(error)),
  );
  const node = el(
    "div",
    { class: "stack full-form" },
    examples("Start from an example", (value) => editor.set(value)),
    el(
      "div",
      { class: "full" },
      el(
        "div",
        { class: "card stack" },
        editor.node,
        refused,
        el(
          "div",
          { class: "row" },
          button("Start the run", begin(start), { kind: "primary" }),
          button("Search its capacity", begin(startSearch), { title: "The largest rate at which the objectives hold" }),
        ),
      ),
      hints,
    ),
  );
  return { editor, node };
}

const examples = (title, choose) =>
  el(
    "section",
    { class: "stack", "aria-labelledby": "examples" },
    el("h2", { id: "examples" }, title),
    el(
      "div",
      { class: "examples" },
      EXAMPLES.map((example) => exampleButton(example, choose)),
    ),
  );

const exampleButton = ({ name, about, specification }, choose) =>
  el(
    "button",
    { type: "button", class: "card example", onclick: () => choose(specification) },
    el("strong", {}, name),
    el("small", {}, about),
  );
