// Capacity searches: the list and the form, or one of them, live and afterwards.

import { get } from "../app/api.js";
import { badge, el, fill, heading, href, link, table, time } from "../app/dom.js";
import { watch } from "../app/feed.js";
import { ago, tone, words } from "../app/format.js";
import { drawForm } from "./form.js";
import { showSearch } from "./search.js";
import { writeValue } from "./trials.js";

export async function show(view) {
  if (view.args[0]) return showSearch(view.args[0], view);
  return showList(view);
}

async function showList({ main, query, signal }) {
  const list = el("div");
  const draw = async () => {
    const { searches } = await get("benchmark/searches", { signal, query: { limit: "50" } });
    fill(list, el("section", { class: "card flush" }, tabulate(searches)));
  };
  const from = query.get("from");
  fill(
    main,
    heading("Capacity"),
    el(
      "p",
      { class: "muted" },
      "How much load a system bears while its objectives hold, and what a million good jobs cost there.",
    ),
    await drawForm(from, signal),
    list,
  );
  await draw();
  // Not at each of a trial's many events: the list shows states and brackets.
  const told = ["state", "trial", "bracket", "end", "deleted", "resync"];
  let due = null;
  watch(({ kind }) => {
    if (due || !told.includes(kind)) return;
    due = setTimeout(() => {
      due = null;
      draw().catch(() => {});
    }, 500);
  }, signal);
}

function tabulate(searches) {
  const columns = [
    { title: "Search", head: true, cell: ({ search_id: id, label }) => link(label ?? id, href("capacity", id)) },
    {
      title: "Status",
      cell: ({ status, answer }) => badge(words(answer?.status ?? status), tone(answer?.status ?? status)),
    },
    {
      title: "Capacity",
      number: true,
      cell: ({ answer }) => (answer ? el("span", {}, writeValue(answer.variable, answer.value)) : "–"),
    },
    {
      title: "Between",
      number: true,
      cell: ({ progress, search }) =>
        progress
          ? `${writeValue(search.variable, progress.bracket.low)} and ${writeValue(search.variable, progress.bracket.high)}`
          : "–",
    },
    { title: "Trials", number: true, cell: ({ progress }) => progress?.trials ?? "–" },
    { title: "Created", cell: ({ created_time: at }) => time(at, ago(at)) },
  ];
  return table({
    caption: "Searches",
    columns,
    rows: searches,
    empty: "No search yet: begin one above.",
    row: ({ search_id: id }) => ({ "data-search": id }),
  });
}
