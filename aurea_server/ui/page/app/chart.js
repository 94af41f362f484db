// Charts over time, by uPlot, which is loaded when the first of them is drawn.

import { el, fill } from "./dom.js";
import { NOTHING, seconds } from "./format.js";

/** What a variable of the style sheets is now: canvases cannot use them by name. */
export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let loading = null;

/** uPlot is a plain script that defines a global; a module of it would be twice as large. */
function load() {
  loading ??= new Promise((resolve, reject) => {
    const gone = () => reject(new Error("The charts cannot be loaded."));
    document.head.append(
      el("link", { rel: "stylesheet", href: "ui/vendor/uplot.css" }),
      el("script", { src: "ui/vendor/uplot.js", onload: () => resolve(globalThis.uPlot), onerror: gone }),
    );
  });
  return loading;
}

/**
 * A chart in `host`. `series`: {label, color, dash?, fill?, width?}; `bands`: pairs of series between which is filled;
 * `lines`: {value, label, tone} across it; `marks`: {at, label, tone} at instants. `data` is what `set` was given.
 */
export async function timeChart(host, options) {
  const uPlot = await load();
  const chart = new TimeChart(uPlot, host, { format: String, height: 180, lines: [], marks: [], bands: [], ...options });
  options.signal?.addEventListener("abort", () => chart.destroy());
  return chart;
}

class TimeChart {
  constructor(uPlot, host, options) {
    Object.assign(this, { uPlot, options, host, title: options.title, data: [[], ...options.series.map(() => [])] });
    this.values = options.series.map(() => el("b"));
    this.legend = el(
      "ul",
      { class: "legend" },
      options.series.map(({ label, color: name }, i) =>
        el("li", {}, el("i", { style: { "--colour": `var(--${name})` } }), label, this.values[i]),
      ),
    );
    this.place = el("div");
    this.frame = el(
      "figure",
      { class: "chart" },
      el("figcaption", {}, el("h3", {}, options.title), this.legend),
      this.place,
    );
    host.append(this.frame);
    host.chart = this;
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.scheme.addEventListener("change", this.redraw);
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(this.place);
    this.draw();
  }

  /** Replace all data: seconds from the start, then the values of each series, with null where there are none. */
  set(data) {
    this.data = data;
    // Where somebody looks closer, that stretch stays in view while the run goes on.
    const { min, max } = this.plot.scales.x;
    const isWhole = !this.whole || (min === this.whole[0] && max === this.whole[1]);
    this.plot.setData(data, isWhole);
    if (!isWhole) this.plot.redraw();
    this.showValues(this.plot.cursor.idx);
  }

  setMarks(marks) {
    this.options.marks = marks;
    this.plot.redraw(false);
  }

  setLines(lines) {
    this.options.lines = lines;
    this.plot.setData(this.data); // the range may have to grow
  }

  destroy() {
    this.scheme.removeEventListener("change", this.redraw);
    this.resized.disconnect();
    this.plot.destroy();
    this.frame.remove();
  }

  resize() {
    const width = this.place.clientWidth;
    if (width && width !== this.plot.width) this.plot.setSize({ width, height: this.options.height });
  }

  /** Anew, since the colours of a plot are fixed when it is made. */
  draw() {
    this.plot?.destroy();
    fill(this.place);
    this.plot = new this.uPlot(this.plotOptions(), this.data, this.place);
    this.showValues(null);
  }

  plotOptions() {
    const { series, bands, height, sync, format, tick = format } = this.options;
    const [text, line] = [color("soft"), color("line")];
    const axis = { stroke: text, font: `12px ${color("sans")}`, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    return {
      width: this.place.clientWidth || 600,
      height,
      legend: { show: false },
      cursor: { sync: sync && { key: sync }, points: { size: 6 }, drag: { x: true, y: false } },
      scales: {
        x: { time: false, range: (_, low, high) => this.span(low, high) },
        y: { range: (_, low, high) => this.range(low, high) },
      },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map(seconds), space: 70, size: 28 },
        { ...axis, values: (_, ticks) => ticks.map((value) => tick(value)), size: labelWidth, space: 34 },
      ],
      series: [{}, ...series.map(plotSeries)],
      bands: bands.map(([above, below]) => ({ series: [above + 1, below + 1], fill: `${color(series[above].color)}22` })),
      hooks: { setCursor: [(plot) => this.showValues(plot.cursor.idx)], draw: [(plot) => this.drawMarks(plot)] },
    };
  }

  /** All charts of a run have the same axis, wherever their points are drawn; a part that was zoomed into stays. */
  span(low, high) {
    const [xs] = this.data,
      { end } = this.options;
    if (!xs.length || low !== xs[0] || high !== xs.at(-1)) return [low, high];
    this.whole = end ? [0, end] : [low, high];
    return this.whole;
  }

  /** From 0, as far as the highest value or line, and a little more. */
  range(low, high) {
    const most = Math.max(high ?? 0, ...this.options.lines.map(({ value }) => value));
    return [Math.min(0, low ?? 0), most > 0 ? most * 1.08 : 1];
  }

  /** The legend has the values under the cursor, or the last ones. */
  showValues(index) {
    const at = index ?? this.data[0].length - 1;
    this.values.forEach((node, i) => {
      const value = this.data[i + 1]?.[at];
      const text = value === null || value === undefined ? NOTHING : this.options.format(value);
      if (node.textContent !== text) node.textContent = text;
    });
  }

  drawMarks({ ctx, bbox, valToPos }) {
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([5 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const { value, tone = "bad" } of this.options.lines) {
      stroke(
        ctx,
        color(tone),
        [bbox.left, valToPos(value, "y", true)],
        [bbox.left + bbox.width, valToPos(value, "y", true)],
      );
    }
    ctx.setLineDash([]);
    ctx.font = `${11 * devicePixelRatio}px ${color("sans")}`;
    for (const { at, label = "", tone = "warn" } of this.options.marks) {
      const x = valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue; // what was zoomed out of sight
      stroke(ctx, color(tone), [x, bbox.top], [x, bbox.top + bbox.height]);
      ctx.fillStyle = color(tone);
      const isRight = x > bbox.left + bbox.width * 0.85;
      ctx.textAlign = isRight ? "right" : "left"; // uPlot leaves that of its axes
      ctx.fillText(label, x + (isRight ? -4 : 4) * devicePixelRatio, bbox.top + 10 * devicePixelRatio);
    }
    ctx.restore();
  }
}

function plotSeries({ label, color: name, dash, fill: filled, width = 1.8 }) {
  const stroked = color(name);
  return { label, stroke: stroked, width, dash, fill: filled && `${stroked}1f`, points: { show: false }, spanGaps: false };
}

const LEAST_WIDTH = 58; // the same for most charts, so that their times stand beneath each other

/** As wide as the longest label. */
function labelWidth({ ctx, axes }, labels, index) {
  const longest = (labels ?? []).reduce((found, each) => (each.length > found.length ? each : found), "");
  ctx.font = axes[index].font[0];
  return Math.max(LEAST_WIDTH, Math.ceil(ctx.measureText(longest).width / devicePixelRatio) + 14);
}

function stroke(ctx, style, from, to) {
  ctx.strokeStyle = style;
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
}
