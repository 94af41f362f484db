// The text of a specification: numbered lines, checked by the server as it is written, problems at their places.

import { post } from "../app/api.js";
import { button, el, fill } from "../app/dom.js";
import { count, seconds } from "../app/format.js";
import { problemNotice } from "../app/notices.js";
import { find, scan } from "./places.js";

// Long enough that a word is not checked letter by letter.
const PAUSE_MS = 350;

export class Editor {
  /** `onMove()` after each change of the text or of the caret. */
  constructor(signal, onMove) {
    Object.assign(this, { onMove, checking: null });
    this.area = el("textarea", {
      id: "specification",
      class: "mono",
      rows: "24",
      wrap: "off",
      spellcheck: "false",
      autocapitalize: "off",
      autocomplete: "off",
      "aria-describedby": "checked",
      oninput: () => this.changed(),
      onkeydown: (event) => this.key(event),
      onscroll: () => {
        this.lines.scrollTop = this.area.scrollTop;
      },
    });
    this.lines = el("pre", { class: "lines mono", "aria-hidden": "true" });
    this.state = el("div", { id: "checked", class: "checked", role: "status" });
    this.node = el(
      "div",
      { class: "field" },
      el("label", { for: "specification" }, "Specification, as JSON"),
      el("div", { class: "editor" }, this.lines, this.area),
      this.state,
    );
    const moved = () => document.activeElement === this.area && onMove();
    document.addEventListener("selectionchange", moved, { signal });
    signal.addEventListener("abort", () => this.checking?.abort());
  }

  get text() {
    return this.area.value;
  }

  get caret() {
    return this.area.selectionStart;
  }

  /** Replace everything. */
  set(value) {
    this.area.value = JSON.stringify(value, null, 2);
    this.area.setSelectionRange(0, 0);
    this.area.scrollTop = 0;
    this.changed();
  }

  /** Write over a part, in a way that the reader can undo. */
  write(start, end, text) {
    this.area.focus();
    this.area.setSelectionRange(start, end);
    // The one way that keeps the history of changes; where it is gone, the change itself is what matters.
    if (!document.execCommand("insertText", false, text)) this.area.setRangeText(text, start, end, "end");
    this.changed();
  }

  /** Add a member to an object, as its last. */
  add(object, name, value) {
    if (!object) return this.set({ [name]: value });
    const inner = indent(this.text, object.valueStart) + "  ";
    const member = `${JSON.stringify(name)}: ${render(value, inner)}`;
    const last = object.members.at(-1);
    const at = last ? last.end : object.valueStart + 1;
    const rest = last ? "" : `\n${inner.slice(2)}`;
    this.write(at, last ? at : this.emptyEnd(at), `${last ? "," : ""}\n${inner}${member}${rest}`);
    const place = find(scan(this.text), [...pathTo(object), name].join("."));
    if (place.key === name) this.area.setSelectionRange(place.valueStart, place.end);
    return this.onMove();
  }

  /** The white space in an object without members goes. */
  emptyEnd(at) {
    return at + /^\s*/.exec(this.text.slice(at))[0].length;
  }

  replace(node, value) {
    if (!node) return this.set(value);
    return this.write(node.valueStart, node.end, render(value, indent(this.text, node.valueStart)));
  }

  /** Select what is at a path of the server's. */
  select(path) {
    const node = find(scan(this.text), path);
    if (!node) return;
    this.area.focus();
    this.area.setSelectionRange(node.start, node.end);
    const line = this.text.slice(0, node.start).split("\n").length;
    this.area.scrollTop = Math.max(0, line - 6) * parseFloat(getComputedStyle(this.area).lineHeight);
    this.onMove();
  }

  /** A new line begins where the one before began. Tab goes on to the next control, as everywhere. */
  key(event) {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.isComposing) return;
    event.preventDefault();
    const deeper = /[{[]\s*$/.test(this.text.slice(0, this.caret).split("\n").pop()) ? "  " : "";
    this.write(this.caret, this.area.selectionEnd, `\n${indent(this.text, this.caret)}${deeper}`);
  }

  changed() {
    const many = this.text.split("\n").length;
    if (this.lines.childElementCount !== many)
      fill(
        this.lines,
        Array.from({ length: many }, (_, i) => el("span", {}, `${i + 1}\n`)),
      );
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), PAUSE_MS);
    this.onMove();
  }

  /** Ask the server. An answer to an older text is not shown. */
  async check() {
    this.checking?.abort();
    if (!this.text.trim())
      return this.show([], el("p", { class: "muted" }, "Write a specification, or start from an example."));
    const { signal } = (this.checking = new AbortController());
    try {
      const { spec, problem } = await post("benchmark/check", this.text, { signal });
      if (spec) this.show([], el("p", { class: "good" }, summary(spec)));
      else this.show(problem.problems, this.problemList(problem.problems));
    } catch (error) {
      if (!signal.aborted) this.show([], problemNotice(error));
    }
    return undefined;
  }

  /** `problems` mark their lines. */
  show(problems, node) {
    this.area.setAttribute("aria-invalid", String(problems.length > 0));
    const root = scan(this.text);
    const places = problems.map(({ path }) => find(root, path)).filter(Boolean);
    const wrong = new Set(places.map(({ start }) => this.text.slice(0, start).split("\n").length - 1));
    [...this.lines.children].forEach((line, i) => line.classList.toggle("wrong", wrong.has(i)));
    fill(this.state, node);
  }

  /** Each problem is a button that leads to its place. */
  problemList(problems) {
    const one = ({ path, problem, got }) => [
      button(path || "the whole", () => this.select(path), { kind: "quiet compact mono" }),
      el("span", {}, problem, got && el("span", { class: "muted" }, ` (got ${got})`)),
    ];
    return el(
      "ul",
      { class: "problems" },
      problems.map((each) => el("li", {}, one(each))),
    );
  }
}

const pathTo = (node) => (node.parent?.parent ? [...pathTo(node.parent), node.key] : []);

/** The white space that the line of `offset` begins with. */
const indent = (text, offset) => /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", offset - 1) + 1))[0];

const render = (value, before) => JSON.stringify(value, null, 2).replaceAll("\n", `\n${before}`);

/** What would be run, in a line. */
function summary({ workload, clock, objectives = [] }) {
  const { jobs, duration, job, arrivals } = workload;
  const many = `${count(jobs)} ${jobs === 1 ? "job" : "jobs"}`;
  const extent = duration === null ? many : `${seconds(duration)} of arrivals${jobs === null ? "" : `, at most ${many}`}`;
  const judged = objectives.length ? `, ${objectives.length} objective${objectives.length > 1 ? "s" : ""}` : "";
  return `Ready: ${job.kind} jobs, ${arrivals.kind.replaceAll("_", " ")} arrivals, ${extent}, in ${clock} time${judged}.`;
}
