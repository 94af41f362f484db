// Reading a run and its series from the server, once and again.

import { get } from "../app/api.js";
import { shape } from "./run.js";

const pathOf = (id) => `benchmark/runs/${encodeURIComponent(id)}`;

/** Without its jobs, which may be megabytes. */
export const readRun = async (id, signal) => shape(await get(pathOf(id), { signal, query: { jobs: "0" } }));

/** Its points, or null; `onProblem` hears why. A server that is busy is asked again. */
export async function readSeries(id, signal, onProblem) {
  for (let tries = 0; tries < 10 && !signal.aborted; tries += 1) {
    try {
      return await get(`${pathOf(id)}/series`, { signal });
    } catch (problem) {
      onProblem(problem);
      if (!problem.retryAfter) return null;
      await pause(1000 * problem.retryAfter);
    }
  }
  return null;
}

/** A function that has the run read again so many ms later, once however often it is called until then. */
export function readAgainSoon(id, signal, take) {
  let due = null;
  return (ms) => {
    due ??= setTimeout(async () => {
      due = null;
      const run = signal.aborted ? null : await readRun(id, signal).catch(() => null);
      if (run) take(run);
    }, ms);
  };
}

export const pause = (ms) =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
