// Light and dark, a phone, and what axe-core finds.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { close, eventually, finish, launch, open, paths, row } from "./browser.js";
import { Lockerd } from "./lockerd.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const server = new Lockerd();
const waiting = new AbortController();

before(async () => {
  await launch();
  await server.start();
  await server.take("/deploy/production", { owner: "ci-7", ttl: "10m", meta: "release" });
  for (const owner of ["a", "b"]) await server.take("/data/orders", { owner, mode: "shared" });
  await server.take("/backup", { owner: "cron", ttl: "1h", lock_delay: "1h" });
  await server.ask("DELETE", "/v1/locks/backup", { force: true });
  server.wait("/deploy", { owner: "x" }, waiting.signal);
});

after(async () => {
  waiting.abort();
  await server.end();
  await close();
});

async function scan(page, what) {
  // Of the browser's own, past the page's policy, which forbids scripts from elsewhere.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.ok(passes.length > 10, "axe has looked");
  const told = violations.map(({ id, help, nodes }) => `${what}: ${id}: ${help}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
  assert.deepEqual(told, []);
}

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { viewport: { width: 390, height: 780 }, colorScheme: "light", hasTouch: true }],
]) {
  test(`axe-core finds nothing: ${name}`, async () => {
    const page = await open(server, options);
    await row(page, "production").click();
    await page.locator("#details .card").waitFor();
    await scan(page, "tree and details");
    await page.locator("#details .danger").click();
    await page.locator("#force[open]").waitFor();
    await scan(page, "the question");
    await page.keyboard.press("Escape");
    await page.locator("#details [data-focus=close]").click();
    await row(page, "deploy").locator(".state").click();
    await page.locator("#details .covers").waitFor();
    await page.fill("#search", "nothing like that");
    await scan(page, "an empty search, and what covers a path");
    await page.keyboard.press("Escape");
    await page.locator("#details [data-focus=close]").click();
    await page.locator("#help-button").click();
    await scan(page, "help");
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.getElementById("key-dialog").showModal());
    await scan(page, "the question for a key");
    await finish(page);
  });
}

test("the theme is the system's until the button says another, which is kept", async () => {
  const page = await open(server, { colorScheme: "dark" });
  const theme = () => page.evaluate(() => [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
  const dark = await theme();
  assert.equal(dark[0], "dark");
  await page.emulateMedia({ colorScheme: "light" });
  await eventually(async () => (await theme())[0], "light");
  const light = await theme();
  assert.notEqual(light[1], dark[1]);
  await page.click("#theme"); // light
  await page.click("#theme"); // dark
  assert.deepEqual(await theme(), dark);
  await page.reload();
  assert.deepEqual(await theme(), dark);
  assert.equal(await page.textContent("#theme-text"), "Dark");
  await finish(page);
});

test("nothing moves for who wants no motion", async () => {
  const page = await open(server, { reducedMotion: "reduce" });
  const moving = await page.evaluate(() =>
    [...document.querySelectorAll("*")].filter((each) => {
      const { animationName, transitionDuration } = getComputedStyle(each);
      return animationName !== "none" || !/^0s(, 0s)*$/.test(transitionDuration);
    }).length);
  assert.equal(moving, 0);
  await finish(page);
});

test("on a phone nothing is wider than the screen, and details come over the tree", async () => {
  const page = await open(server, { viewport: { width: 360, height: 640 }, hasTouch: true });
  await eventually(async () => (await paths(page)).includes("production"), true);
  const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth || document.getElementById("grid").scrollWidth > document.getElementById("grid").clientWidth);
  assert.equal(await isWide(), false);
  await row(page, "production").tap();
  await page.locator("#details .card").waitFor();
  assert.equal(await isWide(), false);
  const box = await page.locator("#details").boundingBox();
  assert.ok(box.width >= 358 && box.y + box.height >= 639, JSON.stringify(box));
  await page.locator("#details [data-focus=close]").tap();
  assert.ok(await page.locator("#details").isHidden());
  await finish(page);
});
