// Requests to the server, relative to the page, so that they work under any prefix; its refusals as `Problem`.

import { credentials, isSignedIn, signIn } from "./session.js";

/** A refusal as the server explains it. `status` is 0 where it was not reached; `retryAfter`: seconds, or null. */
export class Problem extends Error {
  constructor(message, { status = 0, code = "unreachable", problems = [], retryAfter = null } = {}) {
    super(message);
    Object.assign(this, { status, code, problems, retryAfter });
  }

  static async of(response) {
    const told = await response.json().catch(() => ({}));
    const { error = `The server answered ${response.status}.`, code = "http_error", problems = [] } = told;
    const wait = Number(response.headers.get("Retry-After"));
    return new Problem(error, { status: response.status, code, problems, retryAfter: wait > 0 ? wait : null });
  }
}

/**
 * The response to a request that the server accepted. A 401 opens the sign-in, and the request is made again after it,
 * unless it is `quiet`: what works in the background must not ask.
 */
export async function answer(path, { method = "GET", body, headers = {}, query = {}, signal, quiet = false } = {}) {
  const url = address(path, query);
  for (;;) {
    const sent = credentials();
    const response = await reach(url, { method, body, headers: { ...headers, ...sent }, signal });
    if (response.ok) return response;
    if (response.status !== 401 || quiet) throw await Problem.of(response);
    await signIn(sent);
  }
}

function address(path, query) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url;
}

async function reach(url, options) {
  try {
    // No cookies: the token is the only credential, and no page of another origin can make the browser send it.
    return await fetch(url, { credentials: "omit", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server cannot be reached.");
  }
}

/** Read JSON. */
export const get = async (path, options = {}) => (await answer(path, options)).json();

/** Post `body` as JSON, or as it is where it is a text already; null where there is no answer to read. */
export async function post(path, body, { headers = {}, ...options } = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body ?? {});
  return read(await answer(path, { ...options, method: "POST", body: text, headers: { ...JSON_BODY, ...headers } }));
}

/** Delete. The content type is what shows the server that no form of another site sent it. */
export const remove = async (path, options = {}) =>
  read(await answer(path, { ...options, method: "DELETE", headers: JSON_BODY }));

const JSON_BODY = { "Content-Type": "application/json" };
const read = (response) => (response.status === 204 ? null : response.json());

/** Save what is at `path` as a file: a link could not send the token. */
export async function download(path, name, options) {
  const url = URL.createObjectURL(await (await answer(path, options)).blob());
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  // Long enough for the browser to have read it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * Show the document at `path` in a tab of its own, or save it where a token is needed: a tab could not send that, and one
 * made of what was fetched would have this page's policy, which refuses the style that such a document has in it.
 */
export async function show(path, name) {
  if (isSignedIn()) await download(path, name);
  else window.open(address(path, {}), "_blank", "noopener");
}
