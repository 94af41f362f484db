// What may stand where in a specification, by the server's own description of its interface (/openapi.json).

import { get } from "../app/api.js";
import { valueOf } from "./places.js";

let loading = null;

/** The schemas, read when they are first needed: they are larger than the whole view. */
export function loadSchemas() {
  loading ??= get("openapi.json").then(({ components }) => new Schemas(components.schemas));
  loading.catch(() => {
    loading = null;
  });
  return loading;
}

export class Schemas {
  constructor(components) {
    this.components = components;
  }

  /** Follow a reference. */
  resolve(schema) {
    return schema?.$ref ? this.resolve(this.components[schema.$ref.split("/").pop()]) : (schema ?? {});
  }

  /** All that a schema allows, each without further choices. */
  choices(schema) {
    const { anyOf, oneOf, ...rest } = this.resolve(schema);
    const among = oneOf ?? anyOf;
    return among ? among.flatMap((each) => this.choices(each)) : [rest];
  }

  /** The kinds that may be named here: [name, schema]. */
  kinds(schema) {
    return this.choices(schema)
      .filter((each) => each.properties?.kind?.const)
      .map((each) => [each.properties.kind.const, each]);
  }

  /** The objects that `schema` allows and that `node` may be: of the kind that it names, if it names one. */
  objects(schema, node) {
    const kind = valueOf(node, "kind");
    const objects = this.choices(schema).filter((each) => each.properties);
    const named = objects.filter((each) => each.properties.kind?.const === kind);
    return named.length ? named : objects;
  }

  /** The schema of what is in `node` at `key`; undefined where it may have no such member. */
  member(schema, node, key) {
    if (typeof key === "number") return this.choices(schema).find((each) => each.items)?.items;
    const allowed = this.objects(schema, node).filter((each) => each.properties[key]);
    return allowed[0]?.properties[key];
  }

  /** The schema of a node, by the way to it from the whole specification. */
  of(node, root) {
    if (node === null || node?.parent?.parent === null) return root;
    const above = this.of(node.parent, root);
    return above && this.member(above, node.parent, node.key);
  }

  /** What a value may be, in a few words. */
  describe(schema) {
    const kinds = this.kinds(schema);
    const plain = this.choices(schema)
      .filter((each) => !each.properties?.kind?.const)
      .map(describePlain);
    if (kinds.length) plain.push(kinds.length > 4 ? `one of ${kinds.length} kinds` : kinds.map(([name]) => name).join(", "));
    return [...new Set(plain)].filter(Boolean).join(", or ");
  }

  /** The least that is a value of `schema`: its default, or what it requires. */
  sample(schema, depth = 0) {
    const resolved = this.resolve(schema);
    if (resolved.default !== undefined && resolved.default !== null) return resolved.default;
    const first = this.choices(schema).find((each) => each.type !== "null") ?? {};
    if (first.const !== undefined) return first.const;
    if (first.enum) return first.enum[0];
    if (first.properties && depth < 4) return this.sampleObject(first, depth);
    if (first.type === "array") return first.minItems && depth < 4 ? [this.sample(first.items, depth + 1)] : [];
    return (
      { number: first.minimum > 0 ? first.minimum : 1, integer: Math.max(1, first.minimum ?? 1), boolean: true }[
        first.type
      ] ?? ""
    );
  }

  sampleObject({ properties, required = [] }, depth) {
    return Object.fromEntries(required.map((name) => [name, this.sample(properties[name], depth + 1)]));
  }
}

function describePlain(schema) {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(", ");
  if (schema.type === "null") return "null";
  if (schema.type === "array") return "a list";
  if (schema.type === "object") return "an object";
  if (schema.type === "boolean") return "true or false";
  if (schema.type === "string")
    return schema.description ? (/such as ("[^"]+")/.exec(schema.description)?.[1] ?? "a text") : "a text";
  return `${schema.type === "integer" ? "a whole number" : "a number"}${bounds(schema)}`;
}

// Bounds that only keep numbers finite say nothing to a reader.
function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }) {
  const shown = [
    exclusiveMinimum !== undefined && `> ${exclusiveMinimum}`,
    minimum !== undefined && Math.abs(minimum) < 1e9 && `≥ ${minimum}`,
    exclusiveMaximum !== undefined && `< ${exclusiveMaximum}`,
    maximum !== undefined && maximum < 1e9 && `≤ ${maximum.toLocaleString("en")}`,
  ].filter(Boolean);
  return shown.length ? ` ${shown.join(", ")}` : "";
}
