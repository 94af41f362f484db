// Builders of elements. What comes from outside only ever becomes a text node: nothing here can write markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. Children: nodes, texts, lists of them; what is null, undefined or false is left out. */
export const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

/** An element of an SVG. */
export const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

/** Replace all that `node` contains. */
export function fill(node, ...children) {
  node.replaceChildren(...flatten(children));
  return node;
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) set(node, name, value);
  node.append(...flatten(children));
  return node;
}

function set(node, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
  // The content security policy refuses style attributes; properties that a script sets one by one are allowed.
  else if (name === "style") for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
  else node.setAttribute(name, value === true ? "" : value);
}

const isShown = (child) => child !== null && child !== undefined && child !== false;
const flatten = (children) =>
  children
    .flat(Infinity)
    .filter(isShown)
    .map((each) => (each instanceof Node ? each : String(each)));

/** The address of a view: `href("run", id)` → `#/run/…`. */
export const href = (...parts) => `#/${parts.map(encodeURIComponent).join("/")}`;

export const link = (text, to, attributes = {}) => el("a", { href: to, ...attributes }, text);

/** `kind`: primary, quiet, danger, or none of them. */
export const button = (text, onclick, { kind = "", ...attributes } = {}) =>
  el("button", { type: "button", class: `button ${kind}`.trim(), onclick, ...attributes }, text);

/** A view's first line: its name, and what belongs beside it. The router moves the focus to the name. */
export const heading = (text, ...beside) =>
  el("header", { class: "heading" }, el("h1", { tabindex: "-1" }, text), el("div", { class: "row" }, beside));

/** `tone`: good, warn, bad, note or plain; `format.tone` knows that of a word. */
export const badge = (text, tone = "plain") => el("span", { class: "badge", "data-tone": tone }, text);

export const card = (title, ...children) => el("section", { class: "card stack" }, title && el("h2", {}, title), children);

export const tile = (label, value, note) =>
  el("div", { class: "tile" }, el("dt", {}, label), el("dd", {}, value, note && el("small", {}, note)));

/** A number as text, with the one that the server sent beside it, for whoever reads the page by a program. */
export const figure = (name, value, text) =>
  el("data", { "data-figure": name, value: value === null || value === undefined ? "" : String(value) }, text);

export const details = (summary, ...children) => el("details", {}, el("summary", {}, summary), children);

export const time = (iso, text) => el("time", { datetime: iso, title: iso }, text);

/** How much of something is done or used, from 0 to 1. */
export function meter(fraction, label) {
  const percent = Math.round(100 * Math.min(1, Math.max(0, fraction || 0)));
  const bar = el("span", { style: { "inline-size": `${percent}%` } });
  const state = { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent };
  return el("span", { class: "meter", "aria-label": label, ...state }, bar);
}

/** `columns`: {title, cell(row), number?, head?}; `head` makes the cell name its row. `empty`: what is said without rows. */
export function table({ caption, columns, rows, empty = "Nothing yet.", row: attributesOf = () => ({}) }) {
  if (!rows.length) return el("p", { class: "empty" }, empty);
  const kind = (column) => (column.number ? "number" : null);
  const title = (column) => el("th", { scope: "col", class: kind(column) }, column.title);
  const cell = (column, row) =>
    el(column.head ? "th" : "td", { class: kind(column), scope: column.head ? "row" : null }, column.cell(row));
  const line = (row) =>
    el(
      "tr",
      attributesOf(row),
      columns.map((column) => cell(column, row)),
    );
  return el(
    "div",
    { class: "table-wrap", tabindex: "0", role: "region", "aria-label": caption },
    el(
      "table",
      { class: "table" },
      el("caption", { class: "hidden-text" }, caption),
      el("thead", {}, el("tr", {}, columns.map(title))),
      el("tbody", {}, rows.map(line)),
    ),
  );
}
