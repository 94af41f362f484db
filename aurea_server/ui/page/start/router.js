// Which view is shown: `#/run/benchmark-1?x=y` is the view `run`, with its arguments and its query.

import { Problem } from "../app/api.js";
import { button, el, fill, heading, href, link } from "../app/dom.js";
import { problemNotice } from "../app/notices.js";
import { SignedOut } from "../app/session.js";
import { VIEWS } from "./views.js";

const main = document.getElementById("main");
let leaving = new AbortController();
let isFirst = true;

/** Show the view of the address now, and of each that follows. */
export function start() {
  drawNavigation();
  addEventListener("hashchange", showCurrent);
  showCurrent();
}

function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...args] = path.split("/").map(decode);
  return { name: name || VIEWS[0].path, args: args.filter(Boolean), query: new URLSearchParams(query) };
}

/** An address that somebody mistyped is one without a view, and no error. */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function showCurrent() {
  const { name, args, query } = parse(location.hash);
  // The skip link's target is no view.
  if (name === "main") return;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const view = VIEWS.find(({ path }) => path === name);
  markNavigation(view);
  setTitle(view?.title ?? "Not found");
  fill(main);
  main.className = view ? `view-${view.path}` : "";
  try {
    if (!view) throw new Problem(`There is no view “${name}”.`, { status: 404, code: "no_view" });
    const [module] = await Promise.all([view.load(), ...(view.styles ?? []).map(loadStyle)]);
    if (signal.aborted) return;
    await module.show({ main, args, query, signal, setTitle });
  } catch (error) {
    if (!signal.aborted) showProblem(error);
  }
  if (!signal.aborted) moveFocus();
}

function showProblem(error) {
  if (error instanceof SignedOut) {
    const again = button("Sign in", showCurrent, { kind: "primary" });
    fill(main, heading(error.message), el("p", { class: "muted" }, "What this server has measured needs its token."), again);
    return;
  }
  // A defect of the page's own is for its console, too: there is where it can be mended.
  if (!(error instanceof Problem)) console.error(error);
  const back = el("p", {}, link("To the list of runs", href("runs")));
  fill(main, heading("This cannot be shown"), problemNotice(error, showCurrent), back);
}

/** Not on the first view: a page that has just been opened begins at its top. */
function moveFocus() {
  if (!isFirst) main.querySelector("h1")?.focus({ preventScroll: true });
  if (!isFirst) scrollTo(0, 0);
  isFirst = false;
}

const setTitle = (text) => {
  document.title = `${text} · Aurea`;
};

function drawNavigation() {
  const shown = VIEWS.filter(({ nav }) => nav);
  fill(
    document.getElementById("nav"),
    shown.map(({ nav, path }) => link(nav, href(path), { "data-view": path })),
  );
}

function markNavigation(view) {
  for (const each of document.querySelectorAll("#nav a")) {
    if (each.dataset.view === (view?.under ?? view?.path)) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
}

/** A view's own style sheet, unless the page has it. A view without its style is better than none. */
function loadStyle(path) {
  if (document.querySelector(`link[href="ui/${path}"]`)) return undefined;
  const sheet = el("link", { rel: "stylesheet", href: `ui/${path}` });
  document.head.append(sheet);
  return new Promise((resolve) => {
    sheet.onload = sheet.onerror = resolve;
  });
}
