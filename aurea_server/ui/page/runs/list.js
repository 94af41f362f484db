// The runs that the list has read so far, page by page, and what is known of them since.

import { get } from "../app/api.js";

const PAGE = 50;

export class RunList {
  constructor(signal) {
    Object.assign(this, { signal, runs: [], cursor: null, filter: {}, live: new Map() });
  }

  /**
   * Begin again: `filter` may have `status`, `label` and `trials`: whether trials of searches are shown. Returns false
   * where it was begun once more before the answer came: the older of two answers may be the later one.
   */
  async start(filter) {
    const wanted = (this.filter = { ...filter });
    const page = await this.read();
    if (wanted !== this.filter) return false;
    Object.assign(this, { runs: page.runs, cursor: page.next });
    return true;
  }

  /** The next page. */
  async more() {
    const { filter } = this;
    const page = await this.read(this.cursor);
    if (filter !== this.filter) return;
    const known = new Set(this.runs.map(identify));
    this.runs = [...this.runs, ...page.runs.filter((run) => !known.has(identify(run)))];
    this.cursor = page.next;
  }

  /** Read the newest page again; older ones, which the reader has asked for, stay as they are. `quiet`: without asking. */
  async refresh(quiet) {
    const filter = this.filter;
    const page = await this.read(null, { quiet });
    if (filter !== this.filter) return; // meanwhile the reader wants others
    const last = page.runs.at(-1);
    const older = page.next === null ? [] : this.runs.filter((run) => run.created_time < last.created_time);
    const reaches = older.length === 0;
    this.runs = [...page.runs, ...older];
    if (reaches) this.cursor = page.next;
    const active = new Set(this.runs.filter(isActive).map(identify));
    for (const id of this.live.keys()) if (!active.has(id)) this.live.delete(id);
  }

  /** A message of the feed. Returns whether the list has to be read again. */
  hear({ kind, id, data }) {
    if (kind === "progress") this.live.set(id, data);
    if (kind === "deleted") this.runs = this.runs.filter((run) => identify(run) !== id);
    return kind === "resync" || kind === "state" || kind === "end";
  }

  read(cursor, options = {}) {
    // A search may have two hundred trials: they are shown where the reader asks for them.
    const { trials, ...filter } = this.filter;
    const query = { limit: PAGE, cursor, search: trials ? "" : "none", ...filter };
    return get("benchmark/runs", { signal: this.signal, query, ...options });
  }

  /** A run with its latest figures: those of the feed while it is active. */
  latest(run) {
    const live = isActive(run) ? this.live.get(identify(run)) : null;
    if (!live) return run;
    const { throughput, p99, cost, so_far: soFar } = live;
    return { ...run, status: "running", throughput, p99, total_cost: cost, currency: soFar?.currency, progress: live };
  }
}

export const identify = (run) => run.benchmark_id;
export const isActive = (run) => run.status === "queued" || run.status === "running";
export const nameOf = (run) => run.label || identify(run);
