// Pictures that can be read without a pointer: the arrow keys go from point to point, and each is told in words.

const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

/** `count()` points; `show(i)` marks one (null: none), `read(i)` tells it. */
export function explore(node, { label, count, read, show }) {
  let place = null;
  const attributes = {
    role: "slider",
    tabindex: "0",
    "aria-label": label,
    "aria-valuemin": "0",
    "aria-valuenow": "0",
    "aria-valuemax": "0",
  };
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  const go = (to) => {
    const last = count() - 1;
    if (last < 0) return;
    place = Math.min(last, Math.max(0, to));
    node.setAttribute("aria-valuemax", last);
    node.setAttribute("aria-valuenow", place);
    node.setAttribute("aria-valuetext", read(place));
    show(place);
  };
  node.addEventListener("focus", () => node.matches(":focus-visible") && go(place ?? count() - 1));
  node.addEventListener("blur", () => show(null));
  node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = event.key === "Home" ? 0 : event.key === "End" ? Infinity : (place ?? 0) + (STEPS[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    go(to === Infinity ? count() - 1 : to);
  });
}
