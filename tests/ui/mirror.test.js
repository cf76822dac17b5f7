// What the mirror asks a pretended server for when no event tells of a change: no browser, no sockets.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Refused } from "./page/api.js";
import { LockModel } from "./page/lock_model.js";
import { Mirror } from "./page/mirror.js";
import { ServerClock } from "./page/server_clock.js";

/** Until all that was set off has happened, but for what waits for a timer. */
async function settle() {
  for (let i = 0; i < 50; ++i) await new Promise(setImmediate);
}

/** Answers lists page by page as lockerd does, and has one stream of events. */
class PretendedServer {
  locks = []; // in order of fence
  waiters = [];
  index = 100;
  asked = [];
  refusal = null; // what is thrown at each call
  stateOf = () => null; // what is said of a path
  #stream;

  async open(path, { signal }) {
    const body = new ReadableStream({ start: (controller) => (this.#stream = controller) });
    signal.addEventListener("abort", () => this.#stream.error(new Error("aborted")));
    this.#send("retry: 1000\nid: 1.0\n\n");
    return { body };
  }

  async call(path, { parameters, signal }) {
    signal?.throwIfAborted();
    if (!parameters) return { body: this.stateOf(path), index: ++this.index, at: Date.now() };
    this.asked.push(parameters);
    if (this.refusal) throw this.refusal;
    const all = parameters.state === "waiting" ? this.waiters : this.locks;
    const after = Number.parseFloat(parameters.after ?? "0");
    const rest = all.filter(({ path: at, fence }) => fence > after && at.startsWith(parameters.prefix));
    const locks = rest.slice(0, parameters.limit);
    const next = rest.length > locks.length ? `${locks.at(-1).fence}.0` : null;
    return { body: { locks, next }, index: this.index, date: null, at: Date.now() };
  }

  take(path, fence) {
    const lock = {
      path, owner: "o", mode: "exclusive", fence, state: "held", lock_parents: true,
      lock_children: true, held_ms: 5, ttl_ms: null, expires_in_ms: null, meta: null,
    };
    this.locks.push(lock);
    return lock;
  }

  tell(events) {
    this.#send(events.map(({ kind, ...data }) => `id: 1.${this.index}\nevent: ${kind}\ndata: ${JSON.stringify({ ...data, index: ++this.index })}\n\n`).join(""));
  }

  end(locks) {
    const gone = new Set(locks);
    this.locks = this.locks.filter((lock) => !gone.has(lock));
    this.tell(locks.map(({ path, owner, mode, fence }) => ({ kind: "forced", path, owner, mode, fence })));
  }

  #send(text) {
    this.#stream.enqueue(new TextEncoder().encode(text));
  }
}

function begin(t, server) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 });
  const told = [];
  const clock = new ServerClock();
  const model = new LockModel(clock, () => {});
  const states = [];
  const report = { connection: (state) => states.push(state), listed: (how) => told.push(how), waiters: () => {}, events: () => {} };
  const mirror = new Mirror({ api: server, model, clock, report });
  mirror.start("/");
  const pass = async (milliseconds) => {
    for (let left = milliseconds; left > 0; left -= 250) {
      t.mock.timers.tick(Math.min(left, 250));
      await settle();
    }
  };
  return { mirror, model, told, states, pass };
}

test("a place that is only kept is not shown as somebody who waits", async (t) => {
  const server = new PretendedServer();
  server.take("/a", 1000);
  const waiter = { path: "/a", owner: "w", mode: "exclusive", waiting_ms: 5, fence: 1, connected: true };
  server.waiters = [waiter];
  const { mirror, model, pass } = begin(t, server);
  await settle();
  assert.equal(model.waiters.length, 1);
  waiter.connected = false;
  server.tell([{ kind: "left", path: "/a", owner: "w", mode: "exclusive" }]);
  await pass(1000);
  assert.equal(model.waiters.length, 0);
  mirror.pause();
});

