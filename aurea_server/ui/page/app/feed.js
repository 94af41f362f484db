// What happens to all runs and searches, for every tab of this browser, over one connection.
//
// A browser opens six connections to a host, and a stream holds one. So one tab leads: it holds a Web Lock while it reads
// the stream, and passes each event on to the others by a BroadcastChannel. When it is closed, the browser gives the lock
// to the next. Where there is no lock (a page over plain HTTP that is not from this machine), no stream, or no room for
// another follower (503), each visible tab asks once a second instead: its views read again on `resync`.

import { readEvents } from "./event_stream.js";
import { onChange } from "./session.js";

const SCOPE = `aurea feed ${new URL(".", document.baseURI).pathname}`;
const POLL_MS = 1000;
const RETRY_MS = 5000;
// Longer than the leader's own patience: a tab that hears nothing for so long has lost its leader.
const SILENCE_MS = 60_000;

const RESYNC = { kind: "resync", id: null, number: null, data: {} };

const watchers = new Set();
const modeListeners = new Set();
const channel = new BroadcastChannel(SCOPE);
let state = "off";
let heard = 0;

/** `live`, `polling`, `out` where the token is refused, or `off` before the first of them. */
export const mode = () => state;

/** `listener(mode)` hears of each change. */
export const onMode = (listener) => modeListeners.add(listener);

/** Hear every message of all runs and searches from now on: {kind, id, number, data}. */
export function watch(listener, signal) {
  watchers.add(listener);
  signal.addEventListener("abort", () => watchers.delete(listener));
}

/** To be called once. */
export function start() {
  channel.onmessage = ({ data }) => receive(data);
  channel.postMessage({ kind: "hello" });
  setInterval(poll, POLL_MS);
  document.addEventListener("visibilitychange", poll);
  if (!navigator.locks) return setMode("polling");
  onChange(compete);
  return compete();
}

let competing = null;

/** Wait to lead; once more after a sign-in, since a refused token gives the lead away. */
function compete() {
  competing?.abort();
  competing = new AbortController();
  const { signal } = competing;
  navigator.locks.request(SCOPE, { signal }, () => lead(signal)).catch(() => {}); // aborted: another attempt replaced it
}

/** Read the stream, again and again. Ends where the token is refused: another tab may have a better one. */
async function lead(signal) {
  while (!signal.aborted) {
    const lost = await readStream(signal).catch((error) => error);
    if (signal.aborted) return;
    if (lost?.status === 401) return leaveOut();
    tell({ kind: "mode", id: null, data: "polling" });
    await pause((lost?.retryAfter ?? 0) * 1000 || RETRY_MS, signal);
  }
}

/** Views read once more, and so learn that they need another token. */
function leaveOut() {
  setMode("out");
  deliver(RESYNC);
}

const readStream = (signal) =>
  readEvents("benchmark/events", {
    signal,
    onOpen() {
      tell({ kind: "mode", id: null, data: "live" });
      tell(RESYNC); // whatever happened before the stream
    },
    onBeat: () => channel.postMessage({ kind: "beat" }),
    onEvent: ({ kind, data }) => tell({ kind, ...data }),
  });

/** To every tab, this one included. */
function tell(message) {
  channel.postMessage(message);
  receive(message);
}

function receive(message) {
  heard = Date.now();
  if (message.kind === "mode") setMode(message.data);
  else if (message.kind === "hello") greet();
  else if (message.kind === "lagged") deliver(RESYNC);
  else if (message.kind !== "beat") deliver(message);
}

/** A new tab asks how things stand. All that know answer: the same, so that it does not matter who is first. */
function greet() {
  if (state === "live" || state === "polling") channel.postMessage({ kind: "mode", id: null, data: state });
}

const deliver = (message) => watchers.forEach((listener) => listener(message));

function setMode(next) {
  if (next === state) return;
  state = next;
  modeListeners.forEach((listener) => listener(next));
}

/** A beat of this tab alone: a hidden one asks for nothing, and reads again when it is shown. */
function poll() {
  if (state === "live" && Date.now() - heard > SILENCE_MS) setMode("polling");
  if (state !== "live" && state !== "out" && !document.hidden) deliver(RESYNC);
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
