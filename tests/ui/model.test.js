// The model against a pretended server whose answers and events overtake each other: no browser,
// no sockets. Whatever the order, in the end both have the same locks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, siteUrl } from "./page/api.js";
import { chosenDuration, duration } from "./page/durations.js";
import { EventParser } from "./page/event_parser.js";
import { LockModel } from "./page/lock_model.js";
import { keptInOrder, piecesByDirection, readable, readablePath } from "./page/readable_text.js";
import { SearchFilter } from "./page/search_filter.js";
import { ServerClock } from "./page/server_clock.js";
import { rowsOf } from "./page/tree_rows.js";

/** Random numbers that come again with the same seed. */
function randomFrom(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const told = (lock, state = lock.state) => ({
  path: lock.path, owner: lock.owner, mode: lock.mode, fence: lock.fence, state,
  lock_parents: lock.up ?? true, lock_children: lock.down ?? true, held_ms: 5, ttl_ms: null, expires_in_ms: null, meta: null,
});

/** What the arbiter does, as far as the page can see it. */
class PretendedServer {
  index = 100;
  fence = 1000;
  locks = []; // in order of fence
  events = [];

  #event(kind, lock, more = {}) {
    this.events.push({ kind, path: lock.path, owner: lock.owner, mode: lock.mode, fence: lock.fence, index: this.index, ...more });
  }

  #granted(lock) {
    this.#event("granted", lock, { ...(lock.up && { lock_parents: true }), ...(lock.down && { lock_children: true }) });
  }

  grant(path, owner, mode, up, down) {
    if (this.locks.some((lock) => lock.path === path && (lock.mode !== "shared" || mode !== "shared"))) return;
    const lock = { path, owner, mode, fence: ++this.fence, state: "held", up, down };
    ++this.index;
    this.locks.push(lock);
    this.#granted(lock);
  }

  end(lock, kind, cools) {
    ++this.index;
    this.#event(kind, lock, cools ? { cooling_ms: 5 } : {});
    if (cools) lock.state = "cooling";
    else this.locks.splice(this.locks.indexOf(lock), 1);
  }

  /** Another mode: a new lock, and no event for the end of the old one. */
  change(lock) {
    const isAlone = this.locks.filter((other) => other.path === lock.path).length === 1;
    if (!isAlone || lock.state !== "held") return;
    this.index += 2;
    this.locks.splice(this.locks.indexOf(lock), 1);
    const changed = { ...lock, mode: lock.mode === "shared" ? "exclusive" : "shared", fence: ++this.fence };
    this.locks.push(changed);
    this.#granted(changed);
  }

  doSomething(random) {
    const lock = this.locks[random(this.locks.length)];
    switch (lock ? random(6) : 0) {
      case 0:
      case 1:
        return this.grant(`/${"abc"[random(3)]}/${random(4)}`, `o${random(3)}`, random(2) ? "shared" : "exclusive", random(2) === 0, random(2) === 0);
      case 2:
        return lock.state === "held" && this.end(lock, "released", false);
      case 3:
        return lock.state === "held" && this.end(lock, random(2) ? "expired" : "forced", random(2) === 0);
      case 4:
        return lock.state === "cooling" && this.end(lock, "cooled", false);
      default:
        return this.change(lock);
    }
  }

  page(after, limit, keep = () => true) {
    const rest = this.locks.filter((lock) => lock.fence > after && keep(lock));
    const locks = rest.slice(0, limit);
    return { locks: locks.map((lock) => told(lock)), index: this.index, next: rest.length > limit ? locks.at(-1).fence : null };
  }
}

const shown = (model) =>
  [...model.locks.values()].map(({ path, owner, mode, fence, state, lockParents, lockChildren }) => ({ path, owner, mode, fence, state, up: lockParents, down: lockChildren }))
    .sort((a, b) => a.fence - b.fence);

function checkTree(model) {
  let locks = 0;
  const visit = (node) => {
    locks += node.locks.length;
    const below = node.children.reduce((sum, child) => sum + visit(child), node.locks.length);
    assert.equal(node.heldBelow, below);
    assert.ok(!node.parent || below + node.waitingBelow > 0, `${node.path} is empty`);
    const names = node.children.map((child) => child.name);
    assert.deepEqual(names, [...names].sort((a, b) => new Intl.Collator("en", { numeric: true }).compare(a, b)));
    return below;
  };
  visit(model.tree.root);
  assert.equal(locks, model.locks.size);
  assert.equal(model.cooling, [...model.locks.values()].filter((lock) => lock.state === "cooling").length);
}

/** One whole life: a listing by pages, listings of what is new and of what cools, and the events,
 * each delivered at any time after it was made, the events in their order. */
