// Ten thousand locks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { close, eventually, finish, launch, open, paths } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const server = new Lockerd();
const count = 10_000;

before(async () => {
  await launch();
  await server.start();
  const all = Array.from({ length: count }, (_, i) => `/hall/rack-${i % 40}/machine-${i}`);
  for (let at = 0; at < count; at += 1000) {
    await server.takeMany(all.slice(at, at + 1000), { ttl: "1h", meta: `job ${at}` });
  }
});

after(async () => {
  await server.end();
  await close();
});

test("the first view comes at once, scrolling is smooth, and the page stays small", async () => {
  const page = await open(server, { listed: false });
  const first = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const look = () => (document.querySelector("#canvas .row") ? resolve(performance.now()) : requestAnimationFrame(look));
        look();
      }),
  );
  await eventually(() => page.textContent("#count-held"), "10,000");
  const whole = await page.evaluate(() => Math.round(performance.now()));
  assert.equal(await page.getAttribute("#grid", "aria-rowcount"), String(count + 40 + 1 + 1));

  const frames = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const grid = document.getElementById("grid");
        const times = [];
        let last = performance.now();
        const step = (now) => {
          times.push(now - last);
          last = now;
          grid.scrollTop += 900;
          if (times.length < 150) requestAnimationFrame(step);
          else resolve(times.slice(2).sort((a, b) => a - b));
        };
        requestAnimationFrame(step);
      }),
  );
  const at = (share) => frames[Math.floor(share * (frames.length - 1))].toFixed(0);
  const elements = await page.evaluate(() => document.querySelectorAll("*").length);
  console.log(`first rows after ${Math.round(first)} ms, all listed after ${whole} ms; scrolling: median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms; ${elements} elements`);
  assert.ok(elements < 2_000, `${elements} elements`);
  assert.ok(first < 20_000 && frames[Math.floor(frames.length / 2)] < 500, "far too slow even for a loaded machine");

  const began = Date.now();
  await page.fill("#search", "machine-9999");
  assert.deepEqual(await paths(page), ["hall/rack-39/machine-9999"]);
  console.log(`a search: ${Date.now() - began} ms`);
  await page.fill("#search", "");
  await page.focus("#grid");
  await page.keyboard.press("End");
  await eventually(async () => (await paths(page)).includes("machine-9999"), true);
  await page.click("#collapse");
  assert.deepEqual((await paths(page)).length, 1);
  await page.focus("#grid");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  assert.equal((await paths(page)).includes("rack-1"), true);
  await finish(page);
});

test("it stays right while events race with the listing", async () => {
  const page = await open(server, { listed: false });
  // Locks come and go while the pages of the list are still under way.
  const kept = [];
  for (let i = 0; i < 150; ++i) {
    const lock = await server.take(`/race/${i}`);
    if (i % 3 === 0) kept.push(`${i}`);
    else await server.release(lock);
  }
  await server.ask("DELETE", "/v1/locks", { force: true, prefix: "/hall/rack-7" });
  const held = (await server.ask("GET", "/v1/status")).body.locks;
  await eventually(() => page.textContent("#count-held"), held.toLocaleString("en"));
  await page.fill("#search", "path:/race");
  await eventually(async () => Number(await page.getAttribute("#grid", "aria-rowcount")), kept.length + 2);
  assert.deepEqual((await paths(page)).slice(1, 6), kept.slice(0, 5));
  await finish(page);
});

test("more locks than are listed are never taken for none", async () => {
  const empty = await new Lockerd().start();
  const page = await open(empty);
  await page.route("**/v1/locks?*", (route) => {
    const parameters = new URL(route.request().url()).searchParams;
    const first = Number.parseFloat(parameters.get("after") ?? "0") + 1;
    const lock = (_, i) => ({
      path: `/old/${first + i}`, owner: "tester", mode: "exclusive", fence: first + i, state: "held",
      lock_parents: true, lock_children: true, held_ms: 5, ttl_ms: null, expires_in_ms: null, meta: null,
    });
    const locks = parameters.has("state") ? [] : Array.from({ length: 1000 }, lock);
    const next = parameters.has("state") ? null : `${first + 999}.0`;
    return route.fulfill({ json: { locks, next }, headers: { "Locker-Index": "1" } });
  });
  await page.fill("#prefix", "/old");
  await page.press("#prefix", "Enter");
  await eventually(() => page.textContent("#count-held"), "50,000+");
  assert.ok((await page.textContent("#notice-text")).startsWith("These are the 50,000 oldest locks."));
  await page.click("#notice-close");
  await page.fill("#search", "path:/old/50001");
  await eventually(async () => /^None of the listed locks matches this search\./.test(await page.textContent("#empty-text")), true);
  await page.fill("#search", "path:/old/50000");
  await eventually(() => paths(page), ["old/50000"]);
  await finish(page);
  await empty.end();
});
