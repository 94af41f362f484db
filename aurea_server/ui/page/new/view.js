// A new run.

import { post } from "../app/api.js";
import { button, fill, heading, href } from "../app/dom.js";
import { attempt } from "../app/notices.js";

export async function show({ main }) {
  const start = attempt(async () => {
    const run = await post("benchmark/run", { num_jobs: 100, job_duration_ms: 100 }, { headers: { Prefer: "respond-async" } });
    location.hash = href("run", run.benchmark_id);
  });
  fill(main, heading("New run"), button("Start", start, { kind: "primary" }));
}
