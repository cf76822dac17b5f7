// Follows the server's events and resumes after every disconnection. Not EventSource, which cannot
// send a key.

import { Refused, Unreachable } from "./api.js";
import { EventParser } from "./event_parser.js";

const silenceMax = 40_000; // the server sends a comment every 15 s
const pauseFirst = 400;
const pauseMax = 8_000;

const pause = (milliseconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/**
 * Runs until `signal` aborts. Throws if the server refuses permanently.
 *
 * onOpen({ isContinued }): the stream is open; isContinued: no event was missed so far.
 * onEvents(events): events in their order. onReset(): events were missed. onDown(error): the
 * connection is lost and will be retried.
 */
export async function followEvents({ api, prefix, signal, onOpen, onEvents, onReset, onDown }) {
  let lastId = "";
  for (let failures = 0; !signal.aborted; ++failures) {
    const attempt = new AbortController();
    const stop = () => attempt.abort();
    signal.addEventListener("abort", stop, { once: true });
    let watchdog = setTimeout(stop, silenceMax);
    try {
      const response = await api.open("v1/events", {
        parameters: { prefix },
        headers: lastId ? { "Last-Event-ID": lastId } : {},
        signal: attempt.signal,
      });
      onOpen({ isContinued: lastId !== "" });
      const parser = new EventParser();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        failures = 0;
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, silenceMax);
        const events = [];
        for (const event of parser.feed(value)) {
          lastId = event.id;
          if (event.kind === "reset") onReset();
          if (!event.kind || event.kind === "reset") continue;
          events.push({ ...JSON.parse(event.data), kind: event.kind });
        }
        if (events.length > 0) onEvents(events);
      }
      onDown(new Unreachable("The server closed the connection."));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && !error.isPassing) throw error;
      onDown(error);
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", stop);
      attempt.abort();
    }
    const longest = Math.min(pauseMax, pauseFirst * 2 ** failures);
    await pause(longest * (0.5 + Math.random() / 2), signal);
  }
}