test("a list that was cut is not asked for without end when it is refused", async (t) => {
  const server = new PretendedServer();
  const old = Array.from({ length: 52_000 }, (_, i) => server.take(`/old/${i}`, 1000 + i));
  const { states, pass } = begin(t, server);
  await pass(250);
  server.refusal = new Refused(503, "draining", "It stops.");
  server.end(old.slice(0, 20_000));
  server.asked.length = 0;
  await pass(5000);
  const count = server.asked.length;
  assert.ok(count >= 3 && count <= 6, `asked ${count} times in 5 s`);
  server.refusal = new Refused(401, "unauthorized", "No.");
  await pass(2000);
  assert.equal(states.at(-1), "refused");
  server.asked.length = 0;
  await pass(5000);
  assert.deepEqual(server.asked, []);
});

test("a path that more share than an answer shows keeps them all", async (t) => {
  const server = new PretendedServer();
  for (let i = 0; i < 130; ++i) server.take("/crowd", 1000 + i).mode = "shared";
  const { mirror, model, pass } = begin(t, server);
  await pass(250);
  server.stateOf = () => ({ holders: server.locks.slice(0, 100), holder_count: 130 });
  await mirror.look("/crowd");
  assert.equal(model.locks.size, 130);
  server.stateOf = () => ({ holders: server.locks.slice(0, 3), holder_count: 3 });
  await mirror.look("/crowd");
  assert.equal(model.locks.size, 3);
  mirror.pause();
});

test("the expiries of a path that more share than an answer shows follow, and those beside it", async (t) => {
  const server = new PretendedServer();
  for (let i = 0; i < 130; ++i) server.take("/crowd", 1000 + i).mode = "shared";
  server.take("/other", 2000);
  for (const lock of server.locks) lock.ttl_ms = lock.expires_in_ms = 30_000; // renewed all the time
  server.stateOf = (path) => {
    const here = server.locks.filter((lock) => path === `v1/locks${lock.path}`);
    return { holders: here.slice(0, 100), holder_count: here.length };
  };
  const { mirror, model, pass } = begin(t, server);
  await pass(250);
  for (let second = 0; second < 60; ++second) {
    await pass(1000);
    await mirror.refresh([...model.locks.values()]);
  }
  const ages = [...model.locks.values()].map((lock) => Date.now() - lock.at);
  assert.ok(Math.max(...ages) <= 12_000, `one was not asked for in ${Math.max(...ages)} ms`);
  mirror.pause();
});

test("a list that was cut goes on when its locks have ended", async (t) => {
  const server = new PretendedServer();
  const old = Array.from({ length: 52_000 }, (_, i) => server.take(`/old/${i}`, 1000 + i));
  const young = Array.from({ length: 8_000 }, (_, i) => server.take(`/young/${i}`, 100_000 + i));
  const { mirror, model, told, pass } = begin(t, server);
  await pass(250);
  assert.equal(model.locks.size, 50_000);
  assert.deepEqual(told, [{ isWhole: false, isAnew: false }]);
  server.end(old);
  await pass(2000);
  assert.equal(model.locks.size, young.length);
  assert.deepEqual(told.at(-1), { isWhole: true, isAnew: false });
  mirror.pause();
});

test("what an event told of is asked for alone, not with all that is older", async (t) => {
  const server = new PretendedServer();
  for (let i = 0; i < 3000; ++i) server.take(`/old/${i}`, 1000 + i);
  const { mirror, model, pass } = begin(t, server);
  await settle();
  server.asked.length = 0;
  const { path, owner, mode, fence } = server.take("/new", 9000);
  server.tell([{ kind: "granted", path, owner, mode, fence }]);
  await pass(500);
  assert.equal(model.locks.get("/new 9000").isDetailed, true);
  assert.deepEqual(server.asked.map(({ after }) => after), ["8999.65535"]);
  mirror.pause();
});
