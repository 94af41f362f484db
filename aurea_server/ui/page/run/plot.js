// A chart that is not over time: lines, bars and dots between two axes, as SVG of the size of its place.

import { el, fill, svg } from "../app/dom.js";
import { explore } from "./explore.js";

const LEFT = 58,
  RIGHT = 14,
  TOP = 10,
  BOTTOM = 26;

/**
 * `draw` takes {x, y} (scales), `lines` [{xs, ys, color, label, dash, step}], `bars` [{low, high, y}], `dots` [{x, y,
 * color, label, hollow}], `rules` [{x | y, label, tone}], `stops` (x of each point) and `read` (i → text of it).
 * `host.chart.data` has the numbers: `table`, or xs and ys of each line.
 */
export class Plot {
  constructor(host, { title, note = "", height = 220, x, y, signal }) {
    Object.assign(this, { host, title, height, formatX: x, formatY: y, data: null, width: 0 });
    this.told = note;
    this.note = el("p", { class: "readout small" }, note);
    this.legend = el("ul", { class: "legend" });
    this.layers = Object.fromEntries(
      ["axes", "bars", "lines", "rules", "dots", "cursor"].map((name) => [name, svg("g", { class: name })]),
    );
    this.picture = svg("svg", { height, "aria-hidden": "true" }, Object.values(this.layers));
    this.place = el("div", { class: "plot" }, this.picture);
    host.append(
      el("figure", { class: "chart" }, el("figcaption", {}, el("h3", {}, title), this.legend), this.note, this.place),
    );
    host.chart = { title, data: [] };
    explore(this.place, {
      label: title,
      count: () => this.data?.stops?.length ?? 0,
      read: (i) => this.data.read(i),
      show: (i) => this.mark(i),
    });
    this.place.addEventListener("pointermove", (event) => this.hover(event));
    this.place.addEventListener("pointerleave", () => this.mark(null));
    const resized = new ResizeObserver(() => this.place.clientWidth !== this.width && this.render());
    resized.observe(this.place);
    signal?.addEventListener("abort", () => resized.disconnect());
  }

  draw(data) {
    this.data = { lines: [], bars: [], dots: [], rules: [], stops: [], read: () => "", ...data };
    this.host.chart.data = data.table ?? this.data.lines.flatMap(({ xs, ys }) => [xs, ys]);
    this.render();
  }

  render() {
    if (!this.data) return;
    this.width = this.place.clientWidth || 600;
    this.picture.setAttribute("width", this.width);
    this.across = (value) => LEFT + this.data.x.place(value) * (this.width - LEFT - RIGHT);
    this.down = (value) => this.height - BOTTOM - this.data.y.place(value) * (this.height - TOP - BOTTOM);
    this.drawAxes();
    this.drawBars();
    this.drawLines();
    this.drawRules();
    this.drawDots();
    this.mark(null);
  }

  drawAxes() {
    const { x, y } = this.data;
    const right = this.width - RIGHT,
      foot = this.height - BOTTOM;
    const many = Math.max(3, Math.floor(this.width / 90));
    const across = x
      .ticks(many)
      .map((tick) => svg("text", { x: this.across(tick), y: foot + 17, class: "tick middle" }, this.formatX(tick)));
    const down = (this.data.yTicks ?? y.ticks(5).map((tick) => [tick, this.formatY(tick)])).flatMap(([tick, text]) => [
      svg("line", { x1: LEFT, x2: right, y1: this.down(tick), y2: this.down(tick), class: "grid-line" }),
      svg("text", { x: LEFT - 8, y: this.down(tick) + 4, class: "tick end" }, text),
    ]);
    fill(this.layers.axes, down, across, svg("line", { x1: LEFT, x2: right, y1: foot, y2: foot, class: "base-line" }));
  }

