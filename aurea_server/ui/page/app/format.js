// How figures are written for people: as in the program's own tables, three digits with a unit, never in powers of ten.

export const NOTHING = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UNITS = [
  ["s", 1],
  ["ms", 1e-3],
  ["µs", 1e-6],
  ["ns", 1e-9],
];

const isNothing = (value) => value === null || value === undefined || Number.isNaN(value);
const fixed = (value, places) =>
  new Intl.NumberFormat("en", { minimumFractionDigits: places, maximumFractionDigits: places }).format(value);
const size = (value) => Math.floor(Math.log10(Math.abs(value)));

/** Three significant digits: `0.0524`, `5.24`, `52.4`, `524`, `52,400`. */
export function digits(value) {
  if (!value) return "0";
  const rounded = Number(value.toPrecision(3));
  return fixed(rounded, Math.max(0, 2 - size(rounded)));
}

/** A time: `114 ms`. */
export function seconds(value) {
  if (isNothing(value)) return NOTHING;
  // Not from 1.0 on: 0.9996 s would become "1000 ms" once it is rounded to three digits.
  const unit = UNITS.find(([, each]) => Math.abs(value) >= each * 0.9995);
  if (!unit) return "0 s";
  return Math.abs(value) >= 1000 ? `${whole.format(value)} s` : `${digits(value / unit[1])} ${unit[0]}`;
}

/** A count or a rate: whole where it is whole or large, three digits where it is small. */
export function number(value) {
  if (isNothing(value)) return NOTHING;
  return Math.abs(value) >= 1000 || Number.isInteger(value) ? whole.format(value) : digits(value);
}

export const count = number;
export const rate = (value) => (isNothing(value) ? NOTHING : `${number(value)}/s`);
export const share = (value) => (isNothing(value) ? NOTHING : `${fixed(100 * value, 1)} %`);

/** An amount that can be read. One of a single job is often far below a cent: so small it is given by the million. */
export function money(value, currency = "USD") {
  if (isNothing(value)) return NOTHING;
  if (value === 0) return `0 ${currency}`;
  const places = size(value);
  if (places < -9) return `${digits(value * 1e6)} ${currency} per million`;
  return `${fixed(value, places >= 2 ? 2 : places >= -2 ? 4 : 3 - places)} ${currency}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** An instant, in the reader's own time zone. */
export const when = (iso) => (iso ? clock.format(new Date(iso)) : NOTHING);

const STEPS = [
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];
const relative = new Intl.RelativeTimeFormat("en", { style: "short", numeric: "auto" });

/** How long ago: `3 min. ago`; the whole instant after a week. */
export function ago(iso, now = Date.now()) {
  if (!iso) return NOTHING;
  const past = Math.max(0, (now - Date.parse(iso)) / 1000);
  if (past > 7 * 86400) return when(iso);
  const step = STEPS.find(([, each]) => past >= each);
  return step ? relative.format(-Math.floor(past / step[1]), step[0]) : "just now";
}

const TONES = {
  good: ["valid", "met", "same", "better", "found", "passed"],
  warn: ["degraded", "inconclusive", "undecided", "at_least", "at_most", "timed_out", "interrupted"],
  bad: ["invalid", "missed", "worse", "failed", "infeasible", "generator_limited"],
  note: ["running", "note", "queued"],
};

/** The tone of a verdict, a state, an outcome or the word of a comparison. */
export const tone = (word) => Object.keys(TONES).find((each) => TONES[each].includes(word)) ?? "plain";

/** `timed_out` → `timed out`. */
export const words = (name) => (name ? name.replaceAll("_", " ") : NOTHING);
