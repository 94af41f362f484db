// The views of the page. `path`: the first part of the address after `#/`; `nav`: its name in the header.
// A view's module is loaded when it is first shown, and exports `show({main, args, query, signal, setTitle})`.

export const VIEWS = [
  { path: "runs", title: "Runs", nav: "Runs", load: () => import("../runs/view.js"), styles: ["runs/runs.css"] },
  { path: "new", title: "New run", nav: "New run", load: () => import("../new/view.js"), styles: ["new/new.css"] },
  { path: "run", title: "Run", under: "runs", load: () => import("../run/view.js"), styles: ["run/run.css"] },
  { path: "compare", title: "Compare", under: "runs", load: () => import("../compare/view.js"), styles: ["run/run.css"] },
  { path: "capacity", title: "Capacity", nav: "Capacity", load: () => import("../capacity/view.js"), styles: ["run/run.css"] },
];
