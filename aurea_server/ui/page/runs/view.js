// The list of runs: newest first, live, to be filtered, and the place from which two of them are compared.

import { post, remove } from "../app/api.js";
import { button, el, fill, heading, href, link } from "../app/dom.js";
import { watch } from "../app/feed.js";
import { announce, attempt, confirm, problemNotice, say } from "../app/notices.js";
import { SignedOut } from "../app/session.js";
import { RunList, identify, isActive, nameOf } from "./list.js";
import { RunRow, headRow } from "./rows.js";
import { toolbar } from "./toolbar.js";

// So that a hundred short runs in a second are read once, and the last of them is not missed.
const REFRESH_MS = 300;
const AGE_MS = 20_000;

export async function show({ main, signal }) {
  const view = new RunsView(main, signal);
  await view.list.start({});
  view.draw();
  watch((message) => view.hear(message), signal);
  view.refreshSoon(); // for what has happened since the server read the list
}

class RunsView {
  constructor(main, signal) {
    this.list = new RunList(signal);
    this.signal = signal;
    this.rows = new Map();
    this.picked = [];
    Object.assign(this, { declined: false, told: "", notBefore: 0 });
    this.body = el("tbody");
    this.compare = el("a", { class: "button" });
    this.more = button(
      "Show older runs",
      attempt(() => this.showMore()),
    );
    this.notice = el("div", { role: "status" });
    const table = el(
      "table",
      { class: "table runs" },
      el("caption", { class: "hidden-text" }, "Runs, newest first"),
      el("thead", {}, headRow()),
      this.body,
    );
    this.card = el(
      "div",
      { class: "card flush" },
      el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Runs" }, table),
    );
    const start = link("New run", href("new"), { class: "button primary" });
    const foot = el("div", { class: "row center" }, this.more);
    const filters = toolbar(
      attempt((filter) => this.filter(filter)),
      this.compare,
    );
    fill(main, heading("Runs", start), filters, this.notice, this.card, foot);
    this.card.hidden = this.more.hidden = true; // until something is known
    this.drawCompare();
    const aging = setInterval(() => this.draw(), AGE_MS);
    signal.addEventListener("abort", () => clearInterval(aging));
  }

  async filter(filter) {
    if (!(await this.list.start(filter))) return;
    this.draw();
    say(`${this.list.runs.length} runs shown`);
  }

  async showMore() {
    await this.list.more();
    this.draw();
  }

  hear(message) {
    if (this.list.hear(message)) this.refreshSoon();
    else this.draw();
  }

  /** Not before the server wants to be asked again. */
  refreshSoon() {
    this.isStale = true;
    const pause = Math.max(REFRESH_MS, this.notBefore - Date.now());
    this.refreshing ??= setTimeout(() => this.refresh(), pause);
  }

  async refresh() {
    this.isStale = false;
    try {
      await this.list.refresh(this.declined);
      this.tell(null);
      this.draw();
    } catch (error) {
      // Who has declined to sign in once is not asked at each event.
      this.declined ||= error instanceof SignedOut;
      this.notBefore = Date.now() + 1000 * (error.retryAfter ?? 0);
      if (!this.signal.aborted) this.tell(error);
    } finally {
      this.refreshing = undefined;
      if (this.isStale && !this.signal.aborted) this.refreshSoon(); // an event came while it was read
    }
  }

  /** A refusal that is shown already is not announced again each second. */
  tell(error) {
    const told = error?.message ?? "";
    if (told === this.told) return;
    this.told = told;
    const again = attempt(() => this.again());
    fill(this.notice, error && problemNotice(error, again));
  }

  /** The reader asks for it. */
  async again() {
    await this.list.start(this.list.filter);
    this.declined = false;
    this.tell(null);
    this.draw();
  }

  draw() {
    if (this.signal.aborted) return;
    const shown = this.list.runs.map((run) => this.rowOf(this.list.latest(run)));
    place(this.body, shown);
    const known = new Set(this.list.runs.map(identify));
    for (const id of this.rows.keys()) if (!known.has(id)) this.rows.delete(id);
    this.picked = this.picked.filter((id) => known.has(id));
    this.drawEmpty(shown.length === 0);
    this.more.hidden = this.list.cursor === null;
    this.drawCompare();
  }

  rowOf(run) {
    const id = identify(run);
    const actions = { pick: (...picked) => this.pick(...picked), end: attempt((ended) => this.end(ended)) };
    const row = this.rows.get(id) ?? new RunRow(actions);
    this.rows.set(id, row);
    row.show(run, this.picked.includes(id));
    return row.node;
  }

  drawEmpty(isEmpty) {
    this.empty?.remove();
    this.card.hidden = isEmpty;
    if (!isEmpty) return;
    const filtered = this.list.filter.label || this.list.filter.status;
    this.empty = filtered ? el("p", { class: "card empty" }, "No run is like that.") : welcome();
    this.card.after(this.empty);
  }

  /** Two at most: a third takes the place of the first. */
  pick(id, isPicked) {
    this.picked = [...this.picked.filter((each) => each !== id), ...(isPicked ? [id] : [])].slice(-2);
    this.draw();
  }

  drawCompare() {
    const [one, two] = [...this.picked].sort((a, b) => number(a) - number(b));
    this.compare.textContent = two ? "Compare the two" : `Compare: ${one ? "pick one more" : "pick two runs"}`;
    this.compare.classList.toggle("primary", Boolean(two));
    // The older one is what the newer is judged by. A link without an address cannot be followed or focused.
    if (two) this.compare.href = href("compare", one, two);
    else this.compare.removeAttribute("href");
    this.compare.setAttribute("aria-disabled", String(!two));
  }

  /** Cancel what is active; delete what has ended, if the reader is sure. */
  async end(run) {
    const id = identify(run);
    if (isActive(run)) {
      await post(`benchmark/runs/${id}/cancel`, {});
      announce(`${nameOf(run)} is being cancelled`);
    } else if (await confirm(`Delete “${nameOf(run)}”, with its figures and jobs? This cannot be undone.`, "Delete")) {
      await remove(`benchmark/runs/${id}`);
      this.list.hear({ kind: "deleted", id });
      this.draw();
      announce(`${nameOf(run)} is deleted`);
    }
  }
}

const number = (id) => Number(id.replace(/\D/g, ""));

/** The nodes in their order, moving none that is in its place already: one that is moved loses the focus. */
function place(parent, nodes) {
  nodes.forEach((node, i) => {
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}

const welcome = () =>
  el(
    "div",
    { class: "card empty stack" },
    el("h2", {}, "No runs yet"),
    el("p", {}, "A run is one load test: its throughput, its response times, and what it cost."),
    el("p", {}, link("Start the first one", href("new"), { class: "button primary" })),
  );