function raceOnce(seed) {
  const random = randomFrom(seed);
  const server = new PretendedServer();
  for (let i = random(12); i > 0; --i) server.doSomething(random);
  const model = new LockModel(new ServerClock(), () => {});
  let seen = server.events.length; // the stream begins before the listing
  const underWay = []; // answers
  const generation = model.beginGeneration();
  let first;
  let next = 0;
  const ask = (make, then) => {
    model.beginListing();
    const answer = make();
    underWay.push(() => {
      model.applyListed(answer.locks, answer.index, Date.now());
      model.endListing();
      then?.(answer);
    });
  };
  const askPage = () => ask(() => server.page(next, 3), (answer) => {
    first ??= answer.index;
    next = answer.next;
    if (next === null) model.sweep(generation, first);
    else askPage();
  });
  askPage();
  let granted = Infinity;
  for (let steps = 60 + random(60); steps > 0; --steps) {
    switch (random(5)) {
      case 0:
      case 1:
        server.doSomething(random);
        break;
      case 2:
        if (underWay.length > 0) underWay.splice(random(underWay.length), 1)[0]();
        break;
      case 3:
        for (let count = random(4); count > 0 && seen < server.events.length; --count) {
          const event = server.events[seen++];
          model.applyEvents([event]);
          if (event.kind === "granted") granted = Math.min(granted, event.fence);
          if (event.cooling_ms) ask(() => server.page(0, 99, (lock) => lock.state === "cooling"));
        }
        break;
      default:
        if (granted < Infinity) ask(() => server.page(granted - 1, 99));
        granted = Infinity;
    }
  }
  // Quiet now: all that is under way arrives.
  while (underWay.length > 0) underWay.splice(random(underWay.length), 1)[0]();
  for (const event of server.events.slice(seen)) {
    model.applyEvents([event]);
    if (event.cooling_ms) ask(() => server.page(0, 99, (lock) => lock.state === "cooling"));
  }
  while (underWay.length > 0) underWay.splice(random(underWay.length), 1)[0]();
  assert.deepEqual(shown(model), server.locks.map(({ path, owner, mode, fence, state, up, down }) => ({ path, owner, mode, fence, state, up, down })), `seed ${seed}`);
  checkTree(model);
}

test("whatever overtakes what, the model ends as the server is", () => {
  for (let seed = 1; seed <= 4000; ++seed) raceOnce(seed);
});

test("after a restart with an older store nothing stays of what is gone", () => {
  const model = new LockModel(new ServerClock(), () => {});
  const lock = (path, fence) => told({ path, owner: "o", mode: "exclusive", fence, state: "held" });
  model.beginGeneration();
  model.applyListed([lock("/a", 5), lock("/b", 6)], 900, Date.now());
  model.distrust();
  const generation = model.beginGeneration();
  model.applyListed([lock("/b", 6), lock("/c", 7)], 12, Date.now());
  model.sweep(generation, 12);
  assert.deepEqual(shown(model).map(({ path }) => path), ["/b", "/c"]);
});

test("rows: shared paths are one row, children are sorted as people count, folding hides", () => {
  const model = new LockModel(new ServerClock(), () => {});
  const lock = (path, i) => told({ path, owner: `o${i}`, mode: "exclusive", fence: i + 1, state: "held" });
  model.applyListed(["/x/y/n10", "/x/y/n9", "/x/y/n9/deep/er", "/alone/in/here", "/"].map(lock), 1, Date.now());
  const rows = (filter = new SearchFilter(), folded = []) =>
    rowsOf(model, filter, new Set(folded)).rows.map(({ lead, name, level }) => `${level} ${lead}${name}`);
  const all = ["1 /", "1 alone/in/here", "1 x/y", "2 n9", "3 deep/er", "2 n10"];
  assert.deepEqual(rows(), all);
  assert.deepEqual(rows(undefined, ["/x/y"]), all.slice(0, 3));
  assert.deepEqual(rows(new SearchFilter("owner:o2")), ["1 x/y/n9", "2 deep/er"]);
  assert.deepEqual(rows(new SearchFilter("path:n9 owner:o1")), ["1 x/y/n9"]);
  assert.deepEqual(rows(new SearchFilter("nothing")), []);
});

test("events come in any pieces", () => {
  const text = 'retry: 1000\nid: 4.9\n\n: \n\n: \nid: 4.12\n\nid: 5.0\nevent: granted\ndata: {"path": "/ä"}\n\nevent: reset\ndata: {}\n\n';
  for (let size = 1; size < 30; ++size) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.feed(text.slice(at, at + size)));
    assert.deepEqual(events, [
      { id: "4.9", kind: "", data: "" },
      { id: "4.12", kind: "", data: "" },
      { id: "5.0", kind: "granted", data: '{"path": "/ä"}' },
      { id: "", kind: "reset", data: "{}" },
    ]);
  }
});

