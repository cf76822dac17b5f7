// Ending somebody else's lock: the question, the guard, the refusals.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { close, eventually, finish, launch, open, paths, row } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const server = new Lockerd();

before(async () => {
  await launch();
  await server.start();
});

after(async () => {
  await server.end();
  await close();
});

async function ask(page, path) {
  await row(page, path).click();
  await page.locator("#details .card .danger").click();
  await page.locator("#force[open]").waitFor();
}

test("the question shows what will be ended, and the reason reaches the holder", async () => {
  const lock = await server.take("/force/one", { owner: "victim", meta: "important", ttl: "1h" });
  const page = await open(server);
  await ask(page, "force/one");
  const what = await page.locator("#force .what").innerText();
  for (const text of ["/force/one", "victim", "important", "exclusive", "nobody waits", String(lock.fence)]) assert.ok(what.includes(text), what);
  assert.ok(await page.locator("#force .confirm").isDisabled(), "a reason is wanted");
  await page.fill("#reason", "server room is on fire, 100% & more +1");
  await page.locator("#force .confirm").click();
  await eventually(() => paths(page), []);
  await eventually(() => page.locator("#force").isVisible(), false);
  await eventually(() => page.textContent("#live"), "The lock of victim on /force/one was ended.");
  const { status, body } = await server.ask("POST", "/v1/leases/renew", { token: lock.token });
  assert.equal(status, 410);
  assert.equal(body.detail, "server room is on fire, 100% & more +1");
  await finish(page);
});

test("the question tells the times as they are when it is asked", async () => {
  const lock = await server.take("/force/aged", { owner: "victim", ttl: "1h" });
  const page = await open(server, { address: "#/force/aged", expected: [/net::ERR_/] });
  await page.locator("#details .card").waitFor();
  await page.clock.install();
  await page.route("**/v1/**", (route) => route.abort()); // no newer answer
  await page.clock.fastForward(120_000);
  await page.locator("#details .danger").click();
  const what = await page.locator("#force .what").innerText();
  assert.match(what, /for 2m/);
  assert.match(what, /in 57m/);
  await server.release(lock);
  await page.keyboard.press("Escape");
  await finish(page);
});

test("a path that is cooling is opened before its time", async () => {
  await server.take("/force/cools", { owner: "lost", lock_delay: "1h" });
  await server.ask("DELETE", "/v1/locks/force/cools", { force: true });
  const page = await open(server);
  await eventually(() => page.textContent("#count-cooling"), "1");
  await ask(page, "force/cools");
  assert.equal(await page.textContent("#force-title"), "Open this path now?");
  await page.fill("#reason", "it is safe");
  await page.locator("#force .confirm").click();
  await eventually(() => paths(page), []);
  assert.equal((await server.ask("GET", "/v1/locks/force/cools")).body.free, true);
  await finish(page);
});

test("of several holders only the one that was asked about is ended", async () => {
  for (const owner of ["a", "b", "c"]) await server.take("/force/shared", { owner, mode: "shared" });
  const page = await open(server);
  await row(page, "force/shared").click();
  await page.locator("#details .card", { hasText: "b" }).filter({ has: page.locator("h3", { hasText: /^b/ }) }).locator(".danger").click();
  await page.fill("#reason", "test");
  await page.keyboard.press("Enter");
  await eventually(() => page.locator("#details .card h3 .owner").allTextContents(), ["a", "c"]);
  await server.ask("DELETE", "/v1/locks", { force: true, prefix: "/force" });
  await finish(page);
});

test("the next holder is not hit when the lock has changed hands before the answer", async () => {
  const first = await server.take("/force/guard", { owner: "first" });
  // The page sees nothing of the change: its events are held up.
  const page = await open(server, { listed: false, expected: [/404/] });
  await eventually(() => paths(page), ["force/guard"]);
  await ask(page, "force/guard");
  await page.fill("#reason", "test");
  await page.route("**/v1/locks/force/guard?force**", async (route) => {
    await server.release(first);
    await server.take("/force/guard", { owner: "second" });
    await route.continue();
  });
  await page.locator("#force .confirm").click();
  await eventually(() => page.textContent("#force .problem"), "This lock has ended in the meantime; nothing was changed.");
  assert.equal((await server.ask("GET", "/v1/locks/force/guard")).body.holders[0].owner, "second");
  await finish(page);
});

test("a question whose lock has ended meanwhile says so and does nothing", async () => {
  const page = await open(server);
  await ask(page, "force/guard");
  await page.fill("#reason", "test");
  await server.ask("DELETE", "/v1/locks/force/guard", { force: true });
  await eventually(() => page.textContent("#force .problem"), "This lock has ended in the meantime; there is nothing left to do.");
  assert.ok(await page.locator("#force .confirm").isDisabled());
  await page.fill("#reason", "another reason");
  assert.ok(await page.locator("#force .confirm").isDisabled());
  await page.locator("#force .cancel").click();
  await finish(page);
});

test("a reason that is too long is refused before it is sent", async () => {
  await server.take("/force/long", { owner: "x" });
  const page = await open(server);
  await ask(page, "force/long");
  await page.fill("#reason", "ä".repeat(128));
  assert.ok(await page.locator("#force .confirm").isDisabled());
  assert.equal(await page.textContent("#force .problem"), "The reason is longer than 255 bytes.");
  await page.fill("#reason", "ä".repeat(127));
  await page.locator("#force .confirm").click();
  await eventually(() => paths(page), []);
  await finish(page);
});
