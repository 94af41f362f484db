// Where things are in JSON that is being written, and so is seldom whole: what is missing is taken as still to come.

const TOKEN = /"(?:[^"\\\n]|\\.)*"?|[{}[\],:]|[^\s{}[\],:"]+/g;

/**
 * The tree of `text`. A node: {type: "object" | "array" | "value", key, start, end, parent, members, text}; `key` is its
 * name or number in its parent, `start` where it begins, its name included.
 */
export function scan(text) {
  const root = { type: "array", key: null, start: 0, valueStart: 0, end: text.length, parent: null, members: [] };
  let open = root;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const end = index + token.length;
    if (token === "{" || token === "[") open = add(open, token === "{" ? "object" : "array", index, text.length);
    else if (token === "}" || token === "]") open = close(open, end);
    else if (token === ",") Object.assign(open, { name: null, hasColon: false });
    else if (token === ":") open.hasColon = true;
    else if (open.type === "object" && !open.hasColon) open.name = { text: unquote(token), start: index };
    else add(open, "value", index, end).text = unquote(token);
  }
  return root.members[0] ?? null;
}

function add(open, type, index, end) {
  const isMember = open.type === "object";
  const key = isMember ? (open.name?.text ?? "") : open.members.length;
  const start = isMember ? (open.name?.start ?? index) : index;
  const node = { type, key, start, valueStart: index, end, parent: open, members: [] };
  open.members.push(node);
  Object.assign(open, { name: null, hasColon: false });
  return node;
}

/** One bracket too many closes nothing. */
function close(open, end) {
  if (open.parent === null) return open;
  open.end = end;
  return open.parent;
}

function unquote(token) {
  try {
    return JSON.parse(token);
  } catch {
    return token.replaceAll('"', "");
  }
}

/** The innermost node in which `offset` is. */
export function nodeAt(root, offset) {
  const inside = root?.members.find(({ start, end }) => start <= offset && offset <= end);
  return inside ? nodeAt(inside, offset) : root;
}

/** The names and numbers that lead to a node. */
export const pathOf = (node) => (node?.parent?.parent ? [...pathOf(node.parent), node.key] : []);

/** The node at `workload.of[1].kind`, or the nearest one above it: of what is missing, where it would be. */
export function find(root, path) {
  let node = root;
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    const next = node?.members.find(({ key }) => String(key) === step);
    if (!next) return node;
    node = next;
  }
  return node;
}

/** The value of a member, where it is a plain one. */
export const valueOf = (node, name) => node?.members.find(({ key }) => key === name)?.text;
