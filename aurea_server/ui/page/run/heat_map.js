// The heat map: how many jobs ended when, after which response time. It shows two modes that a quantile hides.

import { color } from "../app/chart.js";
import { el, fill } from "../app/dom.js";
import { number, seconds } from "../app/format.js";
import { explore } from "./explore.js";
import { findRange, sumColumns } from "./heat_columns.js";
import { cellBounds } from "./points.js";
import { linear, logarithmic } from "./scales.js";

const HEIGHT = 260,
  LEFT = 68,
  RIGHT = 26,
  TOP = 8,
  BOTTOM = 24;
const LEVELS = 5;
const NOTE = "How many completed jobs ended when, after which response time; depths and times are on logarithmic scales.";

export class HeatMap {
  /** `onPoint(seconds)`: where the pointer is on the axis of time, null where it has left. */
  constructor(host, signal, onPoint) {
    this.onPoint = onPoint;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.cross = el("i", { class: "cross", hidden: true });
    this.place = el("div", { class: "heat" }, this.canvas, this.cross);
    this.key = el("ul", { class: "legend" });
    this.note = el("p", { class: "readout small" }, NOTE);
    this.frame = el(
      "section",
      { class: "card", "data-chart": "heat-map", hidden: true },
      el(
        "figure",
        { class: "chart" },
        el("figcaption", {}, el("h3", {}, "Response times over time"), this.key),
        this.note,
        this.place,
      ),
    );
    this.frame.chart = { title: "Response times over time", data: [] };
    host.append(this.frame);
    explore(this.place, {
      label: "Response times over time",
      count: () => this.columns?.length ?? 0,
      read: (i) => this.tell(i),
      show: (i) => this.point(i, null),
    });
    this.place.addEventListener("pointermove", (event) => this.hover(event));
    this.place.addEventListener("pointerleave", () => this.leave());
    this.keepUp(signal);
  }

  /** The colours and the width of a canvas are its own. */
  keepUp(signal) {
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.render(), { signal });
    const resized = new ResizeObserver(() => this.place.clientWidth !== this.width && this.render());
    resized.observe(this.place);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  update(points) {
    this.points = points;
    this.range = points.known.has("heat") && points.length > 1 ? findRange(points.columns.heat) : null;
    this.frame.hidden = this.range === null;
    if (!this.range) return;
    this.frame.chart.data = points.columns.heat;
    this.render();
  }

