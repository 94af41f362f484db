// Figures that change in place: each is made once, and afterwards only its text is replaced, and only if it is another.

import { figure } from "../app/dom.js";
import { NOTHING } from "../app/format.js";
import { at, pathOf } from "./run.js";

/** A figure that does not change: the number at `path` of the resource, written by `write`. */
export const shown = (path, value, write) => figure(path, value, write(value ?? null));

export class Slots {
  constructor() {
    this.slots = new Map();
  }

  /** An element with the figure at `path`, written by `format(value, run)`. */
  slot(run, path, format) {
    const node = figure(pathOf(run, path), null, NOTHING);
    const read = (now) => at(now, path);
    this.slots.set(node, { path, format, read, last: undefined });
    return node;
  }

  /** A text that changes, and is no figure. */
  text(write) {
    const node = document.createElement("span");
    this.slots.set(node, { write, last: undefined });
    return node;
  }

  clear() {
    this.slots.clear();
  }

  update(run) {
    for (const [node, slot] of this.slots) {
      const value = slot.write ? slot.write(run) : slot.read(run);
      if (value === slot.last) continue;
      slot.last = value;
      node.textContent = slot.write ? value : slot.format(value === null ? null : Number(value), run);
      if (!slot.write) node.setAttribute("value", value ?? "");
    }
  }
}
