// The token: kept in this tab's sessionStorage and nowhere else, asked for when the server wants one.

import { button, el, fill } from "./dom.js";

// By the page's own address: two servers behind one host must not be shown each other's token.
const KEY = `aurea token ${new URL(".", document.baseURI).pathname}`;
const store = openStore();
const listeners = new Set();
const NO_TOKEN = "A token has letters, digits and plain signs only: this has something else, such as a typographic quote.";
let asking = null;

/** Where the browser lets pages keep nothing, even the name throws: then the token lasts as long as this page. */
function openStore() {
  try {
    return sessionStorage;
  } catch {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, text) => kept.set(key, text),
      removeItem: (key) => kept.delete(key),
    };
  }
}

/** The reader was asked for a token and gave none. */
export class SignedOut extends Error {
  constructor() {
    super("You are signed out.");
  }
}

/** What goes into the `Authorization` header; empty without a token. */
export function credentials() {
  const token = store.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export const isSignedIn = () => store.getItem(KEY) !== null;

/** `listener()` is called after each sign-in and sign-out. */
export const onChange = (listener) => listeners.add(listener);

/** Forget the token. */
export function signOut() {
  store.removeItem(KEY);
  tell();
}

/**
 * Ask for a token, unless another is kept by now than what was `sent`. All requests that were refused meanwhile wait for the
 * same answer; rejects where there is none.
 */
export async function signIn(sent) {
  const wasRefused = isSignedIn();
  if (wasRefused && credentials().Authorization !== sent.Authorization) return undefined;
  // A token that was refused must not be sent again.
  store.removeItem(KEY);
  asking ??= ask(wasRefused).finally(() => {
    asking = null;
  });
  return asking;
}

function keep(token) {
  store.setItem(KEY, token);
  tell();
}

const tell = () => listeners.forEach((listener) => listener());

function ask(wasRefused) {
  return new Promise((resolve, reject) => {
    const input = el("input", { id: "token", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
    const dialog = el("dialog", { class: "dialog", "aria-labelledby": "sign-in-title" });
    const accept = (event) => {
      event.preventDefault(); // the policy allows no form to be sent, and a token must not get into an address
      const token = input.value.trim();
      input.setCustomValidity(/^[ -~]+$/.test(token) ? "" : NO_TOKEN);
      if (!input.reportValidity()) return;
      keep(token);
      dialog.close("kept");
    };
    input.addEventListener("input", () => input.setCustomValidity(""));
    const end = () => {
      dialog.remove();
      if (dialog.returnValue === "kept") resolve();
      else reject(new SignedOut());
    };
    dialog.addEventListener("close", end);
    document.body.append(
      fill(
        dialog,
        form(input, accept, () => dialog.close(""), wasRefused),
      ),
    );
    dialog.showModal();
  });
}

const form = (input, accept, cancel, wasRefused) =>
  el(
    "form",
    { class: "stack", onsubmit: accept },
    el("h2", { id: "sign-in-title" }, "Sign in"),
    el("p", { class: "muted" }, "This server asks for its token. It is kept in this tab until you close it or sign out."),
    wasRefused && el("p", { class: "refused", role: "alert" }, "The server did not accept that token."),
    el("div", { class: "field" }, el("label", { for: "token" }, "Token"), input),
    el(
      "div",
      { class: "row end" },
      button("Cancel", cancel, { kind: "quiet" }),
      el("button", { class: "button primary", type: "submit" }, "Sign in"),
    ),
  );