  drawBars() {
    const foot = this.height - BOTTOM;
    const outlines = this.data.bars.map(
      ({ low, high, y }) =>
        `M${this.across(low).toFixed(1)} ${foot}V${this.down(y).toFixed(1)}H${this.across(high).toFixed(1)}V${foot}Z`,
    );
    fill(this.layers.bars, outlines.length > 0 && svg("path", { d: outlines.join("") }));
  }

  drawLines() {
    fill(
      this.layers.lines,
      this.data.lines.map((line) =>
        svg("path", {
          d: this.trace(line),
          style: { stroke: `var(--${line.color})`, ...(line.wide ? { "stroke-width": "5px", opacity: ".35" } : {}) },
          "stroke-dasharray": line.dash ?? null,
        }),
      ),
    );
    fill(
      this.legend,
      this.data.lines
        .filter(({ label }) => label)
        .map(({ label, color }) => el("li", {}, el("i", { style: { "--colour": `var(--${color})` } }), label)),
    );
  }

  /** With `step`, flat until the next point: a share that falls only where there are values. */
  trace({ xs, ys, step }) {
    let path = "",
      open = false;
    xs.forEach((x, i) => {
      const isPoint = ys[i] !== null && Number.isFinite(ys[i]);
      if (isPoint && open && step) path += `H${this.across(x).toFixed(1)}`;
      if (isPoint) path += `${open ? "L" : "M"}${this.across(x).toFixed(1)} ${this.down(ys[i]).toFixed(1)}`;
      open = isPoint;
    });
    return path;
  }

  drawRules() {
    let last = -Infinity,
      row = 0;
    const sorted = this.data.rules.toSorted((a, b) => (a.x ?? 0) - (b.x ?? 0));
    fill(
      this.layers.rules,
      sorted.map(({ x, y, label, tone = "bad" }) => {
        const style = { stroke: `var(--${tone})` },
          ink = { fill: `var(--${tone})` };
        if (x !== undefined) {
          const place = this.across(x),
            isRight = place > this.width * 0.8;
          // Labels of neighbours are one below the other.
          row = place - last < 70 ? row + 1 : 0;
          last = place;
          return [
            svg("line", { x1: place, x2: place, y1: TOP, y2: this.height - BOTTOM, style }),
            svg(
              "text",
              { x: place + (isRight ? -5 : 5), y: TOP + 10 + 14 * row, class: isRight ? "label end" : "label", style: ink },
              label,
            ),
          ];
        }
        return [
          svg("line", { x1: LEFT, x2: this.width - RIGHT, y1: this.down(y), y2: this.down(y), style }),
          svg("text", { x: this.width - RIGHT, y: this.down(y) - 5, class: "label end", style: ink }, label),
        ];
      }),
    );
  }

  drawDots() {
    fill(
      this.layers.dots,
      this.data.dots.map(({ x, y, color, label, hollow }) => {
        const isRight = this.across(x) > this.width * 0.8;
        return [
          svg("circle", {
            cx: this.across(x),
            cy: this.down(y),
            r: 4.5,
            class: hollow ? "hollow" : null,
            style: { "--colour": `var(--${color})` },
          }),
          label &&
            svg(
              "text",
              { x: this.across(x) + (isRight ? -8 : 8), y: this.down(y) - 6, class: isRight ? "value end" : "value" },
              label,
            ),
        ];
      }),
    );
  }

  hover(event) {
    const { stops = [] } = this.data ?? {};
    if (!stops.length) return;
    const at = event.clientX - this.place.getBoundingClientRect().left;
    let best = 0;
    stops.forEach((stop, i) => {
      if (Math.abs(this.across(stop) - at) < Math.abs(this.across(stops[best]) - at)) best = i;
    });
    this.mark(best);
  }

  mark(index) {
    const stop = this.data?.stops?.[index];
    const place = stop === undefined ? null : this.across(stop);
    fill(this.layers.cursor, place !== null && svg("line", { x1: place, x2: place, y1: TOP, y2: this.height - BOTTOM }));
    // What is under the cursor stands in place of the note.
    this.note.textContent = place === null ? this.told : this.data.read(index);
  }
}
