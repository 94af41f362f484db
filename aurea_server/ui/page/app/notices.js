// What the page tells: refusals with all of their problems, short announcements, questions before what cannot be undone.

import { button, el, fill } from "./dom.js";

/** A refusal as it is shown: its sentence, and each problem at its path. `again`: what a button then does. */
export function problemNotice(problem, again) {
  const list = (problem.problems ?? []).map(({ path, problem: text, got }) =>
    el("li", {}, el("code", {}, path || "the whole"), " ", text, got && el("span", { class: "muted" }, ` (got ${got})`)),
  );
  return el(
    "div",
    { class: "problem stack", role: "alert" },
    el("p", {}, el("strong", {}, list.length ? title(list.length) : problem.message)),
    list.length > 0 && el("ul", {}, list),
    problem.retryAfter && el("p", { class: "muted" }, `The server asks to try again in ${problem.retryAfter} s.`),
    again && el("div", { class: "row" }, button("Try again", again)),
  );
}

const title = (many) => (many === 1 ? "One problem" : `${many} problems`);

/** Say `text` to those who hear the page: what the others can see by themselves. */
export function say(text) {
  document.getElementById("announcements").textContent = text;
}

/** Say `text`, and show it for some seconds. */
export function announce(text, tone = "plain") {
  say(text);
  const toast = el("div", { class: "toast", "data-tone": tone, "aria-hidden": "true" }, text);
  document.querySelector(".toast")?.remove();
  document.body.append(toast);
  setTimeout(() => toast.remove(), 6000);
}

/** Whether the reader says yes. `action` is the word on the button. */
export function confirm(question, action) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "dialog", "aria-label": question });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    fill(
      dialog,
      el(
        "div",
        { class: "stack" },
        el("p", {}, question),
        el(
          "div",
          { class: "row end" },
          button("Back", () => dialog.close(""), { kind: "quiet", autofocus: true }),
          button(action, () => dialog.close("yes"), { kind: "danger" }),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Do `work`; what goes wrong is announced. For buttons, whose handlers nobody waits for. */
export const attempt = (work) => async (event) => {
  const control = event?.currentTarget;
  if (control?.getAttribute?.("aria-busy")) return; // a second click is not a second wish
  control?.setAttribute("aria-busy", "true");
  try {
    await work(event);
  } catch (error) {
    if (error.name !== "AbortError") announce(error.message, "bad");
  } finally {
    control?.removeAttribute("aria-busy");
  }
};

/** Do each of `works`, even where one before it throws. */
export function doEach(...works) {
  for (const work of works) {
    try {
      work();
    } catch (error) {
      reportError(error);
    }
  }
}
