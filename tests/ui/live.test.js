// The page while things change: events, bursts of them, a server that goes and comes back.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { cell, close, eventually, finish, launch, open, paths, patience, row } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const server = new Lockerd();
/** What a browser says of its own when it cannot connect. */
const expected = [/net::ERR_/];

before(async () => {
  await launch();
  await server.start();
});

after(async () => {
  await server.end();
  await close();
});

test("what is granted, released, forced, waited for and given up is seen as it happens", async () => {
  const page = await open(server);
  assert.deepEqual(await paths(page), []);
  const lock = await server.take("/live/a", { owner: "one", ttl: "5m", meta: "because" });
  await eventually(() => paths(page), ["live/a"]);
  await eventually(() => cell(page, "live/a", "why"), "because"); // no event tells that
  const leaving = new AbortController();
  const granted = server.wait("/live/a", { owner: "two", ttl: "1h" });
  server.wait("/live/a", { owner: "three" }, leaving.signal);
  await eventually(() => cell(page, "live/a", "waiting"), "2");
  leaving.abort();
  await eventually(() => cell(page, "live/a", "waiting"), "1");
  await server.release(lock);
  await eventually(() => cell(page, "live/a", "holder"), "two");
  await eventually(() => cell(page, "live/a", "waiting"), "");
  const { token } = await granted;
  await server.ask("POST", "/v1/locks/live/a", { token, mode: "shared" }); // tells no end of the old one
  await eventually(() => cell(page, "live/a", "state"), "shared");
  await server.ask("DELETE", "/v1/locks/live/a", { force: true });
  await eventually(() => paths(page), []);
  assert.equal(await page.textContent("#count-held"), "0");
  await finish(page);
});

test("who chose a token and gave up is not shown while its place is kept", async () => {
  const page = await open(server);
  const lock = await server.take("/ghost", { owner: "holder" });
  const token = randomUUID();
  const wait = (ms) => server.ask("POST", "/v1/locks/ghost", { owner: "cron", wait: `${ms}ms`, token });
  const waits = wait(4000);
  await eventually(() => cell(page, "ghost", "waiting"), "1");
  assert.equal((await waits).status, 423);
  await eventually(() => cell(page, "ghost", "waiting"), "");
  const [place] = (await server.ask("GET", "/v1/locks", { state: "waiting" })).body.locks;
  assert.equal(place.connected, false); // until now, when it comes back for it
  const waitsAgain = wait(4000);
  await eventually(() => cell(page, "ghost", "waiting"), "1");
  assert.equal((await waitsAgain).status, 423);
  await eventually(() => cell(page, "ghost", "waiting"), "");
  assert.equal(await page.textContent("#count-waiting"), "0");
  await server.release(lock);
  await eventually(() => paths(page), []);
  await finish(page);
});

