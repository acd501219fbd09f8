// Server-Sent Events over `fetch`, because an `EventSource` cannot send a key. It resumes after a failure.
import { Problem, RETRY, send } from "./api.js";

/**
 * Reads a stream until it ends or is aborted. While the page is hidden it is not read, because a browser opens only
 * six connections to a server without HTTP/2, for all its tabs together.
 *
 * @param {string} address below /api/v1
 * @param {{after?: string, query?: object, signal: AbortSignal, onEvents: (list: object[], frames: object[]) => void,
 *          onState?: (state: "live" | "waiting" | "ended") => void}} options
 */
export async function follow(address, { after, query, signal, onEvents, onState = () => {} }) {
  let last = after;
  let connection = new AbortController();
  document.addEventListener("visibilitychange", () => document.hidden && connection.abort(), { signal });
  while (!signal.aborted) {
    if (document.hidden) {
      await happening(document, "visibilitychange", signal);
      continue;
    }
    connection = new AbortController();
    try {
      const headers = { Accept: "text/event-stream", ...(last === undefined ? {} : { "Last-Event-ID": last }) };
      const both = AbortSignal.any([signal, connection.signal]);
      const response = await send("GET", address, { query, headers, signal: both });
      if (response.status === 204) return onState("ended");
      onState("live");
      for await (const frames of framesOf(response.body)) {
        const events = frames.filter((frame) => frame.event !== "error");
        if (events.length > 0) {
          last = events.at(-1).id ?? last;
          onEvents(events.map((event) => JSON.parse(event.data)), events);
        }
        const failed = frames.find((frame) => frame.event === "error");
        if (failed) throw new Error(JSON.parse(failed.data).detail);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && !error.isTemporary) throw error;
      onState("waiting");
    }
    await pause(RETRY, signal);
  }
}

/** Waits for an event, or until the signal is aborted. */
function happening(target, name, signal) {
  return new Promise((resolve) => {
    target.addEventListener(name, resolve, { once: true, signal });
    signal.addEventListener("abort", resolve, { once: true });
  });
}

/** Yields the frames of each piece of the body; pieces can end inside a frame. */
async function* framesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    yield blocks.map(frameOf).filter((frame) => frame.data !== undefined);
  }
}

function frameOf(block) {
  const frame = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) frame[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return frame;
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