  render() {
    if (!this.range || this.frame.hidden || !this.place.clientWidth) return;
    this.width = this.place.clientWidth;
    const {
      points,
      range: [least, most],
    } = this;
    this.inner = this.width - LEFT - RIGHT;
    // Two pixels a column at least; narrower points are summed, so none is lost.
    this.step = points.width * Math.max(1, Math.ceil((2 * points.end) / (this.inner * points.width)));
    this.columns = sumColumns(points, this.step);
    this.x = linear(0, points.end);
    this.y = logarithmic(cellBounds(least, points.cells)[0], cellBounds(most, points.cells)[1]);
    this.peak = 0; // they may be more than a call can have arguments
    for (const column of this.columns) for (const count of column.values()) this.peak = Math.max(this.peak, count);
    const ratio = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(this.width * ratio), height: Math.round(HEIGHT * ratio) });
    this.canvas.style.setProperty("block-size", `${HEIGHT}px`);
    const context = this.canvas.getContext("2d");
    context.scale(ratio, ratio);
    this.paint(context);
    this.paintAxes(context);
    this.drawKey();
  }

  /** One pixel a cell, drawn larger: a rectangle a cell would take a hundred times as long. */
  paint(context) {
    const [least, most] = this.range,
      rows = most - least + 1,
      { length } = this.columns;
    const image = new ImageData(length, rows);
    const palette = Array.from({ length: LEVELS }, (_, level) => parse(context, color(`heat-${level + 1}`)));
    const span = Math.log(this.peak) || 1;
    this.columns.forEach((column, at) => {
      for (const [cell, count] of column) {
        const row = most - Math.max(cell, least);
        const level = Math.min(LEVELS - 1, Math.floor((Math.log(count) / span) * LEVELS));
        image.data.set(palette[level], 4 * (row * length + at));
      }
    });
    const small = Object.assign(document.createElement("canvas"), { width: length, height: rows });
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP, this.inner, HEIGHT - TOP - BOTTOM); // the last column is as wide as the run was in it
    context.clip();
    context.drawImage(small, LEFT, TOP, this.acrossOf(length), HEIGHT - TOP - BOTTOM);
    context.restore();
  }

  /** How far a column is from the left, pixels. */
  acrossOf(column) {
    return (column * this.step * this.inner) / this.points.end;
  }

  paintAxes(context) {
    const foot = HEIGHT - BOTTOM;
    Object.assign(context, {
      fillStyle: color("soft"),
      strokeStyle: color("line"),
      font: `12px ${color("sans")}`,
      textAlign: "right",
      textBaseline: "middle",
      globalAlpha: 1,
    });
    for (const tick of this.y.ticks(6)) {
      const y = Math.round(foot - this.y.place(tick) * (foot - TOP)) + 0.5;
      context.fillText(seconds(tick), LEFT - 8, y);
      context.globalAlpha = 0.5;
      context.strokeRect(LEFT, y, this.inner, 0);
      context.globalAlpha = 1;
    }
    Object.assign(context, { textAlign: "center", textBaseline: "top" });
    for (const tick of this.x.ticks(Math.max(2, Math.floor(this.inner / 90))))
      context.fillText(seconds(tick), LEFT + this.x.place(tick) * this.inner, foot + 8);
  }

  drawKey() {
    if (this.keyed === this.peak) return;
    this.keyed = this.peak;
    fill(
      this.key,
      el("li", {}, "1"),
      el(
        "li",
        { class: "depths", "aria-hidden": "true" },
        Array.from({ length: LEVELS }, (_, level) => el("i", { style: { "--colour": `var(--heat-${level + 1})` } })),
      ),
      el("li", {}, `${number(this.peak)} job${this.peak > 1 ? "s" : ""}`),
    );
  }

  hover(event) {
    if (!this.columns) return;
    const box = this.place.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / this.inner;
    const up = (HEIGHT - BOTTOM - (event.clientY - box.top)) / (HEIGHT - TOP - BOTTOM);
    if (share < 0 || share >= 1 || up < 0 || up > 1) return this.leave();
    this.onPoint(share * this.points.end);
    const [least, most] = this.range;
    return this.point(
      Math.min(this.columns.length - 1, Math.floor((share * this.points.end) / this.step)),
      least + Math.min(most - least, Math.floor(up * (most - least + 1))),
    );
  }

  leave() {
    this.onPoint(null);
    this.point(null);
  }

  /** The cross alone, at an instant: the pointer is on another chart. */
  follow(at) {
    this.cross.hidden = at === null || !this.columns || at > this.points.end;
    if (!this.cross.hidden)
      this.cross.style.setProperty("transform", `translateX(${LEFT + this.x.place(at) * this.inner}px)`);
  }

  /** Only the cross and a line of text change: the map stays as it is. */
  point(column, cell = null) {
    this.cross.hidden = column === null;
    if (column === null) {
      this.note.textContent = NOTE;
      return;
    }
    this.cross.style.setProperty("transform", `translateX(${LEFT + Math.min(this.acrossOf(column + 0.5), this.inner)}px)`);
    this.note.textContent = cell === null ? this.tell(column) : this.tellCell(column, cell);
  }

  stretch(column) {
    return `${seconds(column * this.step)} to ${seconds(Math.min((column + 1) * this.step, this.points.end))}`;
  }

  tellCell(column, cell) {
    const [low, high] = cellBounds(cell, this.points.cells);
    const many = number(this.columns[column].get(cell) ?? 0);
    return `${this.stretch(column)}, ${seconds(low)} to ${seconds(high)}: ${many} jobs`;
  }

  /** A column in words: how many jobs, from where to where, and where most were. */
  tell(column) {
    const cells = [...this.columns[column]].sort(([a], [b]) => a - b);
    if (!cells.length) return `${this.stretch(column)}: no job completed`;
    const total = cells.reduce((sum, [, count]) => sum + count, 0);
    const [most] = cells.reduce((best, each) => (each[1] > best[1] ? each : best));
    const bounds = (cell) => cellBounds(cell, this.points.cells);
    const [least] = bounds(cells[0][0]),
      [, greatest] = bounds(cells.at(-1)[0]);
    const about = seconds(Math.sqrt(bounds(most)[0] * bounds(most)[1]));
    const range = `from ${seconds(least)} to ${seconds(greatest)}`;
    return `${this.stretch(column)}: ${number(total)} jobs ${range}, most about ${about}`;
  }
}

function parse(context, text) {
  // The canvas itself reads colours, however the style sheet writes them: it gives them back as #rrggbb.
  context.fillStyle = text;
  const hex = context.fillStyle;
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)).concat(255);
}
