// The list of runs.

import { get } from "../app/api.js";
import { fill, heading, href, link, table } from "../app/dom.js";
import { watch } from "../app/feed.js";
import { words } from "../app/format.js";

export async function show({ main, signal }) {
  const draw = async () => {
    const { runs } = await get("benchmark/runs", { signal });
    const columns = [
      { title: "Run", head: true, cell: (run) => link(run.label ?? run.benchmark_id, href("run", run.benchmark_id)) },
      { title: "Status", cell: (run) => words(run.status) },
    ];
    fill(main, heading("Runs"), table({ caption: "Runs", columns, rows: runs }));
  };
  await draw();
  watch(({ kind }) => kind !== "progress" && draw().catch(() => {}), signal);
}
