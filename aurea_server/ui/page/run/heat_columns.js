// What a heat map shows: which cells, and how many jobs in each of them by columns of time.

/** The share of jobs that may be too short for the map. */
const SHORTEST = 0.005;

/** (lowest, highest) cell to be shown: a few very short times would take most of the height. Null where there is none. */
export function findRange(heat) {
  const counts = new Map();
  for (const cells of heat)
    for (let i = 0; i < (cells?.length ?? 0); i += 2) counts.set(cells[i], (counts.get(cells[i]) ?? 0) + cells[i + 1]);
  const sorted = [...counts].sort(([a], [b]) => a - b);
  if (!sorted.length) return null;
  const total = sorted.reduce((sum, [, count]) => sum + count, 0);
  let below = 0;
  const [least] = sorted.find(([, count]) => (below += count) > SHORTEST * total);
  const [most] = sorted.at(-1);
  // Times that are all alike would make a map of one row.
  return [Math.min(least, most - 6) - 1, most + 1];
}

/** Columns of `step` seconds: cell → count. A point that is wider fills each column whose middle it covers. */
export function sumColumns(points, step) {
  const columns = Array.from({ length: Math.max(1, Math.ceil(points.end / step - 1e-9)) }, () => new Map());
  points.begins().forEach((begin, i) => {
    const cells = points.columns.heat[i] ?? [];
    const middle = Math.min(columns.length - 1, Math.floor((begin + points.until[i]) / 2 / step));
    const first = Math.min(middle, Math.ceil(begin / step - 0.5));
    const last = Math.max(middle, Math.min(columns.length, Math.ceil(points.until[i] / step - 0.5)) - 1);
    for (let at = first; at <= last; at += 1) {
      for (let each = 0; each < cells.length; each += 2)
        columns[at].set(cells[each], (columns[at].get(cells[each]) ?? 0) + cells[each + 1]);
    }
  });
  return columns;
}
