// A run over time: columns of numbers, a row for each point. Filled at once from the server, then point by point.

export const COUNTS = ["arrived", "completed", "failed", "rejected", "abandoned"];
const COLUMNS = [
  ...COUNTS,
  "in_system",
  "in_service",
  "waiting",
  "p50",
  "p90",
  "p99",
  "service_p50",
  "service_p99",
  "lag",
  "cost",
  "heat",
];

export class Points {
  constructor() {
    this.clear();
  }

  clear() {
    this.width = 1;
    this.cells = 16;
    this.until = [];
    this.columns = Object.fromEntries(COLUMNS.map((name) => [name, []]));
    this.known = new Set(COLUMNS);
    this.histograms = {};
    this.theory = null;
  }

  get length() {
    return this.until.length;
  }

  get end() {
    return this.until.at(-1) ?? 0;
  }

  /** Take what `GET …/series` answers. A column that the run does not tell is null there. */
  load({ width, cells, points, histograms, theory }) {
    this.clear();
    Object.assign(this, { width, cells, until: points.until, histograms: histograms ?? {}, theory });
    for (const name of COLUMNS) {
      if (points[name]) this.columns[name] = points[name];
      else this.known.delete(name);
    }
  }

  /** Take one point of the events. False where others are missing before it, or all have become wider. */
  add(point) {
    if (point.n > this.length || (point.width !== this.width && this.length)) return false;
    this.width = point.width;
    this.until[point.n] = point.until;
    for (const name of COLUMNS) this.columns[name][point.n] = point[name] ?? null;
    return true;
  }

  /** Where each point begins, seconds. */
  begins() {
    return [0, ...this.until.slice(0, -1)];
  }

  /** Jobs per second of a count; the middles of points are where that is drawn. */
  rates(name) {
    const counts = this.columns[name];
    return this.begins().map((begin, i) => (this.until[i] > begin ? counts[i] / (this.until[i] - begin) : null));
  }

  middles() {
    return this.begins().map((begin, i) => (begin + this.until[i]) / 2);
  }

  has(name) {
    return this.known.has(name) && this.columns[name].some((value) => value !== null && value !== undefined);
  }

  hasAny(name) {
    return this.columns[name].some((value) => value > 0);
  }
}

// Buckets as the engine has them: 128 equal parts of each octave, the first of which begins at 2^-31 seconds.
const PARTS = 128;
const LOWEST = -31;

const upper = (bucket) => (1 + (((bucket - 1) % PARTS) + 1) / PARTS) * 2 ** (Math.floor((bucket - 1) / PARTS) + LOWEST);

/** (above, up to) seconds of a bucket. */
export const boundsOf = (bucket) => [upper(bucket - 1), upper(bucket)];

/** (above, up to) seconds of a cell of the map. */
export function cellBounds(cell, cells) {
  const size = PARTS / cells;
  return [upper(cell * size), upper((cell + 1) * size)];
}

/** [{low, high, count}] of a histogram as results have it: "3841:12 3842:1". Times of nothing are left out. */
export function readHistogram(histogram) {
  if (!histogram) return [];
  return histogram.buckets
    .split(" ")
    .map((each) => each.split(":").map(Number))
    .filter(([bucket]) => bucket > 0)
    .map(([bucket, count]) => ({ low: upper(bucket - 1), high: upper(bucket), count }));
}

/** The same of the map, summed over time: what is known while the run is on. */
export function sumHeat(points) {
  const found = new Map();
  for (const cells of points.columns.heat) {
    for (let i = 0; i < (cells?.length ?? 0); i += 2) found.set(cells[i], (found.get(cells[i]) ?? 0) + cells[i + 1]);
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([cell, count]) => {
      const [low, high] = cellBounds(cell, points.cells);
      return { low, high, count };
    });
}
