// What may stand where the caret is: the members of the object around it, each to be added by a button.

import { button, el, fill } from "../app/dom.js";
import { nodeAt, pathOf, scan } from "./places.js";

/** The description of a code object, whose text marks names by double grave accents. */
const prose = (text = "") => text.split("``").map((part, i) => (i % 2 ? el("code", {}, part) : part));

/**
 * Draw into `place` what `schemas` say of `text` at `caret`. `actions`: {add(object, name, value), replace(node, value)}.
 * What is drawn already is not drawn again: a reader may be in it.
 */
export function showHints(place, schemas, text, caret, actions) {
  const rootNode = scan(text);
  const root = schemas.components[valueNames(rootNode).includes("workload") ? "FullSpecification" : "SeedSpecification"];
  const node = rootNode && nodeAt(rootNode, caret);
  const object = nearestObject(node) ?? rootNode;
  const schema = schemas.of(object, root);
  const key = JSON.stringify([
    pathOf(object),
    pathOf(node),
    valueNames(object),
    object?.members.map(({ text: value }) => value),
  ]);
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  fill(place, ...parts({ schemas, root, node, object, schema, actions }));
}

const valueNames = (node) => node?.members.map(({ key }) => key) ?? [];

function nearestObject(node) {
  return !node || node.type === "object" ? node : nearestObject(node.parent);
}

function* parts({ schemas, root, node, object, schema, actions }) {
  yield el("h2", {}, "Here: ", el("code", {}, pathText(object)));
  if (!schema) {
    yield el("p", { class: "muted" }, "The server knows nothing of this name.");
    return;
  }
  const [shape] = schemas.objects(schema, object);
  if (shape?.description) yield el("p", { class: "muted" }, prose(shape.description));
  if (node && node !== object) yield valueHint(schemas, node, schemas.of(node, root), actions);
  yield kindChoice(schemas, schema, object, actions);
  if (shape) yield memberList(schemas, shape, object, actions);
}

const pathText = (node) =>
  pathOf(node).reduce((text, step) => `${text}${typeof step === "number" ? `[${step}]` : text ? `.${step}` : step}`, "") ||
  "the whole";

/** Of the value at the caret itself, such as a rate. */
function valueHint(schemas, node, schema, actions) {
  if (!schema) return null;
  const kinds = node.key === "kind" ? [] : schemas.kinds(schema);
  return el(
    "div",
    { class: "hint-value" },
    el("p", {}, el("code", {}, String(node.key)), ": ", schemas.describe(schema)),
    kinds.length > 0 && kindButtons(schemas, kinds, null, (value) => actions.replace(node, value)),
  );
}

function kindChoice(schemas, schema, object, actions) {
  const kinds = schemas.kinds(schema);
  const current = object?.members.find(({ key }) => key === "kind")?.text;
  return kinds.length > 1 && kindButtons(schemas, kinds, current, (value) => actions.replace(object, value));
}

const kindButtons = (schemas, kinds, current, choose) =>
  el(
    "div",
    { class: "kinds", role: "group", "aria-label": "Kinds" },
    kinds.map(([name, schema]) =>
      button(
        name,
        () => choose(schemas.sampleObject({ ...schema, required: [...new Set(["kind", ...(schema.required ?? [])])] }, 0)),
        {
          kind: "compact",
          title: (schema.description ?? "").replaceAll("``", ""),
          "aria-pressed": String(name === current),
        },
      ),
    ),
  );

function memberList(schemas, { properties, required = [] }, object, actions) {
  const present = new Set(valueNames(object));
  const rows = Object.entries(properties)
    .filter(([name]) => name !== "kind")
    .map(([name, schema]) =>
      el(
        "li",
        {},
        el(
          "div",
          {},
          el("code", {}, name),
          required.includes(name) && el("span", { class: "required" }, " required"),
          el(
            "small",
            {},
            schemas.describe(schema),
            defaultText(schemas.resolve(schema)),
            schema.description && [". ", prose(schema.description)],
          ),
        ),
        present.has(name)
          ? el("span", { class: "muted small" }, "set")
          : button("Add", () => actions.add(object, name, schemas.sample(schema)), {
              kind: "compact",
              "aria-label": `Add ${name}`,
            }),
      ),
    );
  return rows.length > 0 && el("ul", { class: "members" }, rows);
}

const defaultText = (schema) =>
  schema.default === undefined || schema.default === null ? null : `; ${JSON.stringify(schema.default)} if left out`;
