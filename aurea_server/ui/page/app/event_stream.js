// Server-sent events by `fetch`: the browser's own EventSource cannot send a token.

import { answer } from "./api.js";

// The server sends a comment every 15 s where it has nothing else to say: after three times that long it is gone.
const SILENCE_MS = 45_000;

/**
 * Read the events at `path` until it ends. `onEvent({kind, number, data})`; `onOpen()` when the server has accepted;
 * `onBeat()` whenever anything arrived, also where it is no event.
 * Throws a Problem where it is refused or lost.
 */
export async function readEvents(path, { after = 0, signal, onOpen, onBeat, onEvent }) {
  const gone = new AbortController();
  const stop = () => gone.abort();
  signal?.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENCE_MS);
  try {
    const headers = after ? { "Last-Event-ID": String(after) } : {};
    const response = await answer(path, { headers, signal: gone.signal, quiet: true });
    onOpen?.();
    for await (const piece of pieces(response.body)) {
      clearTimeout(timer);
      timer = setTimeout(stop, SILENCE_MS);
      onBeat?.();
      piece.forEach(onEvent);
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
    stop();
  }
}

/** The events of each piece that arrives, as lists: pieces end anywhere, events at an empty line. */
async function* pieces(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replaceAll("\r", "").split("\n\n");
    rest = blocks.pop();
    yield blocks.map(parse).filter((event) => event.data !== undefined);
  }
}

/** One block of `name: value` lines (HTML standard, 9.2.6). */
function parse(block) {
  const event = { kind: "message", number: null };
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event.kind = value;
    else if (name === "id") event.number = Number(value);
    else if (name === "data") event.data = JSON.parse(value);
  }
  return event;
}
