// One run or search from its beginning: what is kept of it, and then the feed, each event once and in order.
//
// The feed begins with the present. What was before comes from the run's own stream, which is read only until the feed has
// caught up with it. While there is no feed, the run is read once a second instead, and its beginning is not told.

import { get } from "./api.js";
import { readEvents } from "./event_stream.js";
import { mode, watch } from "./feed.js";

/** The address of a run or a search, by its id. */
export const resource = (id) => `benchmark/${id.startsWith("search-") ? "searches" : "runs"}/${id}`;

/** Whether such a message of another run or search may change the place in the queue of one that waits. */
export const movesQueue = (kind) => ["state", "end", "resync"].includes(kind);

/** `listener({kind, id, number, data})`, until `signal` or the end. */
export function follow(id, listener, signal) {
  const following = new Following(id, listener, signal);
  watch((message) => following.hear(message), signal);
  following.catchUp();
}

class Following {
  constructor(id, listener, signal) {
    Object.assign(this, { id, listener, signal, last: 0, waiting: [], reading: null, ended: false, polling: false });
    this.found = new Set();
  }

  /** A message of the feed. */
  hear(message) {
    if (message.kind === "resync") return mode() === "live" ? this.catchUp() : this.poll();
    if (message.id !== this.id) return undefined;
    if (message.kind === "deleted") return this.listener(message);
    if (this.reading) return this.wait(message);
    return message.number > this.last + 1 ? this.catchUp([message]) : this.pass(message);
  }

  /** Events that come while the past is read are kept; the first that both have ends the reading. */
  wait(message) {
    this.waiting.push(message);
    if (message.number <= this.last) this.reading.abort();
  }

  pass(message) {
    // A run whose events the server no longer has is told as one event, its end, which is then the first.
    const isKnown = message.number <= this.last && message.kind !== "end";
    if (isKnown || this.signal.aborted || this.ended) return;
    this.last = message.number;
    this.ended = message.kind === "end";
    this.listener(message);
    if (this.reading && this.waiting.some(({ number }) => number <= this.last)) this.reading.abort();
  }

  async catchUp(waiting = []) {
    if (this.reading || this.ended || this.signal.aborted) return;
    this.waiting = waiting;
    const reading = (this.reading = new AbortController());
    const stop = () => reading.abort();
    this.signal.addEventListener("abort", stop);
    const onEvent = ({ kind, number, data }) => this.pass({ kind, id: this.id, number, data });
    await readEvents(`${resource(this.id)}/events`, { after: this.last, signal: reading.signal, onEvent }).catch(() => {});
    this.signal.removeEventListener("abort", stop);
    this.reading = null;
    this.waiting.forEach((message) => this.pass(message));
  }

  /** Where there is no stream: as if the latest of each kind had just come. */
  async poll() {
    if (this.polling || this.ended || this.reading) return;
    this.polling = true;
    const run = await get(resource(this.id), { signal: this.signal, quiet: true }).catch(() => null);
    this.polling = false;
    if (run && !this.signal.aborted && !this.ended) this.report(run);
  }

  report(run) {
    const say = (kind, data) => this.listener({ kind, id: this.id, number: null, data });
    const isActive = run.status === "queued" || run.status === "running";
    if (!isActive) {
      this.ended = true;
      say("end", { status: run.status, verdict: run.verdict, throughput: run.throughput, reason: run.reason?.code ?? null });
      return;
    }
    say("state", { status: run.status });
    if (run.progress) say("progress", run.progress);
    for (const finding of run.findings ?? []) {
      if (!this.found.has(finding.code)) say("finding", finding);
      this.found.add(finding.code);
    }
  }
}