test("a page that was opened with name and password in its address works", async () => {
  const lock = await server.take("/named", { owner: "one" });
  const page = await open({ url: server.url.replace("//", "//user:secret@") });
  await eventually(() => paths(page), ["named"]);
  await row(page, "named").click();
  await page.locator("#details .card").waitFor();
  assert.match(page.url(), /#\/named$/);
  await server.release(lock);
  await eventually(() => paths(page), []);
  await finish(page);
});

test("an expiry is counted down, moved by a renewal, and seen", async () => {
  const page = await open(server);
  const { token } = await server.take("/ttl/long", { ttl: "15s" });
  const { token: cools } = await server.take("/ttl/short", { ttl: "1500ms", lock_delay: "1h" });
  assert.ok(cools);
  await eventually(() => paths(page), ["ttl", "long", "short"]);
  await eventually(async () => /^1?\ds$/.test(await cell(page, "long", "end")), true);
  await server.ask("POST", "/v1/leases/renew", { token, ttl: "10h" });
  await eventually(() => cell(page, "short", "state"), "cooling");
  // The page is not told; it asks now and then.
  await eventually(async () => /^(10h|9h)/.test(await cell(page, "long", "end")), true);
  await server.ask("DELETE", "/v1/locks", { force: true, cooling: true, prefix: "/ttl" });
  await eventually(() => paths(page), []);
  await finish(page);
});

test("details follow what happens to their path", async () => {
  const page = await open(server, { address: "#/room/1" });
  const details = page.locator("#details");
  await eventually(async () => (await details.locator(".sentence").allTextContents()).join(), "This is free.");
  const lock = await server.take("/room", { owner: "all" });
  await eventually(() => details.locator(".covers button").allTextContents(), ["/room"]);
  const line = server.wait("/room/1", { owner: "me" });
  await eventually(() => details.locator(".waiters .owner").allTextContents(), ["me"]);
  await server.release(lock);
  await eventually(() => details.locator(".card h3 .owner").allTextContents(), ["me"]);
  await server.release(await line);
  await eventually(async () => (await details.locator(".sentence").allTextContents()).join(), "This is free.");
  await finish(page);
});

test("thousands of events in a burst leave the page right, and it goes on answering", async () => {
  const page = await open(server);
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const frame = (now) => {
      window.frames_.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const began = Date.now();
  let events = 0;
  const worker = async (name) => {
    const several = Array.from({ length: 50 }, (_, i) => `/burst/${name}/${i}`);
    while (Date.now() - began < 4000) {
      const token = await server.takeMany(several);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await server.ask("DELETE", "/v1/leases", { token });
      events += 2 * several.length;
    }
    await server.take(`/burst/${name}/kept`, { ttl: "1h" });
  };
  await Promise.all(["a", "b", "c", "d", "e", "f"].map(worker));
  const seconds = (Date.now() - began) / 1000;
  const kept = ["burst", "a/kept", "b/kept", "c/kept", "d/kept", "e/kept", "f/kept"];
  await eventually(() => paths(page), kept);
  assert.equal(await page.textContent("#count-held"), "6");
  const frames = await page.evaluate(() => window.frames_.slice(5).sort((a, b) => a - b));
  const at = (share) => Math.round(frames[Math.floor(share * (frames.length - 1))]);
  console.log(`${Math.round(events / seconds)} events/s; frames: median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`);
  assert.ok(at(0.5) < 500, "it hardly draws any more");
  await server.ask("DELETE", "/v1/locks", { force: true, prefix: "/burst" });
  await eventually(() => paths(page), []);
  await finish(page);
});

test("when the server is killed and comes back, the page says so and is right again", async () => {
  await server.take("/restart/stays", { owner: "one" });
  const gone = await server.take("/restart/goes", { owner: "two" });
  const page = await open(server, { expected });
  const waiter = new AbortController();
  server.wait("/restart/stays", { owner: "waits" }, waiter.signal);
  await eventually(() => cell(page, "stays", "waiting"), "1");
  await server.kill();
  await eventually(() => page.textContent("#connection-text"), "Reconnecting…");
  await eventually(() => page.textContent("#live"), "The connection to the server was lost. Trying again.");
  assert.equal(await page.locator(".tree[data-stale]").count(), 1);
  await server.start();
  await server.release(gone); // perhaps before the page is back: no event is kept over a restart
  await server.take("/restart/new");
  await eventually(() => page.textContent("#connection-text"), "Live");
  await eventually(() => paths(page), ["restart", "new", "stays"]);
  await eventually(() => cell(page, "stays", "waiting"), ""); // waiters do not outlive the server
  assert.equal(await page.locator(".tree[data-stale]").count(), 0);
  waiter.abort();
  await server.ask("DELETE", "/v1/locks", { force: true, prefix: "/restart" });
  await eventually(() => paths(page), []);
  await finish(page);
});

test("a server that has too many readers of events says so, and is asked again", async () => {
  const small = await new Lockerd("--event-readers-max", "1").start();
  const reader = new AbortController();
  const other = await fetch(`${small.url}/v1/events`, { signal: reader.signal });
  await small.take("/seen/without");
  const page = await open(small, { listed: false, expected: [/status of 503/] });
  await eventually(async () => (await page.textContent("#notice-text")).startsWith("Too many clients are reading events"), true);
  await eventually(() => paths(page), ["seen/without"]);
  assert.equal(await page.textContent("#connection-text"), "Reconnecting…");
  reader.abort();
  await other.body?.cancel().catch(() => null);
  await eventually(() => page.textContent("#connection-text"), "Live");
  await small.take("/seen/with");
  await eventually(() => paths(page), ["seen", "with", "without"]);
  assert.ok(await page.locator("#notice").isHidden());
  await finish(page);
  await small.end();
});

test("a tab that nobody looks at gives its connection back, and catches up when it is seen", async () => {
  const page = await open(server);
  // Before any timer that the page sets below: this clock could not take that one back.
  await page.clock.install();
  await server.take("/hidden/before");
  const gone = await server.take("/hidden/gone");
  await eventually(() => paths(page), ["hidden", "before", "gone"]);
  const show = (isShown) =>
    page.evaluate((shown) => {
      Object.defineProperty(document, "hidden", { value: !shown, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isShown);
  const readers = async () => (await server.ask("GET", "/v1/status")).body.event_readers;
  await eventually(readers, 1);
  await show(false);
  await page.clock.fastForward(61_000);
  await eventually(() => page.textContent("#connection-text"), "Paused");
  await eventually(readers, 0);
  await page.clock.resume();
  await server.release(gone);
  await server.take("/hidden/later");
  await show(true);
  await eventually(() => paths(page), ["hidden", "before", "later"]);
  assert.equal(await page.textContent("#connection-text"), "Live");
  await server.ask("DELETE", "/v1/locks", { force: true, prefix: "/hidden" });
  await eventually(() => paths(page), []);
  await finish(page);
});

test("a connection that breaks goes on where it was, and misses nothing", async () => {
  // A proxy whose event streams can be cut, and kept out for a while.
  const streams = new Set();
  const resumed = [];
  let isOpen = true;
  const proxy = createServer((request, response) => {
    const isStream = request.url.startsWith("/v1/events");
    if (isStream && !isOpen) return response.destroy();
    if (isStream) resumed.push(request.headers["last-event-id"] ?? "");
    fetch(server.url + request.url, { headers: request.headers["last-event-id"] ? { "Last-Event-ID": request.headers["last-event-id"] } : {} })
      .then(async (answer) => {
        response.writeHead(answer.status, Object.fromEntries(["content-type", "locker-index"].map((name) => [name, answer.headers.get(name)])));
        if (isStream) streams.add(response);
        for await (const piece of answer.body) response.write(piece);
        response.end();
      })
      .catch(() => response.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const page = await open({ url: `http://127.0.0.1:${proxy.address().port}` }, { expected });
  const first = await server.take("/cut/first");
  await eventually(() => paths(page), ["cut/first"]);
  isOpen = false;
  for (const stream of streams) stream.destroy();
  await eventually(() => page.textContent("#connection-text"), "Reconnecting…");
  const second = await server.take("/cut/second");
  await server.release(first);
  isOpen = true;
  await eventually(() => paths(page), ["cut/second"]);
  assert.match(resumed.at(-1), /^\d+\.\d+$/);
  assert.ok(await page.locator("#notice").isHidden(), "nothing had to be read anew");
  await server.release(second);
  await eventually(() => paths(page), []);
  await finish(page);
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
});