test("a path leads to no other call", async (t) => {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (url) => {
    asked.push(url.pathname);
    return new Response("{}");
  });
  globalThis.document = { baseURI: "http://locker.example/below/ui/" };
  t.after(() => delete globalThis.document);
  const api = new Api({ read: () => "" });
  for (const path of ["/../../canhaz/x", "/%2e%2E/.%2e/canhaz/x", "/..", "/.", "/a/%2e", "/a/../../leases", "/a/.\t./b", "/a?b/../c", "/a#b/c"]) {
    await assert.rejects(api.call(`v1/locks${path}`), { status: 400, code: "bad_request" }, path);
  }
  assert.deepEqual(asked, []);
  const fine = ["/", "/a%2Fb/...", "/a/..b/c.", "/%2e%2ex", "/a\\..\\b"];
  for (const path of fine) await api.call(`v1/locks${path}`);
  assert.deepEqual(asked, fine.map((path) => `/below/v1/locks${path.replaceAll("\\", "%5C")}`));
});

test("a name and a password in the page's address are in no request", async (t) => {
  const asked = [];
  t.mock.method(globalThis, "fetch", async (url) => {
    asked.push(url.href);
    return new Response("{}");
  });
  globalThis.document = { baseURI: "http://user:secret@locker.example/below/ui/?search=x" };
  t.after(() => delete globalThis.document);
  await new Api({ read: () => "" }).call("v1/locks");
  assert.equal(siteUrl("v1/locks/a").href, "http://locker.example/below/v1/locks/a");
  assert.deepEqual(asked, ["http://locker.example/below/v1/locks"]);
});

test("texts show what nobody would see, and are else as they were", () => {
  assert.equal(readable("a\u202Eb\u200Bc\uFEFF"), "a⟨U+202E⟩b⟨U+200B⟩c⟨U+FEFF⟩");
  assert.equal(readable("Ünï — 日本 👩‍🔧 שלום"), "Ünï — 日本 👩‍🔧 שלום");
  assert.equal(readablePath("/a%2Fb/%C3%A4%20x/100%25"), "/a%2Fb/ä x/100%");
  assert.equal(readablePath("/%E2%80%AEx"), "/⟨U+202E⟩x");
});

test("paths that differ read differently", () => {
  const encoded = (texts) => texts.map((text) => `/tr/${encodeURIComponent(text)}`);
  const alike = [
    "x/y", "x%2Fy", "x%252Fy", "100%", "100%25",
    "a", "a ", " a", "a\u00A0", "a\u2003", "a\u3000", "a\uFE0F", "a\uFE0E", "a\u{E0101}", "a\u034F", "a\u180B", "a\u200D",
    "a b", "a  b", "a   b", "a\u00A0b", "   ", "\u2009",
    "\u200B", "⟨U+200B⟩", "⟨", "❤", "❤\uFE0F", "👩🔧", "👩‍🔧", "🔧\u200Dx", "🔧x",
  ];
  const read = encoded(alike).map(readablePath);
  assert.equal(new Set(read).size, alike.length, read.join("\n"));
  for (const text of read) assert.match(text, /^\/tr\/\P{White_Space}/u);
  assert.equal(readablePath("/tr/%20%20%20"), "/tr/⟨U+0020⟩⟨U+0020⟩⟨U+0020⟩");
  assert.equal(readablePath("/amb/x%252Fy/100%25"), "/amb/x%252Fy/100%");
  assert.equal(readable("one two"), "one two");
});

test("what is written from right to left is kept apart, so that the order of a path stays", () => {
  assert.deepEqual(piecesByDirection("/plain/ü/日本"), ["/plain/ü/日本"]);
  assert.deepEqual(piecesByDirection("/1/א2ב/c"), ["/1/", "א", "2", "ב", "/c"]);
  assert.deepEqual(piecesByDirection("/سلام/١"), ["/", "سلام", "/", "١", ""]);
  assert.equal(keptInOrder("/plain/ü"), "/plain/ü");
  assert.equal(keptInOrder("/א/1"), "\u2066/\u2067א\u2069/1\u2069");
});

test("durations", () => {
  assert.deepEqual([-5, 999, 61_000, 3_600_000, 90_061_000].map(duration), ["0s", "0s", "1m 01s", "1h 00m", "1d 1h"]);
  assert.deepEqual([500, 90_000, 600_000].map(chosenDuration), ["0.5s", "1m 30s", "10m"]);
});
